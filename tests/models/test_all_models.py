"""Test the common interface of all registered models, and of a trainable toy model."""

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import inpaint_zoo as iz
from tests.helpers.images import check_hole_fill, sample
from tests.helpers.toy import registered_toy

SIZES = [(63, 41), (16, 16), (16, 45), (64, 64)]
LARGE = 2_000_000
FULL_SIZE = (75, 107)  # no network's divisor divides them
BF16_TOLERANCE = 0.1


@pytest.fixture(scope="module", autouse=True)
def toy_is_registered():
    with registered_toy():
        yield


# one model after the other, so that each is built once
@pytest.fixture(params=[*iz.list_models(), "toy"], scope="module")
def name(request):
    return request.param


@functools.cache
def small_names():
    return [name for name in iz.list_models() if iz.model_info(name).parameters <= LARGE] + ["toy"]


def over(argument, values):
    """Combine every model but the large ones with every value."""
    pairs = [(name, value) for name in small_names() for value in values]
    return pytest.mark.parametrize(("name", argument), pairs, indirect=["name"], scope="module")


@functools.cache
def of_each_family():
    """Return every model, but only the first of each family's large ones, which has the same layers as the others."""
    seen, names = set(), []
    for name in [*iz.list_models(), "toy"]:
        info = iz.model_info(name) if name != "toy" else None
        if info is None or info.parameters <= LARGE or info.family not in seen:
            names.append(name)
        if info is not None and info.parameters > LARGE:
            seen.add(info.family)
    return names


def small_ones():
    """Every model but the large ones, which consist of the same layers and take many times as long."""
    return pytest.mark.parametrize("name", small_names(), indirect=True, scope="module")


@functools.lru_cache(maxsize=1)
def _built(name):
    return iz.create_model(name)


def build(name):
    """Return the model in eval mode, shared by all tests that do not train or change it."""
    return _built(name).eval()


@over("size", SIZES)
def test_shape_range_and_known_pixels(name, size):
    net = build(name)
    assert not net.training
    image, mask = sample(size, batch=2)
    with torch.no_grad():
        out = net(image, mask)
        stages = net.stages(image, mask)
    assert out.shape == image.shape
    assert out.dtype == image.dtype
    assert out.min() >= 0
    assert out.max() <= 1
    known = (mask == 0).expand_as(image)
    assert torch.equal(out[known], image[known])
    assert stages
    assert all(stage.shape == image.shape and stage.isfinite().all() for stage in stages.values())
    last = list(stages.values())[-1]
    assert torch.equal(out[~known], last.clamp(0, 1)[~known])


@pytest.mark.slow
@pytest.mark.parametrize("name", of_each_family(), indirect=True, scope="module")
def test_full_size(name):
    image, mask = sample(FULL_SIZE)
    with torch.no_grad():
        assert build(name)(image, mask).shape == image.shape


@over("rubbish", [float("nan"), float("inf"), -7.0, 0.25])
def test_hole_content_is_ignored(name, rubbish):
    net = build(name)
    image, mask = sample((48, 40))
    with torch.no_grad():
        assert torch.equal(net(image, mask), net(image.masked_fill(mask > 0, rubbish), mask))


# OpenCV's methods take none, though Telea's colors do depend on what it is told to replace
@pytest.mark.parametrize(
    "name",
    [n for n in iz.list_models() if iz.model_info(n).learned and iz.model_info(n).parameters <= LARGE] + ["toy"],
    indirect=True,
    scope="module",
)
def test_fillings(name):
    check_hole_fill(build(name))


@over("share", ["one known pixel", "none", "all", "one hole pixel"])
def test_extreme_masks(name, share):
    net = build(name)
    image, _ = sample((32, 32))
    mask = torch.full((1, 1, 32, 32), float(share in {"all", "one known pixel"}))
    if share.startswith("one"):
        mask[..., 5, 7] = 1 - mask[..., 5, 7]
    with torch.no_grad():
        out = net(image, mask)
    assert out.isfinite().all()
    assert torch.equal(out[(mask == 0).expand_as(out)], image[(mask == 0).expand_as(out)])


@small_ones()
def test_batch_equals_singles_and_eval_repeats(name):
    net = build(name)
    image, mask = sample((40, 56), batch=3)
    with torch.no_grad():
        batch = net(image, mask)
        assert torch.equal(batch, net(image, mask))
        singles = torch.cat([net(image[k : k + 1], mask[k : k + 1]) for k in range(3)])
    torch.testing.assert_close(batch, singles, atol=1e-5, rtol=0)


