import pytest
import torch

from inpaint_zoo.benchmark.convention import PRESETS, Convention
from inpaint_zoo.benchmark.methods.outside import OutsideNetwork
from inpaint_zoo.errors import ZooError
from inpaint_zoo.inference.batch import fill_batch
from tests.helpers.outside import Outside, fill, sample
from tests.helpers.suites import methods_of, small_suite


def network(convention, module=None):
    module = module or Outside(convention)
    return OutsideNetwork(lambda arguments, key: module(*arguments), convention), module


def run(convention, module=None, size=(64, 64)):
    image, hole = sample(size)
    net, module = network(convention, module)
    return fill_batch(net, image, hole > 0.5), module


@pytest.mark.parametrize(
    "convention",
    [
        Convention(),
        Convention(range=(-1.0, 1.0), output_range=(-1.0, 1.0)),
        Convention(range=(0.0, 255.0), output_range=(0.0, 255.0)),
        Convention(output_range=(0.0, 255.0)),
        Convention(mask_hole=0.0, mask_known=1.0),
        Convention(mask_hole=255.0, mask_channels=3),
        Convention(mask_hole=1.0, mask_known=-1.0),
        Convention(inputs=("mask", "image")),
        Convention(inputs=("image+mask",), mask_channels=3),
        Convention(inputs=("mask+image",), layout="channels_last"),
        Convention(channels="bgr", range=(-1.0, 1.0), output_range=(0.0, 1.0)),
        Convention(layout="channels_last"),
        Convention(hole_value=0.5),
        Convention(hole_value="mean"),
        Convention(hole_value="neighbor_fill"),
    ],
    ids=lambda convention: str(convention.plain()),
)
def test_the_result_is_the_same_in_every_convention(convention):
    image, hole = sample()
    result, _ = run(convention)
    torch.testing.assert_close(result, fill(image, 1 - hole), atol=1e-5, rtol=0)
    known = (hole == 0).expand_as(image)
    assert torch.equal(result[known], image[known])


@pytest.mark.parametrize(
    ("convention", "side"),
    [
        (Convention(multiple_of=32), (64, 96)),
        (Convention(min_size=100), (100, 100)),
        (Convention(square=True), (80, 80)),
        (Convention(square=True, multiple_of=32), (96, 96)),
        (Convention(size=(96, 128), size_by="pad"), (96, 128)),
        (Convention(multiple_of=32, padding="reflect"), (64, 96)),
    ],
    ids=lambda value: str(value.plain()) if isinstance(value, Convention) else "",
)
def test_images_are_padded_to_the_sizes_that_the_model_takes(convention, side):
    """Known pixels in the padding change the result only near the border, where there is no hole."""
    image, hole = sample((64, 80))
    result, module = run(convention, size=(64, 80))
    assert module.shapes == [(1, 3, *side)]
    torch.testing.assert_close(result, fill(image, 1 - hole), atol=0.02, rtol=0)


@pytest.mark.parametrize("size", [(32, 32), (96, 112)])
def test_images_are_resized_to_the_only_size_that_the_model_takes(size):
    image, hole = sample((64, 80))
    result, module = run(Convention(size=size), size=(64, 80))
    assert module.shapes == [(1, 3, *size)]
    assert float((result - fill(image, 1 - hole)).abs().max()) < 0.1  # the model's window has another size there
    known = (hole == 0).expand_as(image)
    assert torch.equal(result[known], image[known])


def test_no_value_of_the_hole_reaches_a_resized_image():
    image, hole = sample()
    net, _ = network(Convention(size=(48, 48)))
    clean = net.native(image, hole)
    dirty = net.native(image.masked_fill(hole > 0.5, torch.nan), hole)
    assert all(torch.equal(one, other) for one, other in zip(clean, dirty, strict=True))
    assert float(clean[1].sum()) > 0.75**2 * float(hole.sum())  # pixels at the border of the hole are hole


def test_larger_images_than_a_padded_size_are_refused():
    with pytest.raises(ZooError, match=r"the image has 64x64 px, but `size` is 48x64 px: set `size_by: resize`"):
        run(Convention(size=(48, 64), size_by="pad"))


# wrong conventions


def wrong(convention, **stated):
    """Run a model of one convention as if it had another."""
    return run(Convention(**stated), Outside(convention, convention.output_range))


