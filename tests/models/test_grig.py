"""Test GRIG's generator: sizes, the authors' recorded outputs, steps, options, padding, released checkpoints."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import inpaint_zoo as iz
from inpaint_zoo.analysis.macs import count_macs
from inpaint_zoo.cli.main import main
from inpaint_zoo.layers.aot import AOTBlock
from inpaint_zoo.models.grig.blocks import Noise, fixed_noise
from inpaint_zoo.models.grig.network import GRIGGenerator
from inpaint_zoo.weights import load_weights
from tests.helpers.fill import fill_module, read_keys, read_vector, vector_image, vector_mask
from tests.helpers.images import sample
from tests.helpers.recorded import close

TABLE = {  # parameters of each part, from the specification's table of rows
    "down_from_big": 1_152,
    "down_4": 72_064,
    "down_8": 1_172_992,
    "down_16": 426_752,
    "patch_embed": 55_296,
    "encoder_level1": 125_116,
    "down1_2": 10_368,
    "encoder_level2": 707_232,
    "se_256_16": 58_368,
    "down2_3": 41_472,
    "encoder_level3": 2_738_112,
    "se_128_8": 233_472,
    "down3_4": 165_888,
    "se_64_4": 933_888,
    "latent": 14_370_448,
    "up4_3": 2_654_208,
    "reduce_chan_level3": 73_728,
    "decoder_level3": 2_738_112,
    "up3_2": 663_552,
    "reduce_chan_level2": 18_432,
    "decoder_level2": 707_232,
    "up2_1": 165_888,
    "decoder_level1": 471_484,
    "refinement": 471_484,
    "output": 110_592,
    "feat_64": 295_424,
    "conv_64_3_3": 951_552,
    "up_se_64": 802_816,
    "feat_128": 221_698,
    "up_se_128": 200_704,
    "conv_128_3_3": 16_640,
    "feat_256": 36_992,
    "up_se_256": 50_176,
    "to_big": 864,
}
RECORDED = ["64", "128", "256", "64x128", "128x192", "40x56"]
TOLERANCE = {1: 2e-4, 2: 3e-4, 3: 3e-4}  # by step, and 1e-3 beyond: the error grows two- to threefold with each


@pytest.fixture(scope="module")
def recorded_net():
    """Return a network filled like the recorded ones, with residuals large enough to show errors."""
    net = fill_module(iz.create_model("grig"))
    with torch.no_grad():
        for name, layer in net.named_modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.weight *= 6 if name == "feat_256.2" else 2
                layer.bias *= 6 if name == "feat_256.2" else 2
            elif isinstance(layer, Noise):
                layer.weight.zero_()
    return net


def small(**options):
    """Return a network with few channels and all four levels."""
    torch.manual_seed(0)
    sizes = {"width": 8, "dim": 8, "blocks": (1, 1, 1, 1), "heads": (1, 2, 4, 8), "refinement": 1, "aot": 1}
    return GRIGGenerator(**sizes | options).eval()


def loud(net):
    """Set strong norms and noise, so that each step changes the hole visibly."""
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.weight.mul_(3)
            elif isinstance(layer, Noise):
                layer.weight.fill_(0.3)
    return net


def test_parameters_row_by_row():
    with torch.device("meta"):
        net = iz.create_model("grig")
    counts = {name: sum(value.numel() for value in part.parameters()) for name, part in net.named_children()}
    assert counts == TABLE
    assert sum(TABLE.values()) == iz.model_info("grig").parameters == 31_764_198


def test_names_and_their_order_are_the_released_ones():
    keys = read_keys("grig")
    with torch.device("meta"):
        net = iz.create_model("grig")
    assert [(key, list(value.shape)) for key, value in net.state_dict().items()] == list(keys.items())
    # the released averages are a bare list in the order of the parameters
    parameters = [name for name, _ in net.named_parameters()]
    assert len(parameters) == 603
    assert parameters == [name for name in keys if name in set(parameters)]


def test_variants_have_the_specified_sizes():
    with torch.device("meta"):
        larger, convolutional = iz.create_model("grig", im_size=512), iz.create_model("grig", core="convolution")
    assert sum(value.numel() for value in larger.parameters()) == 31_811_640
    core = 26_288_644 - 55_296 - 110_592  # without the convolutions at its ends
    assert sum(value.numel() for value in convolutional.parameters()) == 31_764_198 - core + 5_548_800
    assert iz.model_info("grig_tiny").parameters <= 1_500_000


@pytest.mark.slow
def test_macs_by_both_conventions():
    """Table 4 of the paper has thop's count: 20.47 G for one step, 61.41 G for three."""
    with torch.device("meta"):
        macs = count_macs(iz.create_model("grig", steps=1), 256, 256)
        once, three = (count_macs(iz.create_model("grig_tiny", steps=steps), 64, 64) for steps in (1, 3))
    assert round(3 * macs.thop / 1e9, 2) == 61.41
    assert macs.thop / 1e9 == pytest.approx(20.4711, abs=5e-5)
    assert macs.true / 1e9 == pytest.approx(20.538, abs=5e-4)  # with the attention's products
    assert (three.thop, three.true) == (3 * once.thop, 3 * once.true)


