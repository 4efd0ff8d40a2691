"""Mixtures: weights, union and intersection, nesting, acceptance, transforms, square crop, scaling with the size."""

import numpy as np
import pytest

from inpaint_zoo.masks import MaskConfigError, MaskWarning, create_generator, create_mask, mask_info
from tests.masks import plain

LEFT = {"kind": "half", "args": {"side": "left"}}
TOP = {"kind": "completion", "args": {"ratio": 0.5, "direction": "vertical", "reverse": False}}
FREE = {"min_hole": 0, "min_known": 0}


def one(config, size=(8, 12), index=0, **more):
    return create_generator({**config, **more})(index, size)


def test_choose_follows_the_weights():
    generator = create_generator({"components": [{**LEFT, "weight": 3}, {**TOP, "weight": 1}, {**TOP, "weight": 0}]})
    picks = [generator.meta(index, 16)["component"] for index in range(600)]
    assert abs(picks.count("half") / 600 - 0.75) < 0.06
    assert set(picks) == {"half", "completion"}


def test_the_strategies_of_glamas_ablation_are_nested():
    """GLaMa's Table 4: three mask types, the same three and two more, these five and two more, equally likely."""
    names = ("lama_mask", "lama_plus_mask", "general_mask")
    parts = [create_generator(name).config()["components"] for name in names]
    assert [len(part) for part in parts] == [3, 5, 7]
    assert {part["weight"] for part in parts[-1]} == {1.0}
    lama, plus, general = parts
    assert [part["args"] for part in lama] == [{"shape": shape, "size": 256} for shape in ("thin", "medium", "thick")]
    for fewer, more, added in (
        (lama, plus, {"nearest_neighbor", "every_n_lines"}),
        (plus, general, {"completion", "expand"}),
    ):
        assert all(part in more for part in fewer)
        assert {part["kind"] for part in more if part not in fewer} == added
    ratios = create_generator("lama_mask").batch(range(2000), 256).mean((1, 2))
    assert abs(ratios.mean() - mask_info("lama_mask").mean_ratio) < 4 * ratios.std() / 2000**0.5


def test_union_and_intersection():
    union = one({"combine": "union", "components": [LEFT, TOP]})
    both = one({"combine": "intersect", "components": [LEFT, TOP]})
    left, top = one({"components": [LEFT]}), one({"components": [TOP]})
    assert np.array_equal(union, left | top)
    assert np.array_equal(both, left & top)


def test_members_of_a_union_are_independent():
    nested = {"kind": "mixture", "args": {"preset": "ntire_completion"}}
    generator = create_generator({"combine": "union", "components": [nested, nested]})
    assert any(
        generator.meta(index, 64)["ratio"] > create_mask("completion", 64, index=index).mean() for index in range(5)
    )
    note = generator.meta(0, 64)
    assert note["component"] == ["mixture", "mixture"]
    assert note["nested"]["component"] == "completion"


def test_a_kind_is_the_mixture_of_itself():
    assert np.array_equal(create_mask("lama_box", index=3), one({"components": [{"kind": "lama_box"}]}, 256, 3))
    by_preset = create_generator({"preset": "lama_thick_256", "accept": None})
    assert by_preset.config()["accept"] is None
    assert by_preset.identity() != create_generator("lama_thick_256").identity()
    assert create_generator(by_preset.config()).identity() == by_preset.identity()


def test_identity_knows_masks_not_labels():
    first = create_generator({"name": "a", "suite_seed": 1, "preset": "cmod", "size": [64, 64]})
    second = create_generator({"name": "b", "suite_seed": 2, "components": [{"kind": "cmod"}]}, stream="test")
    assert first.identity() == second.identity()
    assert first.identity() == create_generator("cmod", hole_range=[0, 1]).identity()
    assert first.identity() != create_generator("cmod", hole_range=[0, 0.9]).identity()
    assert (first.name, first.seed, first.stream, first.size) == ("a", 1, "mask", (64, 64))
    assert second.stream == "test"
    assert first(0).shape == (64, 64)