@small_ones()
def test_gradients_reach_every_parameter(name):
    if not iz.model_info(name).learned:
        assert not list(iz.create_model(name).parameters())
        return
    net = iz.create_model(name).train()
    image, mask = sample((64, 64), batch=2)
    loss = sum((stage - 0.3).square().mean() for stage in net.stages(image, mask).values())
    loss.backward()
    learning = {key: value for key, value in net.named_parameters() if value.requires_grad}
    assert learning
    without = [key for key, value in learning.items() if value.grad is None or not value.grad.abs().sum() > 0]
    assert not without


@pytest.mark.parametrize("name", [name for name in iz.list_models() if name not in small_names()])
def test_every_parameter_of_a_large_model_is_used(name):
    """On shapes alone, which need no time for weights and convolutions, and without a pass backward."""
    once = {"steps": 1} if name == "grig" else {}  # each step uses all parameters
    with torch.device("meta"):
        net = iz.create_model(name, **once).train()
        stages = net.stages_unchecked(torch.rand(2, 3, 64, 64), torch.zeros(2, 1, 64, 64))
        reached = reaches(sum(stage.sum() for stage in stages.values()))
    assert not [key for key, value in net.named_parameters() if value.requires_grad and id(value) not in reached]


def reaches(loss):
    """Return the ids of the parameters that a pass backward from ``loss`` gives a gradient."""
    found, seen, rest = set(), set(), [loss.grad_fn]
    while rest:
        node = rest.pop()
        if node is not None and node not in seen:
            seen.add(node)
            found |= {id(node.variable)} if hasattr(node, "variable") else set()
            rest += [other for other, _ in node.next_functions]
    return found


@small_ones()
def test_state_dict_and_file_round_trip(name, tmp_path):
    info = iz.model_info(name)
    net = iz.create_model(name)
    image, mask = sample((64, 64))
    with torch.no_grad():
        expected = net(image, mask)
        twin = iz.create_model(name)
        twin.load_state_dict(net.state_dict(), strict=True)
        assert torch.equal(twin(image, mask), expected)
        if not info.learned:
            return
        path = iz.save_weights(net, tmp_path / "net.safetensors", licence="Apache-2.0", training={"data": "none"})
        assert torch.equal(iz.create_model(name, weights=path)(image, mask), expected)
        torch.save(
            {"state_dict": {f"network.{key}": value for key, value in net.state_dict().items()}}, tmp_path / "a.ckpt"
        )
        assert torch.equal(iz.create_model(name, weights=tmp_path / "a.ckpt")(image, mask), expected)


@pytest.mark.slow
@small_ones()
def test_export(name):
    # all steps of GRIG are the same, and each of them takes as long to trace as another model
    net = iz.create_model(name, steps=1) if name == "grig_tiny" else build(name)
    image, mask = sample((64, 64))
    with torch.no_grad():
        program = torch.export.export(net, (image, mask))
        torch.testing.assert_close(program.module()(image, mask), net(image, mask), atol=1e-5, rtol=0)


@small_ones()  # many CPUs emulate bf16
def test_bf16_autocast(name):
    net = build(name)
    image, mask = sample((64, 64))
    with torch.no_grad():
        plain = net(image, mask)
        with torch.autocast("cpu", torch.bfloat16):
            half = net(image, mask)
    assert half.dtype == torch.float32
    assert torch.equal(half[(mask == 0).expand_as(half)], image[(mask == 0).expand_as(half)])
    torch.testing.assert_close(half, plain, atol=BF16_TOLERANCE, rtol=0)


@small_ones()
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("bf16", BF16_TOLERANCE)])
def test_optimized_form_gives_the_same(name, precision, tolerance):
    net = build(name)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    image, mask = sample((64, 72))
    fast = iz.optimize(net, precision)
    with torch.no_grad():
        torch.testing.assert_close(fast(image, mask), net(image, mask), atol=tolerance, rtol=0)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda(name):
    net = iz.create_model(name)
    image, mask = sample((64, 72), batch=2)
    with torch.no_grad():
        expected = net(image, mask)
        out = net.cuda()(image.cuda(), mask.cuda())
    assert out.is_cuda
    torch.testing.assert_close(out.cpu(), expected, atol=1e-2, rtol=0)


