"""How much a pixel of the hole counts: what lies deep in it is ambiguous and counts little (specs/masks.md, 7.1)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

__all__ = ["discount_from_mask", "spatial_discount"]


def spatial_discount(height: int, width: int, gamma: float = 0.9) -> Tensor:
    """(1, 1, height, width): max(gamma^min(i, height - i), gamma^min(j, width - j)) over a box, i and j from 0.

    Asymmetric as released: the first row and column weigh 1, the last ones gamma. It belongs to the whole box that the
    local critic sees, not to the shrunken hole inside it.

    Source: Contextual Attention's PyTorch code; gamma 0.9 there and in the paper to reproduce (the DeepFillv1 article
    says 0.99). For `losses.weighted_l1`.

    Example:
        >>> spatial_discount(3, 4, gamma=0.5)[0, 0]
        tensor([[1.0000, 1.0000, 1.0000, 1.0000],
                [1.0000, 0.5000, 0.5000, 0.5000],
                [1.0000, 0.5000, 0.5000, 0.5000]])
    """
    i, j = (torch.arange(side, dtype=torch.float64) for side in (height, width))
    rows, columns = gamma ** torch.minimum(i, height - i), gamma ** torch.minimum(j, width - j)
    return torch.maximum(rows[:, None], columns[None, :]).float()[None, None]


def discount_from_mask(
    mask: Tensor, gamma: float = 0.9, distance: Literal["chessboard", "euclidean"] = "chessboard"
) -> Tensor:
    """(B, 1, H, W): gamma to the power of the distance to the nearest known pixel, for holes of any form.

    1 where the pixel is known, gamma at the hole's rim; 0 everywhere if nothing is known. What lies outside the picture
    counts as neither. Distances are measured on the CPU (OpenCV), so a mask on another device is waited for.

    Source: the zoo's; the papers have it for boxes only (`spatial_discount`).

    Args:
        mask: (B, 1, H, W), 1 in the hole.
        gamma: In (0, 1).
        distance: Chessboard, the larger of the two coordinate differences, or Euclidean.

    Example:
        >>> discount_from_mask(torch.tensor([[[[0.0, 1, 1, 1, 1, 0]]]]), gamma=0.5)[0, 0]
        tensor([[1.0000, 0.5000, 0.2500, 0.2500, 0.5000, 1.0000]])
    """
    import cv2

    kind, window = (cv2.DIST_C, 3) if distance == "chessboard" else (cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    holes = (mask.detach() > 0.5).to("cpu", torch.uint8).numpy()
    steps = np.stack([_distance(hole[0], kind, window) for hole in holes])[:, None]
    weights = torch.from_numpy(np.power(np.float64(gamma), steps))
    return weights.to(mask.device, mask.dtype if mask.is_floating_point() else torch.float32)


def _distance(hole: np.ndarray, kind: int, window: int) -> np.ndarray:
    """(H, W) float64 distance to the nearest 0; infinite if there is none."""
    import cv2

    if hole.all():
        return np.full(hole.shape, np.inf)
    return np.asarray(cv2.distanceTransform(hole, kind, window), dtype=np.float64)
