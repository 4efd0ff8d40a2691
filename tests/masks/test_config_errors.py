"""Every invalid configuration raises an error with the problem, the allowed values, and the most similar name."""

import pytest

from inpaint_zoo import errors
from inpaint_zoo.masks import MaskConfigError, create_generator, create_mask, list_masks, mask_info

BOX = {"kind": "lama_box"}
WRONG = [
    ("lama_thik_256", r"Unknown mask 'lama_thik_256'. Did you mean 'lama_thick_256'"),
    ({"name": "centre"}, r"Did you mean 'center'"),
    ({}, "must be a name or a mapping"),
    (["lama_wide"], "must be a name or a mapping"),
    ({"components": []}, "not empty"),
    ({"components": [BOX], "preset": "cmod"}, "not both"),
    ({"preset": "lama_wid"}, r"Unknown mask preset 'lama_wid'. Did you mean 'lama_wide'"),
    ({"components": ["lama_box"]}, "must be a mapping with `kind`"),
    ({"components": [{"kind": "lama_bx"}]}, r"Did you mean 'lama_box'.*Allowed: .*ca_box"),
    ({"components": [{"kind": "lama_box", "wieght": 2}]}, r"'wieght'. Did you mean 'weight'"),
    ({"components": [{"kind": "lama_box", "weight": -1}]}, "`weight` of lama_box must be at least 0, got -1"),
    ({"components": [{"kind": "lama_box", "weight": 0}]}, "must be above 0"),
    ({"components": [{"kind": "lama_box", "args": [1]}]}, "`args` of lama_box must be a mapping"),
    (
        {"components": [{"kind": "lama_box", "args": {"margins": 3}}]},
        r"'margins'. Did you mean 'margin'.*Allowed: margin",
    ),
    ({"components": [BOX], "combin": "union"}, r"'combin'. Did you mean 'combine'"),
    ({"components": [BOX], "combine": "join"}, r"Unknown `combine` 'join'.*Allowed: choose, union, intersect"),
    ({"components": [BOX], "transforms": {"op": "invert"}}, "`transforms` must be a list"),
    ({"components": [BOX], "transforms": ["invert"]}, "must be a mapping with `op`"),
    ({"components": [BOX], "transforms": [{"op": "dilat", "k": 3}]}, "Did you mean 'dilate'"),
    ({"components": [BOX], "transforms": [{"op": "dilate", "k": 4}]}, "`k` must be odd, got 4"),
    ({"components": [BOX], "transforms": [{"op": "dilate"}]}, "needs `k`"),
    (
        {"components": [BOX], "transforms": [{"op": "invert", "p": 1.5}]},
        "`p` of transform invert must be from 0 to 1, got 1.5",
    ),
    ({"components": [BOX], "accept": {"lo": 0.5, "hi": 0.5}}, "`lo` 0.5 must be less than `hi` 0.5"),
    ({"components": [BOX], "accept": {}}, "give `lo`, `hi` or both"),
    ({"components": [BOX], "accept": 0.5}, "`accept` must be a mapping or null"),
    ({"components": [BOX], "accept": {"hi": 0.5, "closed": "low"}}, "must be one of hi, both, neither"),
    ({"components": [BOX], "limits": {"min_holes": 3}}, "Did you mean 'min_hole'"),
    ({"components": [BOX], "square_crop": "yes"}, "`square_crop` must be true or false"),
    ({"components": [BOX], "stream": "test"}, "`suite_seed` is required"),
    ({"components": [BOX], "suite_seed": 1.5}, "seed must be an integer"),
    ({"components": [BOX], "seed": 3}, "'seed'.*Allowed: name, suite_seed"),
    ({"components": [{"kind": "mixture", "args": {"preset": "cmod", "size": 3}}]}, "Unknown key of a mixture: 'size'"),
    ({"components": [{"kind": "mixture", "args": {}}]}, "needs `components`"),
    ({"name": "lama_wide", "margin": 3}, "lama_wide, a mixture of 2 components: 'margin'"),
    ({"name": "center", "sid": 3}, r"Unknown argument of center: 'sid'. Did you mean 'side'.*Allowed: size, side"),
    ({"name": "center", "size": "big"}, "`side` of center_square must be an integer of at least 1, got 'big'"),
    ({"name": "center", "size": [64, 64]}, r"`side` of center_square must be an integer of at least 1, got \[64, 64\]"),
    ({"name": "strokes"}, "strokes needs `shape`"),
    ({"name": "files"}, "files needs `root`"),
    ({"name": "cmod", "hole_range": [0.5, 0.2]}, r"must be \[low, high\] with low < high"),
    ({"name": "cmod", "hole_range": [0.5]}, "a list of 2 or null"),
    ({"name": "cmod", "rects": False, "brush": False}, "one of `rects` and `brush`"),
    ({"name": "completion", "ratio": 0}, r"`ratio` of completion must be above 0, or \{choice"),
    ({"name": "completion", "ratio": {"uniform": [0.5, 0.1]}}, "or {uniform"),
    ({"name": "completion", "direction": "diagonal"}, "one of horizontal, vertical"),
    ({"name": "every_n_lines", "n": {"choice": []}}, "must be a value"),
    ({"name": "every_n_lines", "n": 1}, "`n` of every_n_lines must be at least 2, or"),
    ({"name": "expand", "size": "S/5"}, "S/4, S/3, S/2"),
    ({"name": "expand", "mode": "exterior"}, "needs one fixed `size`"),
    ({"name": "nearest_neighbor", "upsampling": True}, "needs one fixed `scale`"),
    ({"name": "ca_box", "max_delta": [300, 300]}, "can shrink mask_shape"),
    ({"name": "lama_box", "min_times": 5}, "min_times 5 exceeds max_times 4"),
    ({"name": "lama_box", "bbox_min_size": 200}, "exceeds bbox_max_size"),
    ({"name": "lama_irregular", "min_times": 9}, "min_times 9 exceeds max_times 5"),
    ({"name": "lama_superres", "min_width": 2}, "must be less than min_step"),
    ({"name": "lama_outpainting", "probs": [0, 0, 0, 0]}, "at least one of the four"),
    ({"name": "lama_outpainting", "min_padding": 0.5}, "must be less than max_padding"),
    ({"name": "lama_dumb", "lo": 0.5}, "lo 0.5 exceeds hi"),
    ({"name": "dfv2_brush", "min_width": 50}, "min_width 50 exceeds max_width 40"),
]
AT_SIZE = [
    ("lama_box", (50, 300), "no box of bbox_min_size 30 fits into size 50 x 300 with margin 10"),
    ("ca_box", (128, 256), r"mask_shape \[128, 128\] with margin \[0, 0\] needs more room than size 128 x 256"),
    ("center", (127, 256), "`side` 128 does not fit into size 127 x 256"),
    ({"name": "expand", "size": 64}, (60, 70), "does not fit into 60 x 70"),
    ("cmod", (15, 300), "cmod needs a height and width of at least 16, got size 15 x 300"),
    ("lama_thin_256", (300, 8), "lama_irregular needs a height and width of at least 16, got size 300 x 8"),
    ({"components": [BOX], "transforms": [{"op": "rot90", "k": 1}]}, (100, 90), "would change size 100 x 90"),
    ({"components": [BOX], "transforms": [{"op": "resize", "size": [9, 9]}]}, (100, 90), "would change size 100 x 90"),
    ({"name": "lama_outpainting", "max_padding": 0.05}, (16, 90), "no whole number of pixels"),
]


