"""What pictures for people have in common: colours, letters, the line around a hole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFont

__all__ = ["FAINT", "HOLE", "INK", "PAPER", "Bytes", "font", "outlined", "sized"]

Bytes = NDArray[np.uint8]

PAPER, INK, FAINT, HOLE = (255, 255, 255), (32, 33, 36), (95, 99, 104), (228, 26, 128)


def sized(picture: Bytes, size: tuple[int, int]) -> Bytes:
    """(h, w, 3) at (width, height); enlarged by repetition, so that pixels of small maps are seen as what they are."""
    larger = picture.shape[1] < size[0]
    how = Image.Resampling.NEAREST if larger else Image.Resampling.BOX
    return np.asarray(Image.fromarray(picture).resize(size, how))


def outlined(picture: Bytes, hole: NDArray[np.bool_]) -> Image.Image:
    """With a line of one pixel around the hole, on its outside."""
    H, W, _ = picture.shape
    inside = np.asarray(Image.fromarray(hole).resize((W, H), Image.Resampling.NEAREST))
    padded = np.pad(inside, 1)
    near = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return Image.fromarray(np.where((near & ~inside)[..., None], np.array(HOLE, np.uint8), picture))


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own."""
    return ImageFont.load_default(size=size)