def test_attempts_are_reported_and_end():
    generator = create_generator("completion", accept={"lo": 0.7, "hi": 0.75, "max_tries": 3, "on_fail": "raise"})
    with pytest.raises(MaskConfigError, match=r"no mask with a hole ratio in \(0.7, 0.75\].*in 3 attempts for index"):
        generator.batch(range(50), 64)


def test_closest_takes_the_earliest_of_the_nearest():
    accept = {"lo": 0.9, "hi": 0.95, "max_tries": 4, "on_fail": "closest"}
    generator = create_generator("completion", seed=8, accept=accept)
    with pytest.warns(MaskWarning, match=r"of 256 trial masks at size 64 x 64, 0 have a hole ratio in \(0.9, 0.95\]"):
        generator(0, 64)
    for index in range(5):
        ratios = []
        for attempt in range(4):
            sample = plain.Sample(8, "mask/0", index, [attempt])
            cut = int(64 * (0.2 + sample.u(0) * 0.6))
            ratios.append((64 - cut if sample.u(2) < 0.5 else cut) / 64)
        assert generator(index, 64).mean() == max(ratios)
        assert generator.meta(index, 64)["closest"]


def test_all_hole_and_no_hole_are_refused_unless_allowed():
    with pytest.raises(MaskConfigError, match=r"at least 1 hole and 1 known.*in 21 attempts"):
        create_mask("completion", 16, ratio=1.0, reverse=False)
    with pytest.raises(MaskConfigError, match="completion at size 16 x 16"):
        create_mask("completion", 16, ratio=0.01, reverse=False)
    assert create_mask("completion", 16, ratio=0.01, reverse=False, limits={"allow_empty": True}).sum() == 0
    assert create_mask("completion", 16, ratio=1.0, reverse=False, limits=FREE).all()


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        ({"op": "dilate", "k": 3}, [0b11111000] * 8),
        ({"op": "erode", "k": 3}, [0b11100000] * 8),
        ({"op": "invert"}, [0b00001111] * 8),
        ({"op": "hflip"}, [0b00001111] * 8),
        ({"op": "vflip"}, [0b11110000] * 8),
        ({"op": "rot90", "k": 1}, [0] * 4 + [255] * 4),
        ({"op": "resize", "size": [8, 8]}, [0b11110000] * 8),
        ({"op": "invert", "p": 0.0}, [0b11110000] * 8),
    ],
    ids=lambda value: value.get("op") if isinstance(value, dict) else "",
)
def test_transforms(transform, expected):
    expected = np.unpackbits(np.array(expected, dtype=np.uint8)[:, None], axis=1)
    assert np.array_equal(one({"components": [LEFT], "transforms": [transform]}, 8), expected)
    assert np.array_equal(one({"components": [{**LEFT, "transforms": [transform]}]}, 8), expected)


def test_dilation_and_erosion_as_the_specification_measured_them():
    square = {"kind": "center_square", "args": {"side": 200}}
    erode = {"op": "erode", "k": 15}
    sides = [one({"components": [square], "transforms": [erode] * steps}, 256).sum() ** 0.5 for steps in (1, 2, 3)]
    assert sides == [186, 172, 158]
    assert one({"components": [LEFT], "transforms": [{"op": "erode", "k": 15}]}, 64).sum() == 64 * (32 - 7)


def test_random_transforms_have_streams_of_their_own():
    config = {
        "components": [LEFT],
        "transforms": [{"op": "hflip", "p": 0.5}, {"op": "rot90", "k": {"choice": [0, 1, 2, 3]}}],
    }
    left = one({"components": [LEFT]}, 16)
    for index in range(12):
        flipped = plain.Sample(0, "mask/t0", index).u(0) < 0.5
        turns = int(4 * plain.Sample(0, "mask/t1", index).u(1))
        wanted = np.rot90(left[:, ::-1] if flipped else left, turns)
        assert np.array_equal(one(config, 16, index), wanted)