@pytest.mark.parametrize(("spec", "message"), WRONG, ids=lambda value: str(value)[:60])
def test_refused_at_load_time(spec, message):
    with pytest.raises(MaskConfigError, match=message):
        create_generator(spec)


@pytest.mark.parametrize(("spec", "size", "message"), AT_SIZE, ids=lambda value: str(value)[:40])
def test_refused_at_the_first_call(spec, size, message):
    generator = create_generator(spec)
    with pytest.raises(MaskConfigError, match=message):
        generator(0, size)


def test_errors_are_those_of_the_command_line():
    with pytest.raises(errors.UnknownNameError, match="Did you mean"):
        create_mask("lama_wid")
    assert issubclass(MaskConfigError, errors.ZooError)


def test_names_are_sorted_and_can_be_made():
    names = list_masks("cmod_h*")
    assert names == [f"cmod_h{k}" for k in range(5)]
    assert list_masks("*_512")[0] == "lama_medium_512"
    assert {"lama_wide", "center", "ntire_thick_strokes", "synthetic_50_60", "dfv2"} <= set(list_masks())
    assert not {"files", "mixture", "strokes"} & set(list_masks())
    for name in (*list_masks(), "files", "mixture", "strokes"):
        info = mask_info(name)
        assert info.summary
        assert info.section
        assert info.source
    assert mask_info("strokes").required == ("shape",)
    assert mask_info("center").args == {"side": 128}
    assert mask_info("cmod_h1").args["hole_range"] == [0.2, 0.4]
    with pytest.raises(MaskConfigError, match="Did you mean 'center'"):
        mask_info("centr")
