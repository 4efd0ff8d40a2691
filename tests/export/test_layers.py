"""Layers in their export forms compute the same outputs."""

import pytest
import torch
from torch import nn

from inpaint_zoo.export.layers import (
    MatrixFourierUnit,
    MatrixPool,
    SlicedAttention,
    SummedPartialConv2d,
    replace_layers,
)
from inpaint_zoo.layers.contextual_attention import ContextualAttention
from inpaint_zoo.layers.ffc import FourierUnit
from inpaint_zoo.layers.partial_conv import PartialConv2d
from inpaint_zoo.layers.spectral import SpectralConv2d


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def close(a, b):
    torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (16, 5), (1, 2)])
def test_fourier_unit_as_matrix_products(size):
    unit = FourierUnit(6).eval()
    nn.init.normal_(unit.bn.running_mean)
    x = torch.randn(2, 6, *size)
    close(MatrixFourierUnit(unit)(x), unit(x))


@pytest.mark.parametrize("size", [(8, 8), (3, 9), (16, 5), (4, 2)])
def test_adaptive_pooling_as_matrix_products(size):
    x = torch.randn(2, 3, *size)
    close(MatrixPool(nn.AdaptiveAvgPool2d((4, 3)))(x), nn.AdaptiveAvgPool2d((4, 3))(x))


@pytest.mark.parametrize("options", [{}, {"stride": 2, "kernel": 5}, {"shares": (3, 2)}])
def test_partial_convolution_with_sums_by_convolution(options):
    layer = PartialConv2d(5, 4, **options).requires_grad_(False)
    nn.init.normal_(layer.bias)
    mask = (torch.rand(2, len(layer.shares), 13, 9) > 0.7).float()
    mask[..., :6, :6] = 0  # windows without known positions
    x = torch.randn(2, 5, 13, 9)
    for ours, expected in zip(SummedPartialConv2d(layer)(x, mask), layer(x, mask), strict=True):
        close(ours, expected)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"softmax_scale": 0.1},
        {"fuse": False, "stride": 2, "softmax_scale": 0.1},
        {"rate": 1, "mask_reduce": "max", "norm": "tf", "softmax_scale": 0.1},
        {"rate": 3, "fuse_k": 5, "softmax_scale": 0.1},
        {"tf_resize": True, "softmax_scale": 0.1},
    ],
)
@pytest.mark.parametrize("masked", [True, False])
def test_attention_by_slices(options, masked):
    layer = ContextualAttention(**options)
    foreground, background = torch.randn(2, 1, 5, 8 * layer.rate, 6 * layer.rate)
    mask = torch.zeros(1, 1, 32 * layer.rate, 24 * layer.rate)
    mask[..., :9, 4:13] = 1
    given = (foreground, background, mask if masked else None)
    close(SlicedAttention(layer)(*given), layer(*given))


def test_layers_are_replaced_at_any_depth_and_only_where_the_format_needs_it():
    def network():
        return nn.Sequential(nn.Sequential(SpectralConv2d(3, 4, 3), FourierUnit(4)), nn.AdaptiveAvgPool2d(2)).eval()

    forms = {
        "torchscript": (FourierUnit, nn.AdaptiveAvgPool2d),
        "torch-export": (FourierUnit, MatrixPool),
        "onnx": (MatrixFourierUnit, MatrixPool),
    }
    for name, kinds in forms.items():
        net = network().requires_grad_(False)
        x = torch.randn(1, 3, 12, 12)
        expected = net(x)
        replace_layers(net, name)
        assert type(net[0][0]) is nn.Conv2d
        assert (type(net[0][1]), type(net[1])) == kinds
        close(net(x), expected)
