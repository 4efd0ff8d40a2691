"""Color coding of offsets: hue shows the direction, saturation the length."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["color_key", "flow_colors"]

SEGMENTS = (15, 6, 4, 11, 13, 6)  # number of colors from red to yellow, green, cyan, blue, magenta and back to red
EPSILON = 2.220446049250313e-16


def _wheel() -> NDArray[np.float64]:
    """Return the hues of the color wheel, (55, 3) in [0, 1]."""
    parts = []
    for k, count in enumerate(SEGMENTS):
        ramp = np.floor(255 * np.arange(count) / count)
        colors = np.zeros((count, 3))
        # even segments: the next channel rises; odd segments: this channel falls
        if k % 2 == 0:
            colors[:, k // 2], colors[:, (k // 2 + 1) % 3] = 255, ramp
        else:
            colors[:, k // 2], colors[:, (k // 2 + 1) % 3] = 255 - ramp, 255
        parts.append(colors)
    return np.concatenate(parts) / 255


def flow_colors(offsets: NDArray[Any], batch_running_max: bool = False) -> NDArray[np.uint8]:
    """Return offsets color-coded with the Middlebury color wheel. An offset of zero is white.

    The row offset is the wheel's horizontal component, as in the released code of Contextual Attention.

    Source: docs/papers/glcic_ca.md, "Offsets as colors".

    Args:
        offsets: (B, 2, h, w), row and column offsets.
        batch_running_max: Whether to divide lengths by the maximum of this and all earlier samples, as the released
            code does; otherwise they are divided by the maximum of the sample.

    Returns:
        (B, h, w, 3).
    """
    u, v = np.moveaxis(offsets.astype(np.float64), 1, 0)  # (B, h, w) each
    longest = np.sqrt(u**2 + v**2).max(axis=(1, 2), keepdims=True)
    if batch_running_max:
        longest = np.maximum.accumulate(longest)
    return _colors(u / (longest + EPSILON), v / (longest + EPSILON))


def color_key(side: int) -> NDArray[np.uint8]:
    """Return a color key (side, side, 3): each pixel of a disc has the color of its offset from the center."""
    rows, columns = np.meshgrid(*[np.linspace(-1, 1, side)] * 2, indexing="ij")
    outside = np.sqrt(rows**2 + columns**2) > 1
    return np.where(outside[..., None], np.uint8(255), _colors(rows, columns))


def _colors(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the colors (..., 3) of offsets within the unit disc. Offsets outside get darker colors."""
    wheel = _wheel()
    radius = np.sqrt(u**2 + v**2)[..., None]
    place = (np.arctan2(-v, -u) / np.pi + 1) / 2 * (len(wheel) - 1)
    first = np.floor(place).astype(int)
    share = (place - first)[..., None]
    hue = (1 - share) * wheel[first] + share * wheel[(first + 1) % len(wheel)]
    return np.floor(255 * np.where(radius <= 1, 1 - radius * (1 - hue), 0.75 * hue)).astype(np.uint8)