@pytest.mark.parametrize("size", RECORDED)
def test_recorded_outputs(recorded_net, size):
    vector = read_vector(f"grig_{size}")
    H, W = vector["output_shape"][-2:]
    image, mask = vector_image(H, W), vector_mask(H, W)
    target = image * 2 - 1
    seen: dict[str, torch.Tensor] = {}
    hooks = []
    for name in vector.get("intermediates", {}):

        def keep(_module, _inputs, out, name=name):
            seen.setdefault(name, out)

        hooks.append(recorded_net.get_submodule(name).register_forward_hook(keep))
    try:
        with torch.no_grad():
            stages = recorded_net.stages(image, mask, steps=len(vector["stages"]))
    finally:
        for hook in hooks:
            hook.remove()
    assert list(stages) == list(vector["stages"])
    before = target * (1 - mask)
    for number, (name, recorded) in enumerate(vector["stages"].items(), 1):
        raw, atol = stages[name] * 2 - 1, TOLERANCE.get(number, 1e-3)
        close(raw - before, recorded["residual"], atol)
        close(raw, recorded["raw"], atol)
        before = torch.where(mask > 0, raw, target)
        close(before, recorded["composite"], atol)
        if number == 1:
            close(before, vector["T1"], atol)
    close(before, vector, atol)
    for name, recorded in vector.get("intermediates", {}).items():
        # feature maps depend on the processor's kernels more than results do: 2.7e-4 of the spread was seen
        close(seen[name], recorded, 4e-4 * max(1.0, recorded["std"]))


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_steps_go_on_from_each_other(steps):
    """Each step takes the previous composite; another call from the result is one more step."""
    net = loud(small())
    image, mask = sample((64, 64), batch=2)
    with torch.no_grad():
        stages = net.stages(image, mask, steps=steps)
        out = net(image, mask, steps=steps)
        assert list(stages) == [f"step_{number}" for number in range(1, steps + 1)]
        current = torch.where(mask > 0, 0, image * 2 - 1)
        for number in range(1, steps + 1):
            raw = net.step(current, mask)
            torch.testing.assert_close(stages[f"step_{number}"] * 2 - 1, raw, atol=1e-6, rtol=0)
            current = torch.where(mask > 0, raw, image * 2 - 1)
        hole_fill = stages[f"step_{steps}"].clamp(0, 1)
        further = net.stages(image, mask, hole_fill=hole_fill, steps=1)["step_1"]
        inside = torch.where(mask > 0, hole_fill, image) * 2 - 1
        torch.testing.assert_close(further * 2 - 1, net.step(inside, mask), atol=1e-5, rtol=0)
    assert torch.equal(out[(mask == 0).expand_as(out)], image[(mask == 0).expand_as(image)])
    assert torch.equal(out, torch.where(mask > 0, stages[f"step_{steps}"].clamp(0, 1), image))
    assert (stages["step_1"] - 0.5)[mask.expand_as(image) > 0].abs().max() > 0.05  # the steps do something


