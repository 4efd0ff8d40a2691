"""Test AOT-GAN's block: against its written-out formulas, at borders, its gate and its inference form."""

import pytest
import torch
from torch.nn import functional as F

from inpaint_zoo.errors import ZooError
from inpaint_zoo.inference.fusion import fuse
from inpaint_zoo.layers.aot import AOTBlock


def built(spectral):
    torch.manual_seed(0)
    return AOTBlock(8, spectral=spectral).eval()


def by_hand(block, x):
    """Compute the block branch by branch and channel by channel."""

    def convolved(layers, x, rate=1):
        convolution = layers[1]
        weight = convolution.normalized_weight if hasattr(convolution, "normalized_weight") else convolution.weight
        return F.conv2d(F.pad(x, [rate] * 4, mode="reflect"), weight, convolution.bias, dilation=rate)

    branches = [convolved(getattr(block, f"block{k:02d}"), x, rate).relu() for k, rate in enumerate((1, 2, 4, 8))]
    merged, gate = convolved(block.fuse, torch.cat(branches, dim=1)), convolved(block.gate, x)
    out = torch.empty_like(x)
    for k in range(len(x)):
        for channel in range(x.shape[1]):
            g = gate[k, channel]
            s = torch.sigmoid(5 * (2 * (g - g.mean()) / (g.std() + 1e-9) - 1))  # std is the unbiased one
            out[k, channel] = x[k, channel] * (1 - s) + merged[k, channel] * s
    return out


@pytest.mark.parametrize("spectral", [False, True])
def test_it_is_its_formula_and_so_is_its_fast_form(spectral):
    block = built(spectral)
    x = torch.randn(2, 8, 12, 17, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = by_hand(block, x)
        torch.testing.assert_close(block(x), expected, atol=1e-6, rtol=1e-5)
        before = x.clone()
        fast = fuse(block)
        torch.testing.assert_close(fast(x), expected, atol=2e-6, rtol=1e-5)
        torch.testing.assert_close(
            fast(x.contiguous(memory_format=torch.channels_last)), expected, atol=2e-6, rtol=1e-5
        )
    assert torch.equal(x, before)


def test_names_are_the_released_ones():
    names = {key.rsplit(".", 1)[0] for key in built(True).state_dict()}
    assert names == {"block00.1", "block01.1", "block02.1", "block03.1", "fuse.1", "gate.1"}
    assert sum(value.numel() for value in AOTBlock(128).parameters()) == 442_752


@pytest.mark.parametrize("form", ["plain", "fast"])
def test_maps_that_are_flat_stay_finite_and_flat(form):
    """The gate of a constant map has no deviation, and borders contribute no zeros."""
    block = built(True)
    x = torch.full((1, 8, 16, 16), 0.7, requires_grad=form == "plain")
    if form == "plain":
        out = block(x)
        out.sum().backward()
        assert x.grad.isfinite().all()
    else:
        with torch.no_grad():
            out = fuse(block)(x)
    torch.testing.assert_close(out, out[..., :1, :1].expand_as(out), atol=1e-2, rtol=0)
    assert out.isfinite().all()


def test_half_precision_keeps_the_gate_in_float32():
    block = built(False)
    x = torch.randn(1, 8, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = block(x)
        with torch.autocast("cpu", torch.bfloat16):
            half = block(x)
    assert half.dtype == torch.float32  # as that of the map it adds to
    torch.testing.assert_close(half, expected, atol=0.05, rtol=0)


def test_channels_are_shared_out_evenly():
    with pytest.raises(ZooError, match="`channels` must be a multiple of the 4 rates, got 10"):
        AOTBlock(10)