def test_square_crop_keeps_the_far_edge():
    tall = create_generator("lama_thick_256", square_crop=True, seed=3)
    assert tall.out_size((300, 200)) == (200, 200)
    whole = create_generator("lama_thick_256", accept=None, seed=3, limits=FREE)
    for index in range(10):
        mask = tall(index, (300, 200))
        assert mask.shape == (200, 200)
        assert 0 < mask.mean() <= 0.5
        if tall.meta(index, (300, 200))["attempts"] == 1:
            full = whole(index, (300, 200))
            last = int(np.flatnonzero(full.any(axis=1))[-1])
            starts = range(max(0, last - 199), min(100, last) + 1)
            assert any(np.array_equal(mask, full[start : start + 200]) for start in starts)
    assert np.array_equal(tall(0, 256), create_mask("lama_thick_256", 256, seed=3))


def test_scale_with_size_keeps_the_ratio():
    def mean(size, scale):
        generator = create_generator("lama_irregular", scale_with_size=scale, limits=FREE)
        return float(np.mean([generator.batch(range(k, k + 64), size).mean() for k in range(0, 640, 64)]))

    assert abs(mean(64, True) - 0.457) < 0.03
    assert abs(mean(64, False) - 0.927) < 0.03
    assert create_mask("fixed_25", 300).sum() == 150 * 150
    nested = {"components": [{"kind": "mixture", "args": {"preset": "center"}}], "scale_with_size": True}
    assert one(nested, 64).sum() == 32 * 32
    strokes = create_generator("ntire_thick_strokes", scale_with_size=True)
    assert strokes.batch(range(20), 64).mean() < 0.5


def test_shared_positions_in_a_batch():
    boxes = create_generator("ca_box", same_position_in_batch=4)
    places = [boxes.meta(index, 256)["bbox"] for index in range(8)]
    assert len(set(places[:4])) == len(set(places[4:])) == 1
    assert len(set(places)) == 2
    assert len({boxes(index, 256).tobytes() for index in range(4)}) > 1
    union = {
        "combine": "union",
        "components": [{"kind": kind, "args": {"per_batch": 4}} for kind in ("ca_box", "dfv2_brush")],
    }
    assert len({one(union, 256, index).tobytes() for index in range(4)}) == 1


def test_kinds_of_another_size_stand_alone():
    ring = {"kind": "expand", "args": {"size": 4, "mode": "exterior"}}
    assert one({"components": [ring]}, (8, 8)).shape == (12, 12)
    with pytest.raises(MaskConfigError, match="only in a mixture of one component"):
        one({"components": [ring, LEFT]}, (8, 8))


def test_half_and_circles_and_blocks():
    right = create_mask("half", (4, 7), side="right")
    assert right[:, 3:].all()
    assert not right[:, :3].any()
    block = create_mask("random_block", (9, 7), index=5)
    assert block.sum() == 4 * 3
    assert create_mask("four_circles", (512, 512)).mean() == pytest.approx(0.2394, abs=0.001)


def test_strokes_of_the_nearest_size_follow_the_canvas():
    """GLaMa evaluates images at original size: large ones need LaMa's 512-px masks, small ones its 256-px masks."""
    for canvas, side in (((256, 256), 256), ((700, 384), 256), ((385, 400), 512), ((600, 512), 512)):
        for shape in ("thin", "thick"):
            fixed, nearest = (create_generator("strokes", shape=shape, size=size) for size in (side, "nearest"))
            assert np.array_equal(nearest.batch(range(4), canvas), fixed.batch(range(4), canvas))
    by_size = create_generator("general_mask_by_size")
    assert np.array_equal(by_size.batch(range(40), 256), create_generator("general_mask").batch(range(40), 256))
    assert not np.array_equal(by_size.batch(range(40), 512), create_generator("general_mask").batch(range(40), 512))


def test_a_scaled_generator_multiplies_lengths_and_leaves_what_fits_every_size():
    quarter = create_generator({"name": "center", "size": 128}).scaled(0.25)
    assert np.array_equal(quarter(0, (64, 64)), create_mask({"name": "center", "size": 32}, (64, 64)))
    ratios = create_generator("lama_thick_256").scaled(0.25).batch(range(40), 64).mean()
    assert ratios == pytest.approx(create_generator("lama_thick_256").batch(range(40), 256).mean(), abs=0.1)
    fixed = create_generator("fixed_25")
    assert fixed.scaled(0.25) is fixed
