"""Test partial convolutions against their formula, position by position, and against values known by hand."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from inpaint_zoo.errors import ZooError
from inpaint_zoo.inference.fusion import fuse
from inpaint_zoo.layers.partial_conv import PartialBlock, PartialConv2d
from tests.helpers.images import shaken


def by_loops(x, mask, weight, bias, stride):
    """Compute the paper's Eq. 1 and 2 in float64; the mask has one channel per channel of ``x``."""
    x, mask, weight, bias = (value.detach().double() for value in (x, mask, weight, bias))
    k = weight.shape[-1]
    padded, known = (F.pad(value, [k // 2] * 4) for value in (x * mask, mask))
    height, width = ((side + 2 * (k // 2) - k) // stride + 1 for side in x.shape[-2:])
    out = x.new_zeros(len(x), len(weight), height, width)
    new = x.new_zeros(len(x), 1, height, width)
    for b in range(len(x)):
        for i in range(height):
            for j in range(width):
                window = (b, slice(None), slice(stride * i, stride * i + k), slice(stride * j, stride * j + k))
                count = known[window].sum()
                if count > 0:
                    ratio = known[window].numel() / count
                    out[b, :, i, j] = (weight * padded[window]).sum((1, 2, 3)) * ratio + bias
                    new[b, 0, i, j] = 1
    return out, new


def example(shares, size=(9, 7), seed=0):
    """Return features and one mask per share, with a hole larger than any window and scattered small holes."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, sum(shares), *size, generator=generator)
    mask = (torch.rand(2, len(shares), *size, generator=generator) > 0.4).float()
    mask[..., :6, :6] = 0
    return x, mask


@pytest.mark.parametrize("shares", [(3,), (2, 3), (1, 1, 1)])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 2), (7, 2)])
def test_it_is_the_formula(shares, kernel, stride):
    layer = PartialConv2d(sum(shares), 4, kernel, stride, shares)
    nn.init.normal_(layer.bias)
    x, mask = example(shares)
    full = torch.cat([mask[:, k : k + 1].expand(-1, share, -1, -1) for k, share in enumerate(shares)], 1)
    expected, expected_mask = by_loops(x, full, layer.convolution.weight, layer.bias, stride)
    with torch.no_grad():
        out, new = layer(x, mask)
    torch.testing.assert_close(out.double(), expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(new.double(), expected_mask)
    assert (new == 0).any()


def test_all_known_is_a_convolution_and_all_hole_is_zero():
    layer = PartialConv2d(3, 4, 5)
    nn.init.normal_(layer.bias)
    x = torch.randn(1, 3, 12, 12)
    with torch.no_grad():
        out, mask = layer(x, torch.ones(1, 1, 12, 12))
        plain = F.conv2d(x, layer.convolution.weight, layer.bias)  # the inside, where no padding is seen
        torch.testing.assert_close(out[..., 2:-2, 2:-2], plain)
        assert mask.all()
        out, mask = layer(x, torch.zeros(1, 1, 12, 12))
    assert not out.any()
    assert not mask.any()


def test_the_mean_of_a_constant_is_that_constant():
    """Equal weights with sum 1 return the constant for any mask, at the borders as well."""
    layer = PartialConv2d(2, 1, 5, 2)
    nn.init.constant_(layer.convolution.weight, 1 / 50)
    mask = example((2,), (20, 20))[1]
    with torch.no_grad():
        out, new = layer(torch.full((2, 2, 20, 20), 0.7), mask)
    assert 0 < new.sum() < new.numel()
    torch.testing.assert_close(out, 0.7 * new)


def test_holes_are_not_read_and_carry_no_gradient():
    layer = PartialConv2d(3, 4)
    x, mask = example((3,))
    x.requires_grad_()
    out, _ = layer(x, mask)
    out.square().sum().backward()
    assert torch.equal(x.grad == 0, (mask == 0).expand_as(x))
    with torch.no_grad():
        torch.testing.assert_close(layer(torch.where(mask > 0, x, 1e4), mask)[0], out.detach(), atol=0, rtol=0)


def test_the_ratio_stays_in_float32_under_autocast():
    """The window has 9,216 positions, a number that bfloat16 cannot count to."""
    layer = PartialConv2d(1024, 2, shares=(512, 512))
    x, mask = example((512, 512))
    plain = layer.ratio(mask)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        out, new = layer(x, mask)
        assert torch.equal(layer.ratio(mask), plain)
    assert plain.dtype == new.dtype == torch.float32
    assert out.dtype == torch.bfloat16


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("shares", [(4,), (1, 3)])
def test_the_folded_form_gives_the_same_where_something_is_known(norm, shares):
    block = shaken(PartialBlock(4, 6, stride=2, shares=shares, norm=norm, activation=nn.LeakyReLU(0.2)))
    nn.init.normal_(block.convolution.bias)
    x, mask = example(shares)
    with torch.no_grad():
        expected, expected_mask = block(x, mask)
        out, new = fuse(copy.deepcopy(block))(block.convolution.masked(x, mask), mask)
    assert torch.equal(new, expected_mask)
    assert (new == 0).any()
    torch.testing.assert_close(out, expected * new, atol=1e-5, rtol=1e-5)


def test_wrong_shares_are_refused():
    with pytest.raises(ZooError, match=r"`shares` must add up to the 5 channels of the input, got \(2, 2\)"):
        PartialConv2d(5, 4, shares=(2, 2))
