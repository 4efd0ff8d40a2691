"""Test losses without pretrained weights: an error, or dropped with a warning."""

import pytest
import torch

from inpaint_zoo.errors import UnknownNameError
from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.losses import MissingWeightsWarning, unless_missing
from inpaint_zoo.weights import WeightsNotFoundError


@pytest.fixture(autouse=True)
def no_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("INPAINT_ZOO_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))


def vgg():
    return VGGFeatures("vgg19", ("relu1_1",), input_norm="zero_one")


def test_refused_or_dropped_aloud():
    with pytest.raises(WeightsNotFoundError, match=r"put vgg19-dcbb9e9d\.pth"):
        unless_missing(vgg, "refuse", "perceptual")
    with pytest.warns(
        MissingWeightsWarning, match="without the loss terms perceptual and style: The weights of 'vgg19'"
    ):
        assert unless_missing(vgg, "drop", "perceptual and style") is None
    with pytest.raises(UnknownNameError, match="Unknown on_missing 'ignore'"):
        unless_missing(vgg, "ignore", "style")


def test_what_is_there_is_built():
    built = unless_missing(
        lambda: VGGFeatures("vgg19", ("relu1_1",), input_norm="zero_one", weights="random"), "drop", "x"
    )
    assert built.source == "random"


def test_other_faults_pass():
    with pytest.raises(UnknownNameError, match="Unknown tap of vgg19 'relu9_1'"):
        unless_missing(lambda: VGGFeatures("vgg19", ("relu9_1",), input_norm="zero_one"), "drop", "perceptual")
