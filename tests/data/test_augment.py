"""Augmentation: reproducible random numbers, geometry and colors against other implementations, and errors."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import functional as tv

from inpaint_zoo.data.augment import STEPS, create_augmentation
from inpaint_zoo.data.sample import sample_files
from inpaint_zoo.errors import ZooError

create_augmentation([], (8, 8))  # registers all steps
RGB = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
CUTS = ["center_crop", "squash", "random_crop", "random_resized_crop"]
JITTER = {"op": "color_jitter", "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}
LAMA = ["perspective", "affine", "optical_distortion", "clahe", "brightness_contrast", "hue_saturation_value"]
U = st.lists(st.floats(0, 1, exclude_max=True), min_size=40, max_size=40)


def step(op, **args):
    (found,) = create_augmentation([{"op": op, **args}], (32, 32)).steps
    return found


@pytest.fixture(scope="module")
def cat():
    return np.asarray(Image.open(sample_files()["chelsea"]))


@pytest.mark.parametrize("op", list(STEPS))
def test_a_step_depends_on_seed_and_position_alone(op):
    augment = create_augmentation([op], (32, 32))
    results = [augment(RGB, 5, position) for position in range(12)]
    for position in (11, 3, 7):
        np.testing.assert_array_equal(create_augmentation([op], (32, 32))(RGB, 5, position), results[position])
    assert all(result.dtype == np.uint8 and result.flags.c_contiguous for result in results)
    assert {result.shape for result in results} == {(32, 32, 3) if op in CUTS else RGB.shape}
    drawn = {result.tobytes() for result in results}
    if op in ("center_crop", "squash", "color_jitter"):  # not random, or strengths that are 0 by default
        assert len(drawn) == 1
    else:
        assert len(drawn) > 1
        assert any(not np.array_equal(augment(RGB, 6, n), results[n]) for n in range(12))


def test_adding_a_step_changes_no_draw_of_another():
    short = create_augmentation(["random_crop", "hflip"], (32, 32))
    long = create_augmentation(["random_crop", {"op": "vflip", "p": 0}, JITTER | {"p": 0}, "hflip"], (32, 32))
    for position in range(10):
        np.testing.assert_array_equal(short(RGB, 0, position), long(RGB, 0, position))
    twice = create_augmentation(["hflip", "hflip"], RGB.shape[:2])
    assert (
        len({twice(RGB, 0, position).tobytes() for position in range(40)}) == 2
    )  # their random numbers are independent


@pytest.mark.parametrize(("op", "axis"), [("hflip", 1), ("vflip", 0)])
def test_flips_are_exact_and_as_often_as_asked(op, axis):
    augment = create_augmentation([{"op": op, "p": 0.3}], RGB.shape[:2])
    flipped = 0
    for position in range(1000):
        result = augment(RGB, 1, position)
        changed = not np.array_equal(result, RGB)
        np.testing.assert_array_equal(result, np.flip(RGB, axis) if changed else RGB)
        flipped += changed
    assert abs(flipped - 300) < 5 * np.sqrt(1000 * 0.3 * 0.7)


def test_a_mask_is_flipped_with_its_image_only_where_asked():
    mask = np.random.default_rng(1).integers(0, 2, RGB.shape[:2], dtype=np.uint8)
    own = create_augmentation(["hflip", "vflip"], RGB.shape[:2])
    shared = create_augmentation([{"op": "hflip", "with_mask": True}, "vflip"], RGB.shape[:2])
    outcomes = set()
    for position in range(30):
        np.testing.assert_array_equal(own.on_mask(mask, 0, position), mask)
        rgb, both = shared(RGB, 0, position), shared.on_mask(mask, 0, position)
        turned = np.array_equal(rgb, RGB[:, ::-1]) or np.array_equal(rgb, RGB[::-1, ::-1])
        np.testing.assert_array_equal(both, mask[:, ::-1] if turned else mask)
        outcomes.add(turned)
    assert outcomes == {True, False}


@given(st.tuples(st.integers(10, 300), st.integers(10, 300)), U)
def test_random_resized_boxes_lie_inside_with_area_and_proportions(source, u):
    crop = step("random_resized_crop", scale=[0.2, 0.9], ratio=[0.5, 2.0])
    top, left, h, w = crop.box(source, u)
    assert 0 <= top <= top + h <= source[0]
    assert 0 <= left <= left + w <= source[1]
    # rounding changes a length by half a pixel
    assert (h - 0.5) / 2 - 0.5 <= w <= (h + 0.5) * 2 + 0.5
    assert min(h, w) >= 1


def test_random_resized_areas_are_spread_evenly():
    crop = step("random_resized_crop", scale=[0.2, 0.6])
    u = np.random.default_rng(0).random((4000, 40))
    boxes = np.array([crop.box((400, 400), row.tolist()) for row in u])
    areas = boxes[:, 2] * boxes[:, 3] / 160_000
    assert abs(areas.mean() - 0.4) < 0.01
    assert np.histogram(areas, 4, (0.2, 0.6))[0].min() > 900
    assert abs(np.log(boxes[:, 3] / boxes[:, 2]).mean()) < 0.02


@given(st.tuples(st.integers(20, 90), st.integers(20, 90)), st.integers(0, 60), st.integers(0, 30), U)
def test_a_random_crop_takes_the_short_side_asked_for(source, low, more, u):
    rgb = np.zeros((*source, 3), np.uint8)
    rgb[..., 0] = np.arange(source[1])[None] * 255 / (source[1] - 1)  # a ramp that shows the scale
    crop = step("random_crop", short_side=[low, low + more])
    result = crop.crop(rgb, u, (16, 24))
    assert result.shape == (16, 24, 3)
    if low >= 24:
        side = low + int(u[2] * (more + 1))
        expected = 24 / (source[1] * side / min(source))  # the visible share of the width
        seen = (int(result[0, -1, 0]) - int(result[0, 0, 0])) / 255
        assert abs(seen - expected) < 0.12


def test_cuts_equal_the_rules_of_datasets(cat):
    for op, rule in (("center_crop", (200, 300)), ("squash", (200, 300))):
        result = step(op).crop(cat, [], rule)
        assert result.shape == (200, 300, 3)
    np.testing.assert_array_equal(
        step("squash", filter="lanczos").crop(cat, [], (20, 30)),
        np.asarray(Image.fromarray(cat).resize((30, 20), Image.Resampling.LANCZOS)),
    )
    plain = step("random_crop").crop(cat, [0.5, 0.25, 0.0], (100, 151))
    np.testing.assert_array_equal(plain, cat[100:200, 75:226])


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
@pytest.mark.parametrize("u", [0.0, 0.3, 0.5, 0.99])
def test_color_jitter_is_torchvisions_one_by_one(cat, name, u):
    strength = 0.3
    jitter = step("color_jitter", **{name: strength})
    drawn = strength * (2 * u - 1)
    ours = jitter.change(cat, [u] * 8)
    image = torch.from_numpy(cat.copy()).permute(2, 0, 1) / 255
    change = {
        "brightness": tv.adjust_brightness,
        "contrast": tv.adjust_contrast,
        "saturation": tv.adjust_saturation,
        "hue": tv.adjust_hue,
    }[name]
    theirs = (change(image, drawn if name == "hue" else 1 + drawn) * 255).permute(1, 2, 0).numpy()
    difference = np.abs(ours - theirs)
    if name == "hue":  # ours works on uint8, with 256 hues
        assert difference.mean() < 1.5
        assert np.quantile(difference, 0.99) < 8
    else:
        assert difference.max() < 0.6  # a single rounding


def test_color_jitter_composes_without_loss(cat):
    jitter = step("color_jitter", brightness=0.2, contrast=0.2, saturation=0.2)
    u = [0.7, 0.2, 0.9, 0.5, 0.3, 0.1, 0.2, 0.0]  # order: contrast, saturation, brightness
    gray = 0.5 * cat.astype(np.float64) + 64  # mid-tones, which are not clipped
    low = np.rint(gray).astype(np.uint8)
    image = torch.from_numpy(low.copy()).permute(2, 0, 1).double() / 255
    for change, value in ((tv.adjust_contrast, 0.2), (tv.adjust_saturation, 0.9), (tv.adjust_brightness, 0.7)):
        image = change(image, 1 + 0.2 * (2 * value - 1))
    theirs = (image * 255).permute(1, 2, 0).numpy()
    assert np.abs(jitter.change(low, u) - theirs).max() < 0.6


@pytest.mark.parametrize("op", [op for op in LAMA if op != "clahe"])
def test_distortions_of_no_strength_change_nothing(cat, op):
    calm = {  # no CLAHE, which has no neutral setting
        "perspective": {"scale": [0, 0]},
        "affine": {"scale": [1, 1], "rotate": [0, 0], "shear": [0, 0]},
        "optical_distortion": {"limit": 0, "shift": 0},
        "brightness_contrast": {"brightness": 0, "contrast": 0},
        "hue_saturation_value": {"hue": 0, "saturation": 0, "value": 0},
    }[op]
    distortion = step(op, **calm)
    result = distortion.change(cat, [0.3] * distortion.slots)
    # conversion to HSV and back loses up to two levels at low saturation
    assert np.abs(result.astype(int) - cat).max() <= (4 if op == "hue_saturation_value" else 0)


def test_affine_turns_and_scales_about_the_middle():
    dot = np.zeros((101, 101, 3), np.uint8)
    dot[50, 70] = 255
    turned = step("affine", scale=[1, 1], rotate=[90, 90], shear=[0, 0]).change(dot, [0, 0, 0])
    assert np.argwhere(turned[..., 0] > 128).tolist() == [[70, 50]]
    doubled = step("affine", scale=[2, 2], rotate=[0, 0], shear=[0, 0]).change(dot, [0, 0, 0])
    assert np.abs(np.argwhere(doubled[..., 0] > 128).mean(0) - [50, 90]).max() < 0.01
    mirrored = step("affine", scale=[0.5, 0.5], rotate=[0, 0], shear=[0, 0]).change(dot, [0, 0, 0])
    assert mirrored[50, 60].max() > 128
    assert (np.argwhere(mirrored[..., 0] > 128)[:, 1] > 75).any()  # the border mirrors


def test_perspective_only_looks_inside(cat):
    white = np.full((64, 64, 3), 200, np.uint8)
    white[2:-2, 2:-2] = 10
    strong = step("perspective", scale=[0.2, 0.2]).change(white, [0.9] * 17)
    assert (strong == 10).mean() > 0.99  # every corner moved inwards, beyond the frame


def test_brightness_contrast_by_hand():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    result = step("brightness_contrast").change(levels, [0.75, 0.25])
    by_hand = np.clip(np.rint(levels * 1.1 - 25.5), 0, 255)
    assert np.abs(result - by_hand).max() <= 1e-9


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("hflip", "`augment` must be a list of steps"),
        ([{"p": 1}], "Unknown step of `augment`: None"),
        (["hflop"], "Unknown step of `augment`: 'hflop'. Did you mean 'hflip' or 'vflip'"),
        ([{"op": "hflip", "prob": 1}], "Unknown argument of hflip: 'prob'"),
        ([{"op": "hflip", "p": 1.5}], "`p` of hflip must be from 0 to 1, got 1.5"),
        (["random_crop", "squash"], "`augment` may contain only one step that crops, got random_crop and squash"),
        ([{"op": "random_crop", "p": 0.5}], "`p` of random_crop must be 1"),
        ([{"op": "random_crop", "short_side": [9, 3]}], r"`short_side` of random_crop must be \[low, high\]"),
        ([{"op": "random_crop", "filter": "nearest"}], "`filter` of random_crop must be one of bicubic"),
        ([{"op": "random_resized_crop", "scale": [0.9, 0.1]}], "`scale` of random_resized_crop must be"),
        ([{"op": "color_jitter", "hue": 0.6}], "`hue` of color_jitter must be"),
        (
            [{"op": "affine", "rotate": [3, -3]}],
            r"`rotate` of affine must be \[low, high\] with low <= high, got \[3, -3\]",
        ),
    ],
)
def test_wrong_lists_are_answered_with_the_way_out(steps, message):
    with pytest.raises(ZooError, match=message):
        create_augmentation(steps, (32, 32))


def test_a_configuration_is_read_back():
    augment = create_augmentation(["random_resized_crop", JITTER, *LAMA], (32, 32))
    again = create_augmentation(augment.config(), (32, 32))
    assert again.steps == augment.steps
