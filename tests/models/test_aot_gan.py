"""Test AOT-GAN: sizes, the authors' recorded outputs, their checkpoints, the inference form."""

import pytest
import torch

import inpaint_zoo as iz
from inpaint_zoo.analysis.macs import count_macs
from inpaint_zoo.cli.main import main
from inpaint_zoo.models.aot_gan import AOTGANGenerator
from inpaint_zoo.weights import load_weights
from tests.helpers.fill import read_vector, vector_image, vector_mask
from tests.helpers.images import sample
from tests.helpers.recorded import close, numbered, official

RECORDED = [(64, 64), (40, 56), (256, 256)]
LAST = "decoder.4"  # the authors' decoder ends before the tanh


def test_parameters_and_macs():
    """GRIG's Table 4 has thop's count, which is the true one here: only convolutions count in both."""
    assert iz.model_info("aot_gan").parameters == 15_200_835
    assert iz.model_info("aot_gan_tiny").parameters <= 1_500_000
    with torch.device("meta"):
        macs = count_macs(iz.create_model("aot_gan"), 256, 256)
        discriminator = iz.create_discriminator("aot_gan")
        assert discriminator(torch.zeros(1, 3, 256, 256)).shape == (1, 1, 30, 30)
        assert discriminator(torch.zeros(1, 3, 24, 24)).shape == (1, 1, 1, 1)
    assert (round(macs.true / 1e9, 2), round(macs.thop / 1e9, 2)) == (72.88, 72.88)
    assert sum(parameter.numel() for parameter in discriminator.parameters()) == 2_763_777


@pytest.mark.parametrize("size", RECORDED, ids=lambda size: f"{size[0]}x{size[1]}")
def test_recorded_outputs(size):
    file = f"aot_gan_{size[0]}" if size[0] == size[1] else f"aot_gan_{size[0]}x{size[1]}"
    vector = read_vector(file)
    net = iz.create_model("aot_gan")
    net.load_state_dict(iz.convert_official("aot_gan", official("aot_gan")))
    seen = {}
    parts = {part: LAST if part == "decoder" else part for part in vector.get("intermediates", {})}
    for part, name in parts.items():  # convolutions were recorded behind their activation, which works in place
        net.get_submodule(name).register_forward_hook(lambda _, __, out, part=part: seen.update({part: out}))
    image, mask = vector_image(*size), vector_mask(*size)
    with torch.no_grad():
        raw = net.stages(image, mask)["prediction"] * 2 - 1
        # layout alone moves it by 2e-5: gates make much of rounding
        close(raw, vector, 5e-5)
        close(net(image, mask) * 2 - 1, vector["composite"], 5e-5)
    assert seen.keys() == parts.keys()
    for part, recorded in vector.get("intermediates", {}).items():
        close(seen[part], recorded, 5e-5)


@pytest.mark.parametrize("side", [64, 256])
def test_recorded_logits(side):
    net = iz.create_discriminator("aot_gan")
    net.load_state_dict(iz.convert_official("aot_gan_discriminator", official("aot_gan_disc")))
    with torch.no_grad():
        close(net.eval()(vector_image(side, side) * 2 - 1), read_vector(f"aot_gan_disc_{side}"), 1e-5)


def test_the_smallest_side_follows_the_rates():
    assert iz.create_model("aot_gan_tiny").min_size == 36
    net = AOTGANGenerator(width=8, blocks=1, rates=(1, 2)).eval()
    assert (net.min_size, net.divisor) == (12, 4)
    image, mask = sample((20, 16))
    seen = []
    net.middle.register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape[-2:])))
    with torch.no_grad():
        net(image, mask)
        iz.create_model("aot_gan_tiny")(image, mask)
    assert seen == [(5, 4)]


def test_a_hole_is_white_and_a_filling_takes_its_place():
    net = iz.create_model("aot_gan_tiny")
    image, mask = sample((40, 44))
    with torch.no_grad():
        plain = net(image, mask)
        assert torch.equal(net(image, mask, hole_fill=torch.ones_like(image)), plain)
        assert not torch.equal(net(image, mask, hole_fill=torch.zeros_like(image)), plain)


@pytest.mark.parametrize("size", [(36, 36), (63, 50)])
def test_the_fast_form_equals(size):
    torch.manual_seed(0)
    net = AOTGANGenerator(width=8, blocks=2).eval()
    fast = iz.optimize(net)
    image, mask = sample(size, batch=2)
    with torch.no_grad():
        expected = net(image, mask)
        for _ in range(2):
            torch.testing.assert_close(fast(image, mask), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("name", "keys"), [("aot_gan", "aot_gan"), ("aot_gan_discriminator", "aot_gan_disc")])
def test_released_layouts_are_converted(name, keys, tmp_path):
    theirs = numbered(keys)
    converted = iz.convert_official(name, theirs)
    assert list(converted) == list(theirs)
    assert all(converted[key] is value for key, value in theirs.items())
    wrapped = iz.convert_official(name, {f"module.{key}": value for key, value in theirs.items()})
    assert all(wrapped[key] is value for key, value in theirs.items())
    torch.save(theirs, tmp_path / ("G0000000.pt" if name == "aot_gan" else "D0000000.pt"))
    out = tmp_path / "ours.safetensors"
    assert main(["convert", "--model", name, str(tmp_path), "--out", str(out)]) == 0
    state = load_weights(out).state
    assert all(torch.equal(state[key], value) for key, value in theirs.items())
    assert state.keys() == theirs.keys()


def test_conversion_is_strict():
    state = numbered("aot_gan")
    with pytest.raises(ValueError, match=r"'aot_gan': 1 left over: what\.weight"):
        iz.convert_official("aot_gan", state | {"what.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"of another shape: decoder\.4\.bias is \(4,\), expected \(3,\)"):
        iz.convert_official("aot_gan", state | {"decoder.4.bias": torch.zeros(4)})
    with pytest.raises(ValueError, match=r"'aot_gan_discriminator': 14 missing"):
        iz.convert_official("aot_gan_discriminator", state)
