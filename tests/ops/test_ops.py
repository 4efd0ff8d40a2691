"""Test padding, value ranges and compositing against NumPy and by hand."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inpaint_zoo.ops import composite, crop_to, from_range, pad_to_multiple, to_range, to_uint8
from inpaint_zoo.ops.precision import full_precision, without_autocast


@given(
    H=st.integers(1, 40),
    W=st.integers(1, 40),
    divisor=st.integers(1, 64),
    least=st.integers(1, 70),
    mode=st.sampled_from(["symmetric", "reflect", "zeros"]),
)
def test_padding_is_numpys(H, W, divisor, least, mode):
    x = torch.arange(H * W, dtype=torch.float32).reshape(1, 1, H, W)
    padded = pad_to_multiple(x, divisor, least, mode)
    height, width = padded.shape[-2:]
    assert height % divisor == width % divisor == 0
    assert min(height, width) >= least
    assert height - max(H, least) < divisor
    assert width - max(W, least) < divisor
    numpys = "constant" if mode == "zeros" else mode
    expected = np.pad(x[0, 0].numpy(), ((0, height - H), (0, width - W)), mode=numpys)
    assert np.array_equal(padded[0, 0].numpy(), expected)
    assert torch.equal(crop_to(padded, (H, W)), x)


def test_what_fits_is_not_copied():
    x = torch.rand(1, 3, 64, 32)
    for mode in ("symmetric", "reflect", "zeros"):
        assert pad_to_multiple(x, 32, 32, mode) is x


@given(low=st.floats(-5, 0), width=st.floats(0.5, 10), value=st.floats(0, 1))
def test_ranges_round_trip(low, width, value):
    x = torch.tensor([value], dtype=torch.float64)
    there = to_range(x, low, low + width)
    assert low - 1e-9 <= there.item() <= low + width + 1e-9
    torch.testing.assert_close(from_range(there, low, low + width), x)


def test_bytes_survive_floats_exactly():
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(levels.float() / 255), levels)
    assert torch.equal(to_uint8(from_range(to_range(levels.float() / 255, -1, 1), -1, 1)), levels)
    assert torch.equal(to_uint8((levels.float() / 255).double()), levels)


@pytest.mark.parametrize("rubbish", [float("nan"), float("inf"), -3.0])
def test_composite_lets_nothing_through(rubbish):
    image = torch.rand(2, 3, 5, 7)
    mask = torch.zeros(2, 1, 5, 7)
    mask[..., 2:4, 1:3] = 1
    pred = torch.rand(2, 3, 5, 7)
    out = composite(pred, image.masked_fill(mask > 0, rubbish), mask)
    by_hand = pred.numpy() * mask.numpy() + image.numpy() * (1 - mask.numpy())
    assert np.array_equal(out.numpy(), by_hand)


def test_autocast_is_switched_off_where_it_is_on_and_left_alone_elsewhere():
    a, device = torch.rand(4, 4), torch.device("cpu")
    with torch.autocast("cpu", torch.bfloat16):
        assert (a @ a).dtype == torch.bfloat16
        with without_autocast(device):
            assert (a @ a).dtype == torch.float32
    assert isinstance(without_autocast(device), nullcontext)  # an export pays for each region that is entered
    assert isinstance(without_autocast(torch.device("meta")), nullcontext)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_half_precision_alone_is_raised(dtype):
    x = torch.ones(2, dtype=dtype)
    assert full_precision(x).dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