@pytest.mark.parametrize(
    ("returned", "stated", "message"),
    [
        (
            (0.0, 255.0),
            (0.0, 1.0),
            r"values from 25\.5 to 229\.5, but .*set `output_range: \[0, 255\]`",
        ),
        ((-1.0, 1.0), (0.0, 1.0), r"`output_range` is \[0, 1\]; its known pixels equal the image in \[-1, 1\]"),
        ((0.0, 1.0), (-1.0, 1.0), r"`output_range` is \[-1, 1\]; .*set `output_range: \[0, 1\]`"),
        ((0.0, 1.0), (0.0, 255.0), r"set `output_range: \[0, 1\]`"),
    ],
)
def test_a_wrong_output_range_is_named(returned, stated, message):
    with pytest.raises(ZooError, match=message):
        wrong(Convention(output_range=returned), output_range=stated)


def test_values_far_from_any_range_are_named():
    convention = Convention()
    net = OutsideNetwork(lambda arguments, key: arguments[0] * 0 + torch.rand(1, 3, 64, 64) * 200, convention)
    image, hole = sample()
    with pytest.raises(ZooError, match=r"but `output_range` is \[0, 1\]; set `output_range`"):
        fill_batch(net, image, hole > 0.5)


@pytest.mark.parametrize(("truly", "stated"), [(0.0, 1.0), (1.0, 0.0)])
def test_an_inverted_mask_is_named(truly, stated):
    message = rf"left the hole as it was .*: set `mask_hole: {truly:g}` \(it is {stated:g}\)"
    with pytest.raises(ZooError, match=message):
        wrong(Convention(mask_hole=truly, mask_known=1 - truly), mask_hole=stated, mask_known=1 - stated)


def test_doubts_that_hold_for_most_images_are_notes():
    image, hole = sample()
    net = OutsideNetwork(lambda arguments, key: arguments[0], Convention())
    for key in "abc":
        fill_batch(net, image, hole > 0.5, key=key)
    assert net.detector.notes() == ["the result equals the input, also in the hole; check `mask_hole: 1`"]
    assert net.detector.notes() == []
    net.run = lambda arguments, key: arguments[0] if key == "a" else fill(arguments[0], 1 - arguments[1])
    for key in "abc":
        fill_batch(net, image, hole > 0.5, key=key)
    assert net.detector.notes() == []
    net.run = lambda arguments, key: torch.full((1, 3, 64, 64), -0.2)  # about the mean of a dark image in [-1, 1]
    fill_batch(net, image, hole > 0.5, key="a")
    assert net.detector.notes() == ["many values lie outside of `output_range: [0, 1]`"]


def test_results_that_need_not_be_wrong_are_accepted():
    """A black image, a model that overshoots, and one that does not reproduce known pixels."""
    image, hole = sample()
    dark = OutsideNetwork(lambda arguments, key: arguments[0], Convention(range=(-1.0, 1.0), output_range=(-1.0, 1.0)))
    fill_batch(dark, image * 0, hole > 0.5)
    wild = OutsideNetwork(lambda arguments, key: torch.rand(1, 3, 64, 64) * 1.4 - 0.2, Convention())
    result = fill_batch(wild, image, hole > 0.5)
    assert wild.detector.notes() == []
    assert float(result.min()) >= 0
    assert float(result.max()) <= 1


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (torch.full((1, 3, 64, 64), torch.nan), "it returned NaN or infinity"),
        (torch.zeros(1, 64, 64, 3), r"instead of \(1, 3, 64, 64\); set `layout: channels_last`"),
        (torch.zeros(1, 3, 32, 32), r"it returned \(1, 3, 32, 32\) float32 .*; set `size` or `multiple_of`"),
        (torch.zeros(3, 64, 64), r"it returned \(3, 64, 64\) float32 instead of \(1, 3, 64, 64\)$"),
        ("text", "it returned str instead of a tensor"),
    ],
)
def test_results_that_are_no_image_are_named(output, message):
    image, hole = sample()
    net = OutsideNetwork(lambda arguments, key: output, Convention())
    with pytest.raises(ZooError, match=message):
        fill_batch(net, image, hole > 0.5)


def test_errors_of_the_model_name_what_it_was_given():
    def fails(arguments, key):
        raise RuntimeError("Traceback of an interpreter\n  line 3\nRuntimeError: size mismatch.\n")

    image, hole = sample()
    message = (
        r"failed on \(1, 3, 64, 64\) float32 and \(1, 1, 64, 64\) float32: RuntimeError: size mismatch; if it takes"
    )
    with pytest.raises(ZooError, match=message):
        fill_batch(OutsideNetwork(fails, Convention()), image, hole > 0.5)


