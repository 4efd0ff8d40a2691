"""Properties of every mask: a pure function of its coordinates, binary, within its limits, at any size."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from inpaint_zoo.masks import MaskConfigError, create_generator, create_mask, list_masks

NAMES = list_masks()
ANY_SIZE = ["completion", "every_n_lines", "expand", "nearest_neighbor", "four_circles", "half", "random_block"]
PROFILE = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def size_of(name):
    return (150, 190) if "512" not in name else (256, 300)


@pytest.mark.parametrize("name", NAMES)
def test_batches_equal_singles_in_any_order(name):
    generator = create_generator(name, seed=11, stream="train")
    size = size_of(name)
    indices = [7, 0, 12345, 3, 7]
    batch = generator.batch(indices, size)
    assert batch.dtype == np.uint8
    assert batch.shape == (5, *generator.out_size(size))
    assert set(np.unique(batch)) == {0, 1}
    for index, mask in zip(indices, batch, strict=True):
        alone = generator(index, size)
        assert np.array_equal(mask, alone)
        assert alone.flags.c_contiguous
        assert 0 < alone.sum() < alone.size
        assert generator.meta(index, size)["ratio"] == alone.mean()
    assert np.array_equal(generator.batch(range(20), size)[::-1], generator.batch(range(19, -1, -1), size))


@pytest.mark.parametrize("name", ["lama_wide", "cmod", "general_mask", "general_union"])
def test_a_batch_of_64_equals_64_singles(name):
    generator = create_generator(name, seed=3)
    assert np.array_equal(generator.batch(range(64), 256), np.stack([generator(index, 256) for index in range(64)]))


@PROFILE
@given(
    name=st.sampled_from(NAMES),
    height=st.integers(1, 200),
    width=st.integers(1, 200),
    seed=st.integers(0, 2**64 - 1),
    index=st.integers(0, 2**62),
)
def test_any_size_gives_a_mask_or_says_why_not(name, height, width, seed, index):
    try:
        mask = create_mask(name, (height, width), seed=seed, index=index)
    except MaskConfigError as error:
        assert f"{height} x {width}" in str(error)  # noqa: PT017 - either outcome is right
        return
    assert mask.shape == (height, width)
    assert mask.dtype == np.uint8
    assert 0 < mask.sum() < mask.size
    assert set(np.unique(mask)) == {0, 1}


@PROFILE
@given(name=st.sampled_from(ANY_SIZE), height=st.integers(1, 15), width=st.integers(1, 15), index=st.integers(0, 99))
def test_fixed_kinds_work_on_tiny_canvases(name, height, width, index):
    generator = create_generator(name, limits={"min_hole": 0, "min_known": 0})
    assert generator(index, (height, width)).shape == (height, width)


@PROFILE
@given(
    lo=st.floats(0.2, 0.7),  # the ratios are uniform from 0.2 to 0.8
    span=st.floats(0.05, 0.1),
    closed=st.sampled_from(["hi", "both", "neither"]),
    index=st.integers(0, 500),
)
def test_accepted_ratios_lie_in_their_range(lo, span, closed, index):
    accept = {"lo": lo, "hi": lo + span, "closed": closed, "max_tries": 1000}
    ratio = create_mask("completion", 64, index=index, accept=accept).mean()
    assert lo <= ratio <= lo + span
    assert closed == "both" or ratio > lo


@PROFILE
@given(min_hole=st.integers(0, 600), min_known=st.integers(0, 400), index=st.integers(0, 500))
def test_limits_are_respected(min_hole, min_known, index):
    try:
        mask = create_mask("completion", 32, index=index, limits={"min_hole": min_hole, "min_known": min_known})
    except MaskConfigError:
        reject()  # narrow limits, which none of the attempts met
    assert min_hole <= mask.sum() <= 32 * 32 - min_known


def test_seeds_streams_and_indices_give_other_masks():
    masks = [
        create_generator("lama_wide", seed=seed, stream=stream)(index, 128).tobytes()
        for seed in (0, 1)
        for stream in ("train", "val", "test")
        for index in range(8)
    ]
    assert len(set(masks)) == len(masks)


def test_parameters_of_one_component_leave_the_choice_alone():
    thin = create_generator("lama_wide", seed=4)
    fat = create_generator(
        {
            "components": [
                {"kind": "lama_irregular", "args": {"max_width": 30}},
                {"kind": "lama_box", "args": {"max_times": 2}},
            ]
        },
        seed=4,
    )
    for index in range(30):
        assert thin.meta(index, 256)["component"] == fat.meta(index, 256)["component"]


def test_a_size_is_needed_and_checked():
    generator = create_generator("cmod")
    with pytest.raises(MaskConfigError, match="give a `size`"):
        generator(0)
    for size in [(0, 5), (5,), (1, 2, 3), "big", 3.5, (True, 5)]:
        with pytest.raises(MaskConfigError, match="`size` must be"):
            generator(0, size)
    with pytest.raises(MaskConfigError, match="indices must be in"):
        generator(-1, 64)
    assert generator.batch([], 64).shape == (0, 64, 64)
