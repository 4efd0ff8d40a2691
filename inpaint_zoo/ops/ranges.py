"""Conversion between the value range [0, 1], the native ranges of networks, and 8-bit images."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["change_range", "from_range", "to_range", "to_uint8"]


def to_range(image: Tensor, low: float, high: float) -> Tensor:
    """Map [0, 1] linearly to [low, high]."""
    return image if (low, high) == (0.0, 1.0) else image * (high - low) + low


def from_range(x: Tensor, low: float, high: float) -> Tensor:
    """Map [low, high] linearly to [0, 1], without clamping."""
    return x if (low, high) == (0.0, 1.0) else (x - low) / (high - low)


def change_range(x: Tensor, source: tuple[float, float], target: tuple[float, float]) -> Tensor:
    """Map the range ``source`` linearly to ``target``, without clamping; if they are equal, return ``x`` itself."""
    return x if source == target else to_range(from_range(x, *source), *target)


def to_uint8(image: Tensor) -> Tensor:
    """Convert an image in [0, 1] to 8 bits: clamp to [0, 1], scale by 255 and round (not truncate).

    Example:
        >>> to_uint8(torch.tensor([-0.1, 0.5, 254.6 / 255, 2.0]))
        tensor([  0, 128, 255, 255], dtype=torch.uint8)
    """
    return (image.float().clamp(0, 1) * 255).round().to(torch.uint8)
