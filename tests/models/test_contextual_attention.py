"""Test Contextual Attention and GLCIC: sizes, the authors' recorded outputs, checkpoints, critics, offsets."""

import pytest
import torch

import inpaint_zoo as iz
from inpaint_zoo.analysis.macs import count_macs
from inpaint_zoo.cli.main import main
from inpaint_zoo.combinators import hole_ns as hole_ns_of
from inpaint_zoo.errors import ZooError
from inpaint_zoo.models.contextual_attention import ContextualAttentionGenerator
from inpaint_zoo.ops import composite, hole_ns
from inpaint_zoo.weights import load_weights
from tests.helpers.fill import fill, fill_module, read_keys, read_vector, vector_image
from tests.helpers.recorded import close_sample_std as close

PARAMETERS = {"contextual_attention": 3_601_542, "glcic": 2_758_118}


def official(part):
    """Return a network's state dict with the authors' keys, filled by these keys."""
    keys = read_keys(f"ca_{part}")
    return fill({key: torch.zeros(shape) for key, shape in keys.items()})


def test_sizes():
    for name, parameters in PARAMETERS.items():
        assert iz.model_info(name).parameters == parameters
        assert iz.model_info(f"{name}_tiny").parameters < 1_000_000
    for name, macs in (("contextual_attention", 22.435 + 1.208 + 2.147), ("glcic", 18.398)):
        with torch.device("meta"):
            assert count_macs(iz.create_model(name), 256, 256).true / 1e9 == pytest.approx(macs, abs=0.002)


def test_glcic_has_the_names_of_contextual_attention_without_its_branch():
    with torch.device("meta"):
        full, bare = (iz.create_model(name).state_dict() for name in ("contextual_attention", "glcic"))
    assert [key for key in full if "pmconv" not in key] == list(bare)
    assert {key for key in bare if bare[key].shape != full[key].shape} == {"fine_generator.allconv11.conv.weight"}


def test_recorded_chain():
    """Two 256 px images, as when the losses were recorded: the gradient passes through attention and composite."""
    net = iz.create_model("contextual_attention")
    net.load_state_dict(iz.convert_official("contextual_attention", official("generator")))
    recorded = read_vector("ca_losses")["chain"]
    x = vector_image(256, 256) * 2 - 1
    target = torch.cat([x, x.flip(3)])
    mask = torch.zeros(2, 1, 256, 256)
    mask[..., 67:181, 81:187] = 1
    with torch.no_grad():
        stages = net.predict(target * (1 - mask), mask)
    assert list(stages) == ["coarse", "fine"]
    close(composite(stages["fine"], target, mask), recorded["x2_composite"], 1e-5)
    l1_known = {name: ((stage - target) * (1 - mask)).abs().mean().item() for name, stage in stages.items()}
    assert 1.2 * l1_known["coarse"] + l1_known["fine"] == pytest.approx(recorded["values_named"]["ae"], abs=1e-5)


@pytest.mark.parametrize(("name", "size"), [("local", 128), ("global", 256)])
def test_recorded_scores(name, size):
    critic = iz.create_discriminator(f"ca_{name}")
    critic.load_state_dict(iz.convert_official(f"ca_{name}_discriminator", official(f"{name}_disc")))
    recorded = read_vector("ca_critics")[name]
    x = vector_image(size, size) * 2 - 1
    batch = torch.cat([x, x.flip(3)])
    with torch.no_grad():
        close(critic.dis_conv_module(batch), recorded["features_conv4"], 1e-5)
        scores = critic(batch)
    assert list(scores.shape) == recorded["output"]["output_shape"]
    torch.testing.assert_close(scores.flatten(), torch.tensor(recorded["output"]["values"]), atol=1e-5, rtol=0)


def test_sizes_of_critics():
    for name, parameters in (("ca_local", 2_684_289), ("ca_global", 2_733_441)):
        with torch.device("meta"):
            critic = iz.create_discriminator(name)
        assert sum(parameter.numel() for parameter in critic.parameters()) == parameters
    tiny = iz.create_discriminator("ca_local", size=32, width=8)
    assert tiny(torch.zeros(2, 3, 32, 32)).shape == (2, 1)
    assert iz.create_discriminator("ca_local", local_conv4=512).linear.in_features == 512 * 8 * 8
    tensorflow = iz.create_discriminator("ca_global", size=64, width=8, tf_same=True)
    assert tensorflow(torch.zeros(1, 3, 64, 64)).shape == (1, 1)
    with pytest.raises(ZooError, match=r"must be \(B, 3, 32, 32\), got \(1, 3, 64, 64\)\. Create the critic with"):
        tiny(torch.zeros(1, 3, 64, 64))
    with pytest.raises(ZooError, match="`size` must be a multiple of 16, got 40"):
        iz.create_discriminator("ca_global", size=40)


def test_released_files_are_converted_by_the_command_line(tmp_path, capsys):
    generator = official("generator")
    critics = {f"{part}D": official(f"{part}_disc") for part in ("local", "global")}
    torch.save(generator, tmp_path / "gen_00430000.pt")
    torch.save({key: value * 0 for key, value in generator.items()}, tmp_path / "gen_00090000.pt")
    torch.save(critics, tmp_path / "dis_00430000.pt")
    for name, state in (
        ("contextual_attention", generator),
        ("ca_local_discriminator", critics["localD"]),
        ("ca_global_discriminator", critics["globalD"]),
    ):
        out = tmp_path / f"{name}.safetensors"
        assert main(["convert", "--model", name, str(tmp_path), "--out", str(out)]) == 0
        converted = load_weights(out).state
        assert converted.keys() == state.keys()
        assert all(torch.equal(value, converted[key]) for key, value in state.items())
    assert f"parameters from {tmp_path / 'gen_00430000.pt'}" in capsys.readouterr().out
    net = iz.create_model("contextual_attention", weights=tmp_path / "contextual_attention.safetensors")
    assert torch.equal(net.coarse_generator.conv1.conv.bias, generator["coarse_generator.conv1.conv.bias"])


