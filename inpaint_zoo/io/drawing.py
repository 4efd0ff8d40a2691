"""Common parts of drawn sheets and pages: colors, fonts, and the outline of a hole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFont

__all__ = ["FAINT", "HOLE", "INK", "PAPER", "Bytes", "font", "outlined", "sized"]

Bytes = NDArray[np.uint8]

PAPER, INK, FAINT, HOLE = (255, 255, 255), (32, 33, 36), (95, 99, 104), (228, 26, 128)


def sized(image: Bytes, size: tuple[int, int]) -> Bytes:
    """Resize (h, w, 3) to (width, height); enlarging repeats pixels, so that the pixels of small maps are visible."""
    larger = image.shape[1] < size[0]
    how = Image.Resampling.NEAREST if larger else Image.Resampling.BOX
    return np.asarray(Image.fromarray(image).resize(size, how))


def outlined(image: Bytes, hole: NDArray[np.bool_]) -> Image.Image:
    """Return the image with a line of one pixel around the hole, on its outside."""
    H, W, _ = image.shape
    inside = np.asarray(Image.fromarray(hole).resize((W, H), Image.Resampling.NEAREST))
    padded = np.pad(inside, 1)
    near = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return Image.fromarray(np.where((near & ~inside)[..., None], np.array(HOLE, np.uint8), image))


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's default font in ``size`` pixels."""
    return ImageFont.load_default(size=size)
