"""Crop images of any size to the pixels that are scored: integer geometry and one resampling filter.

The filter is Pillow's bicubic with antialiasing, for shrinking and enlarging, unless a paper's training needs another
one. Reasons: LaMa's data preparation resizes bicubically. The kernel is a polynomial without a sine, and Pillow sums
8-bit pixels in fixed point, so platforms agree (a Lanczos kernel depends on the last bits of the C library). Area
averaging would make enlarged images blocky. Nothing is resampled if the size already fits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.images import MAX_PIXELS

__all__ = ["CROPS", "FILTERS", "Size", "Window", "cut", "windows"]

Size = tuple[int, int]  # (H, W)
FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
}
"""Resampling filters by name, all with antialiasing."""


class Window(NamedTuple):
    """A crop: resize the image to ``resized``, then keep ``size`` from row ``top`` and column ``left`` on."""

    resized: Size
    top: int
    left: int
    size: Size


def _cover(source: Size, size: Size) -> Size:
    """Return the smallest (H, W) with the aspect ratio of ``source`` that covers ``size``; one side fits exactly."""
    (H, W), (h, w) = source, size
    if h * W >= w * H:
        return h, (2 * h * W + H) // (2 * H)  # rounded half up; at least w, which is an integer
    return (2 * w * H + W) // (2 * W), w


def _center(source: Size, size: Size, _: Size) -> list[Window]:
    H, W = _cover(source, size)
    return [Window((H, W), (H - size[0]) // 2, (W - size[1]) // 2, size)]


def _resize(source: Size, size: Size, _: Size) -> list[Window]:
    return [Window(size, 0, 0, size)]


def _grid(source: Size, size: Size, _: Size) -> list[Window]:
    (h, w) = size
    H, W = _cover(source, (2 * h, 2 * w))
    rows, columns = H // h, W // w
    top, left = (H - rows * h) // 2, (W - columns * w) // 2
    return [Window((H, W), top + r * h, left + c * w, size) for r in range(rows) for c in range(columns)]


def _random(source: Size, size: Size, draws: Size) -> list[Window]:
    H, W = source if source[0] >= size[0] and source[1] >= size[1] else _cover(source, size)
    top, left = ((draw * (side - part + 1)) >> 32 for draw, side, part in zip(draws, (H, W), size, strict=True))
    return [Window((H, W), top, left, size)]


_RULES: dict[str, Callable[[Size, Size, Size], list[Window]]] = {
    "center": _center,
    "resize": _resize,
    "grid": _grid,
    "random": _random,
}
CROPS = (*_RULES, "none")
"""Names of the crop rules.

center: resize so that the image just covers ``size``, and keep the center. resize: resize to ``size`` without keeping
the aspect ratio. grid: resize so that the image just covers twice ``size`` in both directions, and take all centered
crops that fit without overlap: four from a square, six from 3:2. random: a random position for each sample at the
image's own resolution; only images that are too small are enlarged to cover ``size``. none: no change.
"""


def windows(rule: str, source: Size, size: Size | None, draws: Size = (0, 0)) -> list[Window]:
    """Return the crops that ``rule`` takes from an image, row by row.

    Args:
        rule: One of `CROPS`.
        source: (H, W) of the image.
        size: (H, W) of a crop; None for "none".
        draws: Two random integers below 2^32 for "random": row, column.

    Returns:
        One window, or several for "grid".

    Raises:
        ZooError: If the resized image would exceed the maximum number of pixels, such as 1 x 5000 to cover 256 x 256.

    Example:
        >>> windows("center", (512, 768), (256, 256))
        [Window(resized=(256, 384), top=0, left=64, size=(256, 256))]
    """
    if size is None:
        return [Window(source, 0, 0, source)]
    found = _RULES[rule](source, size, draws)
    H, W = found[0].resized
    if max(MAX_PIXELS, source[0] * source[1]) < H * W:
        raise ZooError(f"{source[1]} x {source[0]} would have to be enlarged to {W} x {H} pixels")
    return found


def cut(rgb: NDArray[np.uint8], window: Window, filter_name: str = "bicubic") -> NDArray[np.uint8]:
    """Take a window from an image, (H, W, 3) uint8 in and out: resize the whole image, then crop."""
    H, W = window.resized
    if rgb.shape[:2] != (H, W):
        rgb = np.asarray(Image.fromarray(rgb).resize((W, H), FILTERS[filter_name]))
    return rgb[window.top : window.top + window.size[0], window.left : window.left + window.size[1]].copy()
