"""Test input modes: a recorded mosaic, PyTorch's resizing where it agrees, and fillings that ignore the hole."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from inpaint_zoo.errors import ZooError
from inpaint_zoo.ops import hole_ns, mosaic
from tests.helpers.fill import read_vector, vector_image


def box(H, W, top, bottom, left, right):
    mask = torch.zeros(1, 1, H, W)
    mask[..., top:bottom, left:right] = 1
    return mask


def test_the_recorded_mosaic():
    recorded = read_vector("masks")["mosaic_256_bilinear"]
    c, i, j = (torch.arange(n, dtype=torch.float64) for n in (3, 256, 256))  # recorded in float64, then cast
    angles = 0.05 * (i[:, None] + 1) * (c[:, None, None] + 1) + 0.03 * (j + 1)
    found = mosaic((0.5 + 0.5 * angles.sin()).float()[None], box(256, 256, 64, 192, 64, 192))
    assert list(found.shape) == recorded["output_shape"]
    np.testing.assert_allclose(found.flatten()[recorded["indices"]].numpy(), recorded["values"], rtol=0, atol=1e-7)
    for name in ("mean", "min", "max"):
        assert getattr(found.double(), name)().item() == pytest.approx(recorded[name], abs=1e-6)
    assert found.double().std(correction=0).item() == pytest.approx(recorded["std"], abs=1e-6)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize(("size", "unit"), [((256, 256), 12), ((100, 75), 12), ((64, 97), 7), ((9, 9), 1)])
def test_mosaics_are_torchs_two_resizes(interpolation, size, unit):
    image = vector_image(*size)
    options = {"mode": interpolation, **({"align_corners": False} if interpolation == "bilinear" else {})}
    small = F.interpolate(image, scale_factor=1 / unit, recompute_scale_factor=False, **options)
    wanted = F.interpolate(small, size=size, **options)
    found = mosaic(image, torch.ones(1, 1, *size), unit, interpolation)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_blocks_of_the_reference():
    row = mosaic(torch.arange(256.0).expand(1, 1, 256, 256), torch.ones(1, 1, 256, 256), 12, "nearest")[0, 0, 0]
    starts = torch.nonzero(row.diff()).flatten() + 1
    assert starts[:5].tolist() == [13, 25, 37, 49, 61]
    assert row[starts[:3]].tolist() == [12, 24, 36]


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_known_pixels_stay(interpolation):
    image, mask = torch.rand(2, 3, 40, 50), box(40, 50, 10, 30, 5, 45).expand(2, 1, 40, 50)
    found = mosaic(image, mask, 12, interpolation)
    assert torch.equal(found * (1 - mask), image * (1 - mask))
    assert not torch.equal(found, image)
    with pytest.raises(ZooError, match="mosaic's `unit` of 12 px, got 11 x 50 px"):
        mosaic(image[..., :11, :], mask[..., :11, :], 12, interpolation)


def test_the_filling_never_sees_the_hole():
    image, mask = vector_image(48, 60), box(48, 60, 12, 36, 20, 50)
    filled = hole_ns(image, mask)
    assert torch.equal(filled * (1 - mask), image * (1 - mask))
    assert torch.equal(hole_ns(image.masked_fill(mask > 0, float("nan")), mask), filled)
    rim = (filled - image).abs()[..., 12, 20:50]
    assert rim.mean() < 0.05  # a smooth image is continued smoothly
    assert torch.equal(hole_ns(image, torch.zeros_like(mask)), image)
    assert hole_ns(image, torch.ones_like(mask)).eq(0).all()
    both = hole_ns(torch.cat([image, image.flip(1)]), torch.cat([mask, mask]))
    assert torch.equal(both[0], filled[0])
