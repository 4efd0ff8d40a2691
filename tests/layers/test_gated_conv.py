"""Test gated convolutions against two separate convolutions."""

import copy

import pytest
import torch
from torch.nn import functional as F

from inpaint_zoo.errors import UnknownNameError
from inpaint_zoo.inference.fusion import fuse
from inpaint_zoo.layers.gated_conv import GatedConv2d


@pytest.mark.parametrize("activation", ["elu", "relu"])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (3, 2, 1), (5, 1, 1), (3, 1, 4)])
def test_it_is_features_times_gate(activation, kernel, stride, dilation):
    layer = GatedConv2d(5, 6, kernel, stride, dilation, activation)
    weight, bias = layer.convolution.weight, layer.convolution.bias
    x = torch.randn(2, 5, 16, 12)
    padding = dilation * (kernel // 2)
    with torch.no_grad():
        features, gate = (
            F.conv2d(x, weight[half], bias[half], stride, padding, dilation) for half in (slice(6), slice(6, 12))
        )
        active = torch.where(features > 0, features, features.exp() - 1 if activation == "elu" else 0 * features)
        expected = active / (1 + (-gate).exp())
        assert expected.shape == (2, 6, 16 // stride, 12 // stride)
        torch.testing.assert_close(layer(x), expected, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(fuse(copy.deepcopy(layer))(x), expected, atol=1e-6, rtol=1e-5)


def test_other_activations_are_refused():
    with pytest.raises(UnknownNameError, match=r"Unknown activation 'elo'\. Did you mean 'elu'"):
        GatedConv2d(3, 4, activation="elo")