@pytest.mark.parametrize("steps", [0, 10, -1])
def test_steps_out_of_range_are_refused(steps):
    with pytest.raises(iz.ZooError, match=f"`steps` must be 1 to 9, got {steps}"):
        small(steps=steps)
    net = small()
    with pytest.raises(iz.ZooError, match=f"`steps` must be 1 to 9, got {steps}"):
        net(*sample((64, 64)), steps=steps)


def test_only_the_last_step_is_kept_where_the_result_is_wanted():
    net = small(steps=9)
    kept = []
    predict = net.predict
    net.predict = lambda *args, **options: kept.append(predict(*args, **options)) or kept[-1]
    with torch.no_grad():
        net(*sample((64, 64)))
    assert list(kept[0]) == ["step_9"]


def test_no_gradient_crosses_steps():
    """No gradient flows within a call or between rounds; training accepts a filling outside [0, 1]."""
    net = loud(small()).train()
    image, mask = sample((64, 64), batch=2)
    entered = []
    net.down_from_big.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))
    stages = net.stages(image, mask, steps=3)
    assert len(entered) == 3
    assert not any(x.requires_grad for x in entered)
    assert all(stage.requires_grad for stage in stages.values())
    beyond = stages["step_3"].detach() * 4
    assert beyond[mask.expand_as(image) > 0].abs().max() > 1
    entered.clear()
    net.stages(image, mask, hole_fill=beyond, steps=1)["step_1"].sum().backward()
    torch.testing.assert_close(entered[0][:, :3], torch.where(mask > 0, beyond, image) * 2 - 1)


def test_what_the_step_adds_outside_the_hole_has_no_gradient():
    net = small().train()
    image, mask = sample((64, 64), batch=2)
    stage = net.stages(image, mask, steps=1)["step_1"]
    composite = torch.where(mask > 0, stage, image)
    (gradient,) = torch.autograd.grad(composite.sum(), stage)
    assert torch.equal(gradient, mask.expand_as(image))


@pytest.mark.parametrize("core", ["transformer", "convolution"])
def test_finite_right_after_construction(core):
    """Spectral norm starts from iterated vectors; with random vectors, eval mode gives values of about 1e34."""
    net = small(core=core)
    with torch.no_grad():
        out = net.stages(*sample((64, 64)))["step_3"]
    assert out.isfinite().all()
    assert (out - 0.5).abs().max() < 5


def test_initial_weights():
    torch.manual_seed(0)
    net = iz.create_model("grig")
    drawn = {
        "spectral": net.down_16.main[0].weight_orig,
        "plain": net.up4_3.body[0].weight,
        "depthwise": net.latent[0].attn.qkv_dwconv.weight,
    }
    for weight in drawn.values():
        assert weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert abs(weight.mean().item()) < 1e-3
    norms = torch.cat([layer.weight for layer in net.modules() if isinstance(layer, torch.nn.BatchNorm2d)])
    assert (norms.mean().item(), norms.std().item()) == (pytest.approx(1, abs=2e-3), pytest.approx(0.02, rel=0.1))
    assert net.down_8[1].fuse[1].bias.abs().max() > 0  # the code leaves the convolutions' biases as PyTorch draws them
    assert net.latent[0].norm1.body.weight.eq(1).all()
    assert net.feat_128[2].weight.item() == 0


def test_noise_modes():
    image, mask = sample((64, 64), batch=2)
    nets = {mode: loud(small(noise_mode=mode)) for mode in ("random", "const", "none")}
    with torch.no_grad():
        outs = {mode: net(image, mask) for mode, net in nets.items()}
        assert not torch.equal(nets["random"](image, mask), outs["random"])
        assert torch.equal(nets["const"](image, mask), outs["const"])
        assert (outs["const"] - outs["none"]).abs().max() > 1e-4
        alone = nets["const"](image[1:], mask[1:])
        torch.testing.assert_close(alone, outs["const"][1:], atol=1e-5, rtol=0)
        for layer in (*nets["const"].modules(), *nets["none"].modules()):
            if isinstance(layer, Noise):
                layer.weight.zero_()
        assert torch.equal(nets["const"](image, mask), nets["none"](image, mask))
    layer = nets["none"].feat_128[2].train()
    with torch.no_grad():
        layer.weight.fill_(0.3)
        assert not torch.equal(layer(image), layer(image))  # training draws, whatever the mode
    with pytest.raises(iz.UnknownNameError, match=r"Unknown noise mode 'constant'\. Did you mean 'const'"):
        small(noise_mode="constant")


