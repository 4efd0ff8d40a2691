"""Weights of hole pixels that decrease towards the hole's center, where the content is ambiguous.

Source: docs/papers/masks.md, "Spatial discount".
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

__all__ = ["discount_from_mask", "spatial_discount"]


def spatial_discount(height: int, width: int, gamma: float = 0.9) -> Tensor:
    """Return max(gamma^min(i, height - i), gamma^min(j, width - j)) over a box, (1, 1, height, width), i and j from 0.

    As in the released code, it is asymmetric: the first row and column have weight 1, the last ones gamma. It covers
    the whole box that the local critic sees, not only the smaller hole inside it.

    Source: Contextual Attention's PyTorch code, with gamma 0.9 as in the study that is reproduced here (the DeepFillv1
    paper says 0.99). For `losses.weighted_l1`.

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
    """Return gamma to the power of the distance in pixels to the nearest known pixel, (B, 1, H, W), for any hole shape.

    The weight is 1 at known pixels and gamma at the hole's border. It is 0 everywhere if no pixel is known. Positions
    outside the image do not count as known. The distances are computed on the CPU by OpenCV, so a mask on another
    device is copied, with synchronization.

    Source: this package; the papers define it for boxes only (`spatial_discount`).

    Args:
        mask: (B, 1, H, W), 1 = hole.
        gamma: Base of the weights, in (0, 1).
        distance: "chessboard", the larger of the two coordinate differences, or "euclidean".

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
    """Return the distance (H, W) in float64 to the nearest 0; infinite if there is none."""
    import cv2

    if hole.all():
        return np.full(hole.shape, np.inf)
    return np.asarray(cv2.distanceTransform(hole, kind, window), dtype=np.float64)
