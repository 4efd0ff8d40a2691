"""Test discount maps: a recorded one, values by hand, and a slow search for the nearest known pixel."""

import numpy as np
import pytest
import torch

from inpaint_zoo.ops import discount_from_mask, spatial_discount
from tests.helpers.fill import read_vector


def test_the_recorded_map():
    recorded = read_vector("masks")["spatial_discount_128_gamma0.9"]
    weights = spatial_discount(128, 128)
    assert list(weights.shape) == recorded["shape"]
    assert weights.double().sum().item() == pytest.approx(recorded["sum"], rel=1e-7)
    assert weights[0, 0, 64, :8].tolist() == pytest.approx(recorded["row64_first8"], abs=1e-7)
    assert weights[0, 0, 64, 64].item() == pytest.approx(recorded["centre"], rel=1e-6)
    assert weights[0, 0, 0, 0].item() == recorded["corner"]


def slow(hole, gamma, distance):
    H, W = hole.shape
    known = np.argwhere(hole == 0)
    out = np.ones((H, W))
    for i, j in np.argwhere(hole):
        steps = np.abs(known - (i, j))
        reach = steps.max(axis=1) if distance == "chessboard" else np.hypot(*steps.T)
        out[i, j] = gamma ** reach.min()
    return out


@pytest.mark.parametrize("distance", ["chessboard", "euclidean"])
def test_against_a_slow_search(distance):
    mask = (torch.rand(3, 1, 23, 31, generator=torch.Generator().manual_seed(0)) < 0.9).float()
    mask[0, :, 5:20, 3:28] = 1
    found = discount_from_mask(mask, 0.7, distance)
    assert found.shape == mask.shape
    assert found.dtype == mask.dtype
    wanted = np.stack([slow(m[0].numpy(), 0.7, distance) for m in mask])[:, None]
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-6)


def test_nothing_known_and_nothing_missing():
    assert discount_from_mask(torch.ones(1, 1, 4, 4)).eq(0).all()
    assert discount_from_mask(torch.zeros(1, 1, 4, 4)).eq(1).all()
    assert discount_from_mask(torch.zeros(1, 1, 4, 4, dtype=torch.uint8)).dtype == torch.float32


def test_the_border_of_the_image_is_no_known_pixel():
    mask = torch.ones(1, 1, 5, 5)
    mask[..., 0] = 0
    assert discount_from_mask(mask, 0.5)[0, 0, 2].tolist() == [1, 0.5, 0.25, 0.125, 0.0625]
