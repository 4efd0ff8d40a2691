"""Parts of the registry that the models' tests do not cover: discriminators, converters, duplicate names."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

import inpaint_zoo as iz
from inpaint_zoo import registry
from inpaint_zoo.errors import ZooError
from tests.helpers.toy import registered_toy, toy


@pytest.fixture
def discriminator():
    @registry.register_discriminator("toy_critic")
    def toy_critic(width: int = 4) -> nn.Module:
        """Discriminator for images in [-1, 1]."""
        return nn.Conv2d(3, width, 4, 2, 1)

    yield
    del registry.DISCRIMINATORS["toy_critic"]


@pytest.fixture
def converter():
    @registry.register_converter("toy", files="toy.pth")
    def convert(state, net):
        missing = {"conv.weight"} - set(state)
        if missing:
            raise ZooError(f"missing: {', '.join(missing)}")
        assert all(value.device.type == "meta" for value in net.state_dict().values())
        return {"weight": state["conv.weight"], "width": net.coarse.in_channels}

    with registered_toy():
        yield
    del registry.CONVERTERS["toy"]


def test_a_name_that_ends_like_a_folder_is_reported_as_a_folder():
    with pytest.raises(iz.UnknownNameError, match="Unknown mask 'my_masks/', and there is no such folder"):
        iz.create_generator("my_masks/")


def test_discriminators(discriminator):
    assert "toy_critic" in iz.list_discriminators()
    assert iz.create_discriminator("toy_critic", width=6).out_channels == 6
    with pytest.raises(iz.UnknownNameError, match=r"Did you mean 'toy_critic'\?"):
        iz.create_discriminator("toy_critc")
    with pytest.raises(iz.UnknownNameError, match="option of discriminator 'toy_critic': 'with'"):
        iz.create_discriminator("toy_critic", **{"with": 6})


def test_converters(converter):
    assert registry.list_converters("to*") == ["toy"]
    weight = torch.rand(3)
    assert registry.official_files("toy") == "toy.pth"
    assert torch.equal(iz.convert_official("toy", {"conv.weight": weight})["weight"], weight)
    with pytest.raises(ZooError, match=r"missing: conv\.weight"):
        iz.convert_official("toy", {})
    assert iz.convert_official("toy", {"conv.weight": weight}, width=4)["width"] == 4
    with pytest.raises(iz.UnknownNameError, match="option of model 'toy': 'wdth'"):
        iz.convert_official("toy", {"conv.weight": weight}, wdth=4)


def test_a_name_is_taken_once():
    with registered_toy(), pytest.raises(ZooError, match="The model name 'toy' is already registered"):
        registry.register_model(source="tests")(toy)


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("network", lambda: iz.progressive("isnet_tiny")),
        ("first", lambda: iz.local_global("isnet_tiny")),
        ("first", lambda: iz.two_stage("isnet_tiny", "isnet_tiny")),
        ("second", lambda: iz.two_stage(iz.create_model("isnet_tiny"), "isnet_tiny")),
        ("net", lambda: iz.optimize("isnet_tiny")),
        ("net", lambda: iz.export_model("isnet_tiny", "isnet.onnx")),
    ],
)
def test_a_name_in_place_of_a_network_is_explained(argument, call):
    """`inpaint` takes both, so that names are tried elsewhere, too."""
    with pytest.raises(ZooError, match=rf"`{argument}` must be an .*, got str\. .*`create_model\('isnet_tiny'\)`"):
        call()


def test_public_names_resolve():
    for name in iz.__all__:
        assert getattr(iz, name) is not None
    assert set(dir(iz)) == set(iz.__all__)
    with pytest.raises(AttributeError, match="no attribute 'create_modle'"):
        _ = iz.create_modle


def test_models_are_found_in_a_new_process_that_imports_the_registry_alone():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        for names in (registry.list_models, registry.list_combinators):
            assert pool.submit(names).result() == names()


@pytest.mark.parametrize(
    ("name", "option", "value", "words"),
    [
        ("autoencoder_tiny", "difference", "maybe", "true or false"),
        ("autoencoder_tiny", "difference", 1, "true or false"),
        ("grig_tiny", "steps", 2.5, "a whole number"),
        ("grig_tiny", "steps", True, "a whole number"),
        ("progressive:telea", "kernel_size", "3", "a whole number"),
        ("telea", "radius", "wide", "a number"),
        ("isnet", "blocks", "4", "a whole number"),
    ],
)
def test_an_option_of_another_type_is_an_error(name, option, value, words):
    with pytest.raises(ZooError, match=f"The option {option} of model '{name}' must be {words}, got {value!r}"):
        iz.create_model(name, **{option: value})


def test_numbers_of_numpy_and_whole_numbers_for_numbers_are_options():
    assert iz.create_model("grig_tiny", steps=np.int64(2)).steps == 2
    iz.create_model("telea", radius=5)
