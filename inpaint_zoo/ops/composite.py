"""Compositing: the prediction replaces the hole's pixels only."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["composite"]


def composite(pred: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """Return the composite: hole pixels from ``pred``, known pixels bit for bit from ``image``.

    It selects pixels instead of computing ``pred * mask + image * (1 - mask)``, so NaN in the hole of ``image`` does
    not reach the result.

    Args:
        pred: Raw prediction (B, 3, H, W) in the value range of ``image``.
        image: (B, 3, H, W).
        mask: (B, 1, H, W), 1 = hole, 0 = known.

    Example:
        >>> mask = torch.tensor([[[[1.0, 0.0]]]])  # the left pixel is the hole
        >>> composite(torch.full((1, 3, 1, 2), 0.5), torch.zeros(1, 3, 1, 2), mask)[0, 0]
        tensor([[0.5000, 0.0000]])
    """
    return torch.where(mask > 0.5, pred, image)
