"""Padding to the sides a network accepts, and back."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["crop_to", "pad_to_multiple"]


def _mirror(length: int, target: int, device: torch.device) -> Tensor:
    """Indices 0..target-1 folded back into 0..length-1, the edge repeated: a b c | c b a | a b c."""
    index = torch.arange(target, device=device) % (2 * length)
    return torch.where(index < length, index, 2 * length - 1 - index)


def pad_to_multiple(x: Tensor, divisor: int = 1, min_size: int = 1) -> Tensor:
    """Grow the right and bottom by symmetric reflection until both sides suit the network.

    Symmetric (the edge pixel repeated, as LaMa's released code pads), and defined for any growth: a 16 px side can
    become 256.

    Args:
        x: (B, C, H, W), image or mask.
        divisor: Both sides become multiples of it.
        min_size: Both sides become at least this, rounded up to a multiple of ``divisor``.

    Returns:
        (B, C, H', W') with H' >= H and W' >= W; ``x`` itself where nothing is missing.

    Example:
        >>> pad_to_multiple(torch.arange(3.0).reshape(1, 1, 1, 3), divisor=4)[0, 0, 0]
        tensor([0., 1., 2., 2.])
    """
    height, width = (math.ceil(max(side, min_size) / divisor) * divisor for side in x.shape[-2:])
    if height != x.shape[-2]:
        x = x.index_select(-2, _mirror(x.shape[-2], height, x.device))
    if width != x.shape[-1]:
        x = x.index_select(-1, _mirror(x.shape[-1], width, x.device))
    return x


def crop_to(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Undo `pad_to_multiple`: keep the top-left ``size`` = (H, W) of (B, C, H', W')."""
    return x[..., : size[0], : size[1]]
