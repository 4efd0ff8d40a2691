"""Test ISNet: sizes, the authors' recorded outputs, their checkpoints, its branches and its inference form."""

import pytest
import torch

import inpaint_zoo as iz
from inpaint_zoo.analysis.macs import count_macs
from inpaint_zoo.cli.main import main
from inpaint_zoo.models.isnet import ISNetGenerator, ISNetUNet
from inpaint_zoo.weights import load_weights
from tests.helpers.fill import read_vector, vector_image, vector_mask
from tests.helpers.images import sample
from tests.helpers.recorded import close, numbered, official, recorded_net

PARAMETERS = {
    "isnet": 24_774_307,
    "isnet_b3": 23_152_291,
    "isnet_b2": 21_530_275,
    "isnet_b1": 19_908_259,
    "isnet_base": 16_516_995,
    "isnet_base_ff": 14_610_083,
    "isnet_unet": 24_403_715,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(name):
    assert iz.model_info(name).parameters == PARAMETERS[name]


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("side", [64, 256])
def test_recorded_outputs(name, side):
    file = f"{name}_{side}"
    vector = read_vector(file)
    net = recorded_net(name)
    image, mask = vector_image(side, side), vector_mask(side, side)
    seen = {}
    if "intermediates" in vector:
        for part, module in (("layer1", net.stem), ("up_layer", net.up)):
            if module is not None:  # the base model enlarges nothing at the end
                module.register_forward_hook(lambda _, __, out, part=part: seen.update({part: out}))
    with torch.no_grad():
        close(net.predict(image * (1 - mask), mask)["prediction"], vector, 1e-5)
        if "intermediates" in vector:
            maps = net.branches(image, mask)
            for number in range(4):
                seen[f"stage{number}.branch0"] = maps[f"phase_{number + 1}_high"]
                seen[f"stage{number}.branch1"] = maps[f"phase_{number + 1}_low"]
            assert set(vector["intermediates"]) <= set(seen)
            for part, recorded in vector["intermediates"].items():
                close(seen[part], recorded, 1e-5)


def test_recorded_logits():
    net = iz.create_discriminator("isnet")
    net.load_state_dict(iz.convert_official("isnet_discriminator", {"discriminator": official("isnet_disc")}))
    net.eval()
    vector = read_vector("isnet_disc_64")
    with torch.no_grad():
        logits, features = net.forward_features(vector_image(64, 64))
        assert net(torch.zeros(1, 3, 256, 256)).shape == (1, 1, 30, 30)
        assert net(torch.zeros(1, 3, 24, 24)).shape == (1, 1, 1, 1)
    close(logits, vector, 1e-5)
    for got, recorded in zip(features, vector["features"], strict=True):
        close(got, recorded, 1e-5)
    assert sum(parameter.numel() for parameter in net.parameters()) == 2_763_776


def small(design):
    """Return a network with few channels of the given design."""
    torch.manual_seed(0)
    net = ISNetUNet(blocks=1, width=4) if design == "unet" else ISNetGenerator(1, 8, 3, design)
    return net.eval()


@pytest.mark.parametrize("design", ["base", "base_ff", "unet"])
def test_other_designs_take_any_size_fused_and_exported(design):
    """The same requirements as test_all_models.py has for the tiny model, which covers only the full design."""
    net = small(design)
    fast = iz.optimize(net)
    for size in ((16, 16), (33, 50)):
        image, mask = sample(size, batch=2)
        with torch.no_grad():
            expected = net(image, mask)
            torch.testing.assert_close(fast(image, mask), expected, atol=1e-5, rtol=0)
    assert not [key for key in fast.state_dict() if key.endswith("weight_orig")]
    with torch.no_grad():
        program = torch.export.export(net, (image, mask))
        torch.testing.assert_close(program.module()(image, mask), expected, atol=1e-5, rtol=0)


def test_macs_are_those_of_the_specification():
    """The base model's MACs do not include its unused last low-resolution map, 2.72 G."""
    true = {"isnet": 66.245, "isnet_b3": 57.789, "isnet_b2": 49.333, "isnet_b1": 40.878}
    true |= {"isnet_base": 54.182 - 2.718, "isnet_base_ff": 83.223, "isnet_unet": 33.445}
    for name, macs in true.items():
        with torch.device("meta"):
            net = iz.create_model(name)
        assert count_macs(net, 256, 256).true / 1e9 == pytest.approx(macs, abs=0.001)


def test_the_base_model_freezes_what_nobody_reads():
    net = iz.create_model("isnet_base")
    frozen = [value.numel() for value in net.parameters() if not value.requires_grad]
    assert (len(frozen), sum(frozen)) == (6, 7_464_960)
    assert all(value.requires_grad for value in iz.create_model("isnet_base_ff").parameters())


@pytest.mark.parametrize("design", ["full", "base", "base_ff"])
def test_branches(design):
    net = small(design)
    image, mask = sample((50, 33))
    with torch.no_grad():
        maps = net.branches(image, mask)
        fast = iz.optimize(net).network.branches(image, mask)
        prediction = net.stages(image, mask)["prediction"]
        hidden = net.branches(torch.where(mask > 0, float("nan"), image), mask)
    last = 32 if design == "base_ff" else 64
    shapes = {
        "phase_1_high": (8, 50, 33),
        "phase_1_low": (16, 25, 17),
        "phase_2_high": (8, 50, 33),
        "phase_2_low": (32, 13, 9),
        "phase_3_high": (8, 50, 33),
        "phase_3_low": (last, 7, 5),
    } | ({} if design == "base" else {"fused": (8, 50, 33)})
    assert {name: tuple(x.shape[1:]) for name, x in maps.items()} == shapes
    assert list(maps) == list(shapes)
    for name, x in maps.items():
        torch.testing.assert_close(fast[name], x, atol=1e-5, rtol=1e-5)
        assert torch.equal(hidden[name], x)
    with torch.no_grad():
        # the last map is what the image is made of: a convolution of reach 1 at most, so all but the border agrees
        rgb = (net.to_rgb(list(maps.values())[-1 if net.fusion else -2]).tanh() + 1) / 2
    torch.testing.assert_close(rgb[..., :-1, :-1], prediction[..., :-1, :-1], atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match="`mask` must hold only 0"):
        net.branches(image, mask * 0.5)


@pytest.mark.parametrize("name", [*PARAMETERS, "isnet_discriminator"])
def test_every_released_layout_is_converted(name):
    """Every tensor of the authors gets exactly one key, except the second copy of the first layer."""
    theirs = numbered("isnet_disc" if name == "isnet_discriminator" else name)
    converted = iz.convert_official(name, theirs)
    own = {value.max().item() for key, value in theirs.items() if not key.startswith("features.")}
    assert sorted(value.max().item() for value in converted.values()) == sorted(own)
    wrapped = iz.convert_official(name, {f"module.{key}": value for key, value in theirs.items()})
    assert all(wrapped[key] is value for key, value in converted.items())


def test_conversion_is_strict():
    state = numbered("isnet_b1")
    with pytest.raises(ValueError, match=r"does not fit 'isnet_b2': 42 missing: phases\.0\.inpainting\.high\.1"):
        iz.convert_official("isnet_b2", state)
    with pytest.raises(ValueError, match=r"'isnet_b1': 1 left over: what\.weight"):
        iz.convert_official("isnet_b1", state | {"what.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"of another shape: to_rgb\.bias is"):
        iz.convert_official("isnet_b1", state | {"final_layer.2.bias": torch.zeros(4)})
    with pytest.raises(ValueError, match=r"'isnet_discriminator': 15 missing"):
        iz.convert_official("isnet_discriminator", {"generator": state})


def test_released_files_are_converted_by_the_command_line(tmp_path):
    theirs = numbered("isnet_disc")
    torch.save({"discriminator": theirs, "epoch": 3}, tmp_path / "InpaintingModel_dis.pth")
    out = tmp_path / "disc.safetensors"
    assert main(["convert", "--model", "isnet_discriminator", str(tmp_path), "--out", str(out)]) == 0
    expected = iz.convert_official("isnet_discriminator", theirs)
    state = load_weights(out).state
    assert state.keys() == expected.keys()
    assert all(torch.equal(value, expected[key]) for key, value in state.items())
    unet = numbered("isnet_unet")
    torch.save({"generator": {f"module.{key}": value for key, value in unet.items()}}, tmp_path / "gen.pth")
    assert (
        main(["convert", "--model", "isnet_unet", str(tmp_path / "gen.pth"), "--out", str(tmp_path / "g.safetensors")])
        == 0
    )
    net = iz.create_model("isnet_unet", weights=tmp_path / "g.safetensors")
    assert net.middle[3].layers[2].weight.max() == unet["middle.3.conv_block.4.weight"].max()


def test_wrong_designs_are_refused():
    with pytest.raises(ValueError, match=r"Unknown design 'bass'\. Did you mean 'base'"):
        ISNetGenerator(design="bass")
    with pytest.raises(ValueError, match="`blocks` and `phases` of ISNet must be at least 1, got 0 and 4"):
        ISNetGenerator(blocks=0)


def test_tiny_is_tiny():
    assert iz.model_info("isnet_tiny").parameters <= 1_500_000
    assert iz.create_model("isnet_tiny").divisor <= 16
