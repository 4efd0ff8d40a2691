"""Offsets as colours: the direction is the hue, the length the saturation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["colour_key", "flow_colours"]

SEGMENTS = (15, 6, 4, 11, 13, 6)  # colours from red to yellow, green, cyan, blue, magenta and red
EPSILON = 2.220446049250313e-16


def _wheel() -> NDArray[np.float64]:
    """(55, 3), the hues around the circle in [0, 1]."""
    parts = []
    for k, count in enumerate(SEGMENTS):
        ramp = np.floor(255 * np.arange(count) / count)
        colours = np.zeros((count, 3))
        # one channel stays full, its neighbour rises or it falls itself
        if k % 2 == 0:
            colours[:, k // 2], colours[:, (k // 2 + 1) % 3] = 255, ramp
        else:
            colours[:, k // 2], colours[:, (k // 2 + 1) % 3] = 255 - ramp, 255
        parts.append(colours)
    return np.concatenate(parts) / 255


def flow_colours(offsets: NDArray[Any], batch_running_max: bool = False) -> NDArray[np.uint8]:
    """Colours of offsets on Middlebury's wheel; none at all is white.

    The difference in rows is the wheel's horizontal component, as released with Contextual Attention.

    Source: docs/papers/glcic_ca.md, "Offsets as colors".

    Args:
        offsets: (B, 2, h, w), rows and columns.
        batch_running_max: Lengths are relative to the longest of this and all earlier samples, as released, instead of
            the sample's own longest.

    Returns:
        (B, h, w, 3).
    """
    u, v = np.moveaxis(offsets.astype(np.float64), 1, 0)  # (B, h, w) each
    longest = np.sqrt(u**2 + v**2).max(axis=(1, 2), keepdims=True)
    if batch_running_max:
        longest = np.maximum.accumulate(longest)
    return _colours(u / (longest + EPSILON), v / (longest + EPSILON))


def colour_key(side: int) -> NDArray[np.uint8]:
    """(side, side, 3): each place of a disc in the colour of the offset that leads to it from the middle."""
    rows, columns = np.meshgrid(*[np.linspace(-1, 1, side)] * 2, indexing="ij")
    outside = np.sqrt(rows**2 + columns**2) > 1
    return np.where(outside[..., None], np.uint8(255), _colours(rows, columns))


def _colours(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(..., 3) of offsets in a disc of radius 1; beyond it they are darkened."""
    wheel = _wheel()
    radius = np.sqrt(u**2 + v**2)[..., None]
    place = (np.arctan2(-v, -u) / np.pi + 1) / 2 * (len(wheel) - 1)
    first = np.floor(place).astype(int)
    share = (place - first)[..., None]
    hue = (1 - share) * wheel[first] + share * wheel[(first + 1) % len(wheel)]
    return np.floor(255 * np.where(radius <= 1, 1 - radius * (1 - hue), 0.75 * hue)).astype(np.uint8)
