"""ISNet: sizes, the authors' recorded outputs, their checkpoints, its branches and its fast form."""

import json

import pytest
import torch

import inpaint_zoo as iz
from tests.fill import fill, read_vector, vector_image, vector_mask
from tests.models.test_glama import close

PARAMETERS = {
    "isnet": 24_774_307,
    "isnet_b3": 23_152_291,
    "isnet_b2": 21_530_275,
    "isnet_b1": 19_908_259,
    "isnet_base": 16_516_995,
    "isnet_base_ff": 14_610_083,
    "isnet_unet": 24_403_715,
}


def official(shared, name):
    """The authors' state dict of a network, filled by its own names."""
    keys = json.loads((shared / "specs" / "keys" / f"{name}.json").read_text())
    return fill({key: torch.zeros(shape) for key, shape in keys.items()})


def released(shared, name):
    """As the files hold it."""
    return {"generator": {f"module.{key}": value for key, value in official(shared, name).items()}, "epoch": 3}


def recorded_net(shared, name):
    net = iz.create_model(name)
    net.load_state_dict(iz.convert_official(name, released(shared, name)))
    return net


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(name):
    assert iz.model_info(name).parameters == PARAMETERS[name]


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("side", [64, 256])
def test_recorded_outputs(shared, name, side):
    file = f"{name}_{side}"
    if not (shared / "vectors" / f"{file}.json").exists():
        pytest.skip(f"no vector {file} in the shared folder")
    vector = read_vector(shared, file)
    net = recorded_net(shared, name)
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


def test_recorded_logits(shared):
    net = iz.create_discriminator("isnet")
    net.load_state_dict(iz.convert_official("isnet_discriminator", {"discriminator": official(shared, "isnet_disc")}))
    net.eval()
    vector = read_vector(shared, "isnet_disc_64")
    with torch.no_grad():
        logits, features = net.look(vector_image(64, 64))
        assert net(torch.zeros(1, 3, 256, 256)).shape == (1, 1, 30, 30)
        assert net(torch.zeros(1, 3, 24, 24)).shape == (1, 1, 1, 1)
    close(logits, vector, 1e-5)
    for got, recorded in zip(features, vector["features"], strict=True):
        close(got, recorded, 1e-5)
    assert sum(parameter.numel() for parameter in net.parameters()) == 2_763_776
