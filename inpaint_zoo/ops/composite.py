"""Putting a prediction into the hole, and nowhere else."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["composite"]


def composite(pred: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """Take the hole from ``pred`` and everything else, bit for bit, from ``image``.

    A selection, not ``pred * mask + image * (1 - mask)``: NaN under the hole of ``image`` goes nowhere.

    Args:
        pred: (B, 3, H, W), raw, in the value range of ``image``.
        image: (B, 3, H, W).
        mask: (B, 1, H, W), 1 in the hole, 0 where the pixel is known.

    Example:
        >>> mask = torch.tensor([[[[1.0, 0.0]]]])  # the left pixel is the hole
        >>> composite(torch.full((1, 3, 1, 2), 0.5), torch.zeros(1, 3, 1, 2), mask)[0, 0]
        tensor([[0.5000, 0.0000]])
    """
    return torch.where(mask > 0.5, pred, image)