# the key of a suite


def convention_of(tmp_path, stated, kind="onnx"):
    target = "x {image} {mask} {output}" if kind == "cmd" else "x"
    return small_suite(tmp_path, methods=[{kind: target, "convention": stated}]).methods[0].convention


def test_presets_and_what_overrides_them(tmp_path):
    assert convention_of(tmp_path, {}) == PRESETS["inpaint_zoo"] == Convention()
    lama = convention_of(tmp_path, "lama_onnx")
    assert (lama.range, lama.output_range, lama.size, lama.mask_hole) == ((0, 1), (0, 255), (512, 512), 1)
    assert convention_of(tmp_path, {"preset": "lama_onnx", "size": 256}).size == (256, 256)
    dynamic = convention_of(tmp_path, {"preset": "lama_onnx", "multiple_of": 8})
    assert (dynamic.size, dynamic.multiple_of, dynamic.output_range) == (None, 8, (0, 255))
    assert convention_of(tmp_path, "lama_torchscript") == Convention(multiple_of=8)


def test_values_that_follow_from_others(tmp_path):
    given = convention_of(tmp_path, {"range": [-1, 1], "mask_hole": 0, "hole_value": 0, "multiple_of": 8})
    assert (given.output_range, given.mask_known, given.hole_value) == ((-1, 1), 1, 0)
    assert convention_of(tmp_path, {"range": [-1, 1], "output_range": [0, 1]}).output_range == (0, 1)
    assert given.plain() == {
        "range": [-1, 1],
        "output_range": [-1, 1],
        "mask_hole": 0,
        "mask_known": 1,
        "multiple_of": 8,
    }


@pytest.mark.parametrize(
    ("kind", "stated", "message"),
    [
        (
            "onnx",
            {"mask_hol": 1},
            r"suite\.yaml:\d+: Unknown key of a convention: 'mask_hol'. Did you mean",
        ),
        ("onnx", "lama_onx", r"Unknown convention 'lama_onx'. Did you mean 'lama_onnx'"),
        ("onnx", 3, "'convention' must be a mapping of keys, or one of inpaint_zoo, lama_onnx"),
        ("onnx", {"range": [1, 0]}, r"'range' of a convention must be \[low, high\] with low < high"),
        ("onnx", {"hole_value": 255}, "'hole_value' must lie in 'range', from 0 to 1, got 255"),
        ("onnx", {"hole_value": "none"}, "must be a number or one of mean, neighbor_fill, got 'none'"),
        ("onnx", {"size": [64], "size_by": "pad"}, "'size' of a convention must be a list of 2"),
        ("onnx", {"size": 64, "multiple_of": 8}, "so 'multiple_of' has no effect"),
        ("onnx", {"size_by": "pad"}, "'size_by' needs 'size'"),
        ("onnx", {"mask_hole": 0, "mask_known": 0}, "'mask_hole' and 'mask_known' are both 0"),
        ("onnx", {"inputs": ["image"]}, r"must be \[image, mask\], \[mask, image\], image\+mask or mask\+image"),
        ("cmd", {"range": [-1, 1]}, "Unknown key of a convention: 'range'"),
        ("cmd", {"mask_hole": 255}, "'mask_hole' of a convention must be one of 0, 1, got 255"),
        ("cmd", "lama_onnx", "'convention' must be a mapping of keys, got 'lama_onnx'"),
        ("diffusers", {"layout": "channels_last"}, "Unknown key of a convention: 'layout'"),
    ],
)
def test_wrong_values_are_named_with_their_line(tmp_path, kind, stated, message):
    with pytest.raises(ZooError, match=message):
        convention_of(tmp_path, stated, kind)


def test_a_convention_is_part_of_the_identity(tmp_path):
    (tmp_path / "x").write_bytes(b"")
    methods = [{"onnx": "x", "label": "a"}, {"onnx": "x", "convention": "lama_onnx", "label": "b"}]
    one, other = (method.identity(None) for method in methods_of(small_suite(tmp_path, methods=methods)))
    assert one["weights_sha256"] == other["weights_sha256"]
    assert one != other
    assert len(one["weights_sha256"]) == 64
