"""The weights of DeepFillv1's spatially discounted L1: what lies deep in the hole is ambiguous and counts little."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["spatial_discount"]


def spatial_discount(height: int, width: int, gamma: float = 0.9) -> Tensor:
    """(1, 1, height, width): max(gamma^min(i, height - i), gamma^min(j, width - j)) over a box, i and j from 0.

    Asymmetric as released: the first row and column weigh 1, the last ones gamma. It belongs to the whole box that the
    local critic sees, not to the shrunken hole inside it.

    Source: Contextual Attention's PyTorch code; gamma 0.9 there and in the paper to reproduce (the DeepFillv1 article
    says 0.99). For `weighted_l1`.

    Example:
        >>> spatial_discount(3, 4, gamma=0.5)[0, 0]
        tensor([[1.0000, 1.0000, 1.0000, 1.0000],
                [1.0000, 0.5000, 0.5000, 0.5000],
                [1.0000, 0.5000, 0.5000, 0.5000]])
    """
    i, j = (torch.arange(side, dtype=torch.float64) for side in (height, width))
    rows, columns = gamma ** torch.minimum(i, height - i), gamma ** torch.minimum(j, width - j)
    return torch.maximum(rows[:, None], columns[None, :]).float()[None, None]