def broken():
    """Return all kinds of invalid input: name, arguments, and what the message must contain."""
    image, mask = sample((32, 32), batch=2)
    bad_known = image.clone()
    bad_known[0, 0, 0, 0] = 1.5
    nan_known = image.clone()
    nan_known[1, 2, -1, -1] = float("nan")
    clear = mask.clone()
    clear[0, 0, 0, 0] = clear[1, 0, -1, -1] = 0
    return {
        "image rank": (image[0], mask, r"`image` must be \(B, 3, H, W\), got \(3, 32, 32\)"),
        "mask rank": (image, mask[:, 0], r"`mask` must be \(B, 1, H, W\), got \(2, 32, 32\)"),
        "image channels": (image[:, :1], mask, r"`image` must have 3 channel"),
        "mask channels": (image, mask.expand(-1, 3, -1, -1), r"`mask` must have 1 channel.*mask\[:, :1\]"),
        "image dtype": ((image * 255).byte(), mask, r"`image` must be a floating-point tensor, got .*uint8"),
        "mask dtype": (image, mask.bool(), r"`mask` must be a floating-point tensor, got .*bool"),
        "no tensor": (image.numpy(), mask, r"`image` must be a tensor.*got ndarray"),
        "batch": (image, mask[:1], r"`mask` must be \(2, 1, 32, 32\) to match"),
        "sides": (image, mask[..., :31], r"`mask` must be \(2, 1, 32, 32\) to match"),
        "too small": (image[..., :15, :], mask[..., :15, :], r"at least 16 px, got \(2, 3, 15, 32\)"),
        "empty batch": (image[:0], mask[:0], r"at least one image"),
        "device": (image, mask.to("meta"), r"`mask` must be on the device of `image` \(cpu\), got meta"),
        "gray mask": (image, clear * 0.5, r"`mask` must hold only 0 \(known\) and 1 \(hole\), got 0\.5"),
        "nan mask": (image, clear * float("nan"), r"`mask` must hold only 0"),
        "known above 1": (bad_known, clear, r"`image` must lie in \[0, 1\] wherever the mask is 0, got 1\.5"),
        "known nan": (nan_known, clear, r"`image` must lie in \[0, 1\].*got nan"),
        "known -1": (image * 2 - 1, clear, r"From \[-1, 1\]"),
    }


@small_ones()
@pytest.mark.parametrize("case", broken())
def test_bad_input_is_refused_by_name(name, case):
    image, mask, message = broken()[case]
    with pytest.raises(ValueError, match=message), torch.no_grad():
        build(name)(image, mask)


@small_ones()
def test_training_steps_check_shapes_but_not_values(name):
    net = build(name).train()
    image, mask = sample((32, 32), batch=2)
    net.stages(image * 1.5, mask)
    with pytest.raises(ValueError, match="to match `image`"):
        net.stages(image, mask[:1])


@small_ones()
def test_any_size(name):
    net = build(name)

    @settings(max_examples=15, deadline=None)
    @given(H=st.integers(16, 80), W=st.integers(16, 80), seed=st.integers(0, 99))
    def check(H, W, seed):
        image, mask = sample((H, W), seed=seed)
        with torch.no_grad():
            out = net(image, mask)
        assert torch.equal(torch.where(mask > 0, 0, out), torch.where(mask > 0, 0, image))

    check()


def test_info(name):
    info = iz.model_info(name)
    assert info.name == name
    assert info.description
    assert info.source
    assert info.ready == (not info.learned or bool(info.weights))


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(iz.UnknownNameError, match=r"Unknown model 'tela'\. Did you mean 'telea'\? list_models\(\)"):
        iz.create_model("tela")
    with pytest.raises(iz.UnknownNameError, match=r"option of model 'telea': 'radios'\. Did you mean 'radius'"):
        iz.create_model("telea", radios=3)
    with pytest.raises(iz.UnknownNameError, match=r"'mean_fill' takes none"):
        iz.create_model("mean_fill", radius=3)
    with pytest.raises(iz.UnknownNameError, match="Unknown precision 'fp16'"):
        iz.optimize(iz.create_model("toy"), "fp16")
    with pytest.raises(iz.UnknownNameError, match="Unknown discriminator 'lamma'"):
        iz.create_discriminator("lamma")
    with pytest.raises(iz.UnknownNameError, match="Unknown converter 'nothing'"):
        iz.convert_official("nothing", {})


def test_lists_filter_like_a_shell():
    assert iz.list_models("tel*") == ["telea"]
    assert iz.list_models("nothing*") == []
    assert {"telea", "navier_stokes", "mean_fill"} <= set(iz.list_models())