def test_conversion_takes_parts_of_the_trainer_and_is_strict():
    generator, local = official("generator"), official("local_disc")
    flat = {f"netG.{key}": value for key, value in generator.items()}
    everything = flat | {f"localD.{key}": value for key, value in local.items()}
    for state in (generator, flat, everything, {"netG": generator, "localD": local}):
        assert iz.convert_official("contextual_attention", state).keys() == generator.keys()
    assert iz.convert_official("ca_local_discriminator", everything).keys() == local.keys()
    with pytest.raises(ZooError, match=r"1 left over: extra\.weight"):
        iz.convert_official("contextual_attention", {**flat, "extra.weight": torch.zeros(1)})
    with pytest.raises(ZooError, match=r"1 missing: coarse_generator\.conv1\.conv\.weight"):
        iz.convert_official("contextual_attention", {k: v for k, v in flat.items() if k != next(iter(flat))})
    with pytest.raises(ZooError, match=r"left over: fine_generator\.pmconv1"):
        iz.convert_official("glcic", generator)
    with pytest.raises(ZooError, match=r"linear\.weight is \(1, 16384\), expected \(1, 65536\)"):
        iz.convert_official("ca_global_discriminator", local)


def test_attention_offsets():
    net = fill_module(ContextualAttentionGenerator(8))
    image, mask = vector_image(61, 90), torch.zeros(1, 1, 61, 90)
    mask[..., 16:40, 24:56] = 1
    with torch.no_grad():
        offsets = net.attention_offsets(image, mask)
        filled = net.attention_offsets(image.masked_fill(mask > 0, float("nan")), mask)
        fast = iz.optimize(net).network.attention_offsets(image, mask)
    assert offsets.shape == (1, 2, 8, 12)
    assert offsets.dtype == torch.int64
    assert torch.equal(offsets, filled)
    assert (offsets != fast).float().mean() <= 0.01
    places = torch.stack(torch.meshgrid(torch.arange(8), torch.arange(12), indexing="ij"))
    rows, columns = (offsets[0] + places).unbind()
    assert rows.min() >= 0
    assert rows.max() < 8
    assert columns.min() >= 0
    assert columns.max() < 12
    # no patch touches the hole, which covers the places (2..4, 3..6)
    assert not ((rows >= 1) & (rows <= 5) & (columns >= 2) & (columns <= 7)).any()


class FirstThree(torch.nn.Module):
    def forward(self, x):
        return x[:, :3]


def test_attention_offsets_behind_navier_stokes():
    """The offsets equal those of the network with the filling, also for sizes that are no multiple of the divisors."""
    inner = fill_module(ContextualAttentionGenerator(8))
    inner.coarse_generator = FirstThree()  # the filling reaches the attention through it alone
    net = hole_ns_of(inner)
    image, mask = vector_image(61, 90), torch.zeros(1, 1, 61, 90)
    mask[..., 16:40, 24:56] = 1
    with torch.no_grad():
        expected = inner.attention_offsets(image, mask, hole_fill=hole_ns(image, mask))
        assert torch.equal(net.attention_offsets(image, mask), expected)
        assert torch.equal(net.attention_offsets(image.masked_fill(mask > 0, float("nan")), mask), expected)
        assert not torch.equal(inner.attention_offsets(image, mask), expected)
    assert net.attention_place == inner.attention_place == 8
    with pytest.raises(ZooError, match="ignores the content of the hole"):
        net.attention_offsets(image, mask, hole_fill=image)
    assert not hasattr(hole_ns_of(iz.create_model("glcic_tiny")), "attention_offsets")


def test_tensorflow_pads_behind():
    """A strided convolution with a single nonzero weight shows where its window begins."""
    nets = (ContextualAttentionGenerator(4, tf_same=tf_same) for tf_same in (True, False))
    same, plain = (net.coarse_generator.conv2_downsample for net in nets)
    x = torch.rand(1, 4, 8, 8)
    with torch.no_grad():
        for block, first in ((same, 0), (plain, -1)):
            block.conv.weight.zero_()
            block.conv.weight[:, 0, 0, 0] = 1
            block.conv.bias.zero_()
            expected = torch.nn.functional.pad(x[:, 0], (-first, 1, -first, 1))[:, :8:2, :8:2]
            torch.testing.assert_close(block(x)[:, 0], expected)


def test_options_reach_the_attention():
    net = iz.create_model("contextual_attention", width=4, fuse_k=5, mask_reduce="max", norm="tf", first_mask_only=True)
    attention = net.fine_generator.attention
    assert (attention.reach, attention.mask_reduce, attention.norm, attention.first_mask_only) == (2, "max", "tf", True)
    with pytest.raises(ZooError, match="`width` must be even and positive, got 5"):
        iz.create_model("glcic", width=5)


@pytest.mark.parametrize("hole", [(0, 20, 0, 17), (30, 31, 60, 61), (70, 96, 90, 120), (40, 41, 0, 120)], ids=str)
def test_fast_form_is_exact_around_the_hole(hole):
    net = fill_module(ContextualAttentionGenerator(8))
    top, bottom, left, right = hole
    image, mask = vector_image(96, 120), torch.zeros(1, 1, 96, 120)
    mask[..., top:bottom, left:right] = 1
    with torch.no_grad():
        torch.testing.assert_close(iz.optimize(net)(image, mask), net(image, mask), atol=1e-5, rtol=0)