def test_fixed_noise_is_standard_normal_and_a_function_of_the_place():
    noise = fixed_noise(256, 200, 3, torch.device("cpu"))
    assert noise.shape == (1, 1, 256, 200)
    assert torch.equal(noise[..., :64, :50], fixed_noise(64, 50, 3, torch.device("cpu")))
    assert abs(noise.mean().item()) < 0.02
    assert noise.std().item() == pytest.approx(1, abs=0.02)
    other = fixed_noise(256, 200, 4, torch.device("cpu"))
    for first, second in ((noise, other), (noise[..., 1:], noise[..., :-1]), (noise[..., 1:, :], noise[..., :-1, :])):
        assert abs(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1].item()) < 0.02
    quantiles = torch.quantile(noise.flatten(), torch.tensor([0.025, 0.5, 0.975]))
    torch.testing.assert_close(quantiles, torch.tensor([-1.96, 0.0, 1.96]), atol=0.04, rtol=0)


@pytest.mark.parametrize("size", [(40, 56), (16, 16), (64, 72)])
def test_padding_reflects_the_emptied_image_and_knows_what_it_added(size):
    net = loud(small())
    image, mask = sample(size)
    padded, hole = net.preprocess(image, mask)
    H, W = (-(-side // 64) * 64 for side in size)
    grown = ((0, H - size[0]), (0, W - size[1]))
    expected = np.pad(((image * 2 - 1) * (1 - mask))[0].numpy(), ((0, 0), *grown), mode="reflect")
    assert np.allclose(padded[0].numpy(), expected, atol=1e-6)
    assert np.array_equal(hole[0, 0].numpy(), np.pad(mask[0, 0].numpy(), grown))
    filled, same = net.preprocess(image, mask, torch.full_like(image, 0.25))
    assert torch.equal(same, hole)
    assert torch.equal(filled, torch.where(hole > 0, torch.tensor(-0.5), padded))
    with torch.no_grad():
        stages = net.stages(image, mask)
        canvas = net.predict(padded, hole)
    for name, stage in stages.items():
        torch.testing.assert_close(stage * 2 - 1, canvas[name][..., : size[0], : size[1]], atol=1e-6, rtol=0)


def test_512_and_other_levels_take_their_sides():
    larger, three = small(im_size=512), small(blocks=(1, 1, 1), heads=(1, 2, 4))
    assert (small().divisor, larger.divisor, three.divisor) == (64, 128, 32)
    assert "se_256_16" not in dict(three.named_children())
    for net, side in ((larger, 128), (three, 96), (three, 16)):
        image, mask = sample((side, side))
        with torch.no_grad():
            assert net(image, mask).shape == image.shape
    with pytest.raises(iz.ZooError, match=r"must both have 3 or 4 entries, got \(1, 1\)"):
        GRIGGenerator(blocks=(1, 1), heads=(1, 2))
    with pytest.raises(iz.ZooError, match="`im_size` must be 256 or 512, got 1024"):
        GRIGGenerator(im_size=1024)
    with pytest.raises(iz.UnknownNameError, match=r"Unknown core 'convolutions'\. Did you mean 'convolution'"):
        GRIGGenerator(core="convolutions")


def test_checkpointing_changes_memory_and_nothing_else():
    """Gradients, running statistics and singular vectors equal those without checkpointing."""
    image, mask = sample((128, 128), batch=2)
    results = []
    for checkpoint in (False, True):
        net = loud(small(checkpoint=checkpoint)).train()
        passes: list[object] = []
        net.latent.register_forward_pre_hook(lambda _, inputs, passes=passes: passes.append(inputs))
        torch.manual_seed(1)
        net.stages(image, mask, steps=1)["step_1"].square().mean().backward()
        gradients = {name: value.grad for name, value in net.named_parameters()}
        results.append((gradients, dict(net.named_buffers()), len(passes)))
    (kept, buffers, once), (again, same, twice) = results
    assert (once, twice) == (1, 2)
    assert kept.keys() == again.keys()
    for name, gradient in kept.items():
        torch.testing.assert_close(again[name], gradient, atol=1e-6, rtol=1e-4)
    for name, value in buffers.items():
        assert torch.equal(same[name], value), name


def test_fast_form_equals_the_plain_one(recorded_net):
    """With the recorded weights, whose residuals are large, and with noise."""
    for net, size in (
        (recorded_net, (128, 128)),
        (loud(small()), (64, 72)),
        (loud(small(core="convolution")), (40, 56)),
    ):
        image, mask = sample(size, batch=2)
        fast = iz.optimize(net)
        with torch.no_grad():
            expected, got = net.stages(image, mask, steps=1), fast.stages(image, mask, steps=1)
            # the recorded weights magnify rounding: plain ones with channels last differ by as much
            atol = 3e-5 if net is recorded_net else 1e-5
            torch.testing.assert_close(got["step_1"], expected["step_1"], atol=atol, rtol=0)
        assert not [key for key in fast.state_dict() if key.endswith(("weight_orig", "running_mean"))]


def released(net, generator):
    """Return a file like the authors': weights, and different averages."""
    live = {key: value.clone() for key, value in net.state_dict().items()}
    averages = [torch.randn(value.shape, generator=generator) for value in net.parameters()]
    return {"g": live, "d": {}, "patch_d": {}, "g_ema": averages, "iter": 7, "metrics": {"fid": 3.0}}


@pytest.mark.slow
def test_released_files_are_converted_to_their_averages(tmp_path):
    net = iz.create_model("grig")
    file = released(net, torch.Generator().manual_seed(0))
    converted = iz.convert_official("grig", file)
    names = [name for name, _ in net.named_parameters()]
    assert list(converted) == list(net.state_dict())
    assert all(torch.equal(converted[name], value) for name, value in zip(names, file["g_ema"], strict=True))
    assert all(torch.equal(converted[name], value) for name, value in net.named_buffers())
    live = iz.convert_official("grig", file["g"])
    assert all(torch.equal(value, file["g"][name]) for name, value in live.items())
    torch.save(file, tmp_path / "a_best_model.pt")
    out = tmp_path / "grig.safetensors"
    assert main(["convert", "--model", "grig", str(tmp_path), "--out", str(out)]) == 0
    state = load_weights(out).state
    assert all(torch.equal(state[name], value) for name, value in converted.items())


def test_conversion_is_strict():
    with torch.device("meta"):
        net = iz.create_model("grig")
    file = {"g": net.state_dict(), "g_ema": list(net.parameters())}
    with pytest.raises(iz.ZooError, match=r"does not fit 'grig': 1 missing: to_big\.weight_orig"):
        iz.convert_official("grig", {key: value for key, value in file["g"].items() if key != "to_big.weight_orig"})
    with pytest.raises(iz.ZooError, match=r"lists 602 averages in `g_ema`, but 'grig' has 603 .*`g` alone"):
        iz.convert_official("grig", file | {"g_ema": file["g_ema"][1:]})
    with pytest.raises(iz.ZooError, match=r"does not fit 'grig', `g_ema`: .* of another shape: down_from_big"):
        iz.convert_official("grig", file | {"g_ema": file["g_ema"][::-1]})


def test_blocks_reflect():
    """AOT's branches use reflection, not zero padding; the recorded values would not show where an error lies."""
    block = AOTBlock(8, spectral=True).eval()
    flat = torch.full((1, 8, 16, 16), 0.7)
    out = block(flat)
    torch.testing.assert_close(out, out[..., :1, :1].expand_as(out), atol=1e-6, rtol=0)
    assert F.l1_loss(out, flat) > 0
