"""Padding to the sides a network accepts, and back."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Padding", "crop_to", "pad_to_multiple"]

Padding = Literal["symmetric", "reflect", "zeros"]


def _mirror(length: int, target: int, repeats_edge: bool, device: torch.device) -> Tensor:
    """Indices folded back into 0..length-1: a b c | c b a | a b c, or without the edge: a b c | b | a b c."""
    period = 2 * length if repeats_edge else max(1, 2 * length - 2)
    index = torch.arange(target, device=device) % period
    return torch.where(index < length, index, 2 * length - 1 - index if repeats_edge else period - index)


def pad_to_multiple(x: Tensor, divisor: int = 1, min_size: int = 1, mode: Padding = "symmetric") -> Tensor:
    """Grow the right and bottom until both sides suit the network.

    Defined for any growth: a 16 px side can become 256.

    Args:
        x: (B, C, H, W), image or mask.
        divisor: Both sides become multiples of it.
        min_size: Both sides become at least this, rounded up to a multiple of ``divisor``.
        mode: By reflection, "symmetric" with the edge pixel repeated (as LaMa's released code pads), "reflect" without;
            or by zeros.

    Returns:
        (B, C, H', W') with H' >= H and W' >= W; ``x`` itself where nothing is missing.

    Example:
        >>> pad_to_multiple(torch.arange(3.0).reshape(1, 1, 1, 3), divisor=4)[0, 0, 0]
        tensor([0., 1., 2., 2.])
    """
    height, width = (math.ceil(max(side, min_size) / divisor) * divisor for side in x.shape[-2:])
    if mode == "zeros":
        missing = [0, width - x.shape[-1], 0, height - x.shape[-2]]
        return F.pad(x, missing) if any(missing) else x
    for dimension, side in ((-2, height), (-1, width)):
        if side != x.shape[dimension]:
            x = x.index_select(dimension, _mirror(x.shape[dimension], side, mode == "symmetric", x.device))
    return x


def crop_to(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Undo `pad_to_multiple`: keep the top-left ``size`` = (H, W) of (B, C, H', W')."""
    return x[..., : size[0], : size[1]]
