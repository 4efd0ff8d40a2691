"""Test the convolution with few output channels: it is `nn.Conv2d`, with its gradients of first and second order."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from inpaint_zoo.layers.output_conv import OutputConv2d


def gradients(function, x, weight, bias):
    """Return the output, its first gradients, and those of a penalty on the gradient of the input."""
    out = function(x, weight, bias)
    first = torch.autograd.grad(out.sin().sum(), (x, weight, bias), create_graph=True)
    second = torch.autograd.grad(first[0].square().sum(), (x, weight))
    return [out, *first, *second]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("width", [12, 14])  # 14 gives an output width of 10, which is no multiple of the span
def test_it_computes_a_convolution_and_its_gradients(layout, width):
    torch.manual_seed(0)
    layer = OutputConv2d(5, 3, 5).double()
    x = torch.randn(2, 5, 11, width, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    weight, bias = layer.weight, layer.bias
    found = gradients(lambda image, *_: layer(image), x, weight, bias)
    expected = gradients(F.conv2d, x, weight, bias)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_its_state_and_its_evaluation_are_those_of_a_convolution():
    torch.manual_seed(0)
    layer, plain = OutputConv2d(8, 3, 3), nn.Conv2d(8, 3, 3)
    plain.load_state_dict(layer.state_dict())
    x = torch.rand(1, 8, 10, 10)
    torch.testing.assert_close(layer(x), plain(x))  # in training
    assert torch.equal(layer.eval()(x), plain(x))


def test_it_trains_under_autocast():
    layer = OutputConv2d(8, 3, 3)
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(torch.rand(1, 8, 10, 10))
    out.float().sum().backward()
    assert out.dtype == torch.bfloat16
    assert torch.isfinite(layer.weight.grad).all()
