"""Padding to a height and width that a network accepts, and cropping back."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Padding", "crop_to", "pad_to_multiple"]

Padding = Literal["symmetric", "reflect", "zeros"]


def _mirror(length: int, target: int, repeats_edge: bool, device: torch.device) -> Tensor:
    """Return ``target`` mirrored indices into 0..length-1: a b c | c b a | a b c, or without edge a b c | b | a b c."""
    period = 2 * length if repeats_edge else max(1, 2 * length - 2)
    index = torch.arange(target, device=device) % period
    return torch.where(index < length, index, 2 * length - 1 - index if repeats_edge else period - index)


def pad_to_multiple(
    x: Tensor, divisor: int | tuple[int, int] = 1, min_size: int = 1, mode: Padding = "symmetric"
) -> Tensor:
    """Pad at the right and bottom until height and width suit the network.

    The padding can be larger than the image: 16 px can become 256 px.

    Args:
        x: Image or mask (B, C, H, W).
        divisor: Height and width become multiples of this number, or of one number each.
        min_size: Minimum height and width in pixels, rounded up to a multiple of ``divisor``.
        mode: "symmetric" reflects and repeats the edge pixel (as in LaMa's released code), "reflect" reflects without
            repeating it, "zeros" pads with 0.

    Returns:
        (B, C, H', W') with H' >= H and W' >= W; ``x`` itself if no padding is needed.

    Example:
        >>> pad_to_multiple(torch.arange(3.0).reshape(1, 1, 1, 3), divisor=4)[0, 0, 0]
        tensor([0., 1., 2., 2.])
    """
    divisors = (divisor, divisor) if isinstance(divisor, int) else divisor
    height, width = (math.ceil(max(x.shape[k - 2], min_size) / divisors[k]) * divisors[k] for k in (0, 1))
    if mode == "zeros":
        missing = [0, width - x.shape[-1], 0, height - x.shape[-2]]
        return F.pad(x, missing) if any(missing) else x
    for dimension, side in ((-2, height), (-1, width)):
        if side != x.shape[dimension]:
            x = x.index_select(dimension, _mirror(x.shape[dimension], side, mode == "symmetric", x.device))
    return x


def crop_to(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Undo `pad_to_multiple`: crop (B, C, H', W') to the top-left ``size`` = (H, W)."""
    return x[..., : size[0], : size[1]]
