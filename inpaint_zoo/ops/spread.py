"""Fill a hole by spreading known colors, without learned weights."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["spread_known"]

FINE_PASSES = 4  # enough for thin lines and for grids of up to four pixels at full resolution
COARSE_PASSES = 2
SMALLEST = 4


def _cross(x: Tensor) -> Tensor:
    """Return the sum of the four neighbors, with zeros outside the image."""
    x = F.pad(x, (1, 1, 1, 1))
    return x[..., :-2, 1:-1] + x[..., 2:, 1:-1] + x[..., 1:-1, :-2] + x[..., 1:-1, 2:]


def _grow(image: Tensor, known: Tensor, passes: int) -> tuple[Tensor, Tensor]:
    """Fill ``passes`` layers: each unknown pixel next to known ones becomes their mean and counts as known."""
    for _ in range(passes):
        count = _cross(known)
        reached = (known == 0) & (count > 0)
        image = torch.where(reached, _cross(image) / count.clamp(min=1), image)
        known = torch.where(reached, 1, known)
    return image, known


def _spread(image: Tensor, known: Tensor, passes: int) -> Tensor:
    size = (image.shape[-2], image.shape[-1])
    last = max(size) <= SMALLEST
    image, known = _grow(image, known, 2 * SMALLEST if last else passes)
    if last:
        return torch.where(known > 0, image, 0.5)
    share = F.avg_pool2d(known, 2, ceil_mode=True)
    half = F.avg_pool2d(image, 2, ceil_mode=True) / share.clamp(min=0.25)
    coarse = _spread(half, (share > 0).to(known.dtype), COARSE_PASSES)
    return torch.where(known > 0, image, F.interpolate(coarse, size, mode="bilinear", align_corners=False))


def spread_known(image: Tensor, mask: Tensor) -> Tensor:
    """Fill the hole from its border inwards with means of neighboring pixels.

    Four layers of pixels are filled at full resolution. The rest is filled recursively at half resolution, two layers
    per level, and upsampled bilinearly. A hole one pixel wide becomes the mean of both of its sides. If only every
    second pixel in each direction is known, the result is the bilinear interpolation. If no pixel is known, the result
    is mid-gray (0.5).

    Args:
        image: (B, C, H, W) in [0, 1]; the values in the hole have no effect, but must be finite.
        mask: (B, 1, H, W), 1 = hole, 0 = known.

    Returns:
        (B, C, H, W), equal to ``image`` at known pixels.

    Example:
        >>> row = torch.tensor([[[[0.0, 9.0, 1.0]]]])
        >>> spread_known(row, torch.tensor([[[[0.0, 1.0, 0.0]]]]))
        tensor([[[[0.0000, 0.5000, 1.0000]]]])
    """
    known = 1 - mask
    return _spread(image * known, known, FINE_PASSES)
