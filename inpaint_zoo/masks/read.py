"""Read mask files: white is hole (threshold 127), with a warning for masks that are probably a mistake.

All parts of the package read mask files through this module: the API, the command line, mask folders and the benchmark.
Source: docs/papers/masks.md, "Mask files of the papers".
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from inpaint_zoo.io.pictures import Picture, read_picture
from inpaint_zoo.io.pixels import brightness
from inpaint_zoo.masks.checks import doubts_about
from inpaint_zoo.masks.errors import MaskConfigError, MaskWarning
from inpaint_zoo.masks.kind import Mask

__all__ = ["binarise", "binary_mask", "luminance", "mask_of", "read_mask"]


def luminance(picture: Picture) -> Mask:
    """Return the gray values of an image as (H, W) uint8, as in Pillow's mode L; the alpha channel is ignored."""
    return brightness(picture.rgb)


def binarise(grey: Mask, threshold: int = 127, invert: bool = False) -> Mask:
    """Return (H, W) uint8, 1 where ``grey`` is above ``threshold``, or not above it if ``invert`` is True."""
    return ((grey <= threshold) if invert else (grey > threshold)).astype(np.uint8)


def read_mask(path: str | Path, *, threshold: int = 127, invert: bool = False) -> Mask:
    """Read a mask file as (H, W) uint8, 1 = hole where the file is white; options and warnings as in `binary_mask`.

    Raises:
        PictureError: If the file cannot be read.
    """
    return binary_mask(read_picture(path), threshold=threshold, invert=invert)


def binary_mask(picture: Picture, *, threshold: int = 127, invert: bool = False) -> Mask:
    """Convert an image to a mask (H, W) uint8, 1 = hole where it is white.

    Args:
        picture: The image. Colors are converted to gray values; the alpha channel is ignored.
        threshold: Gray values above it are hole.
        invert: Use dark pixels as hole instead.

    Raises:
        MaskConfigError: If ``threshold`` is outside 0 .. 254.

    Warns:
        MaskWarning: If no pixel is hole, more than 60 % are hole, more than 1 % are gray, the values are 0 and 1, or
            the shape is in the alpha channel.
    """
    mask, doubts = mask_of(picture, threshold=threshold, invert=invert)
    for text in doubts.values():
        warnings.warn(f"{picture.path}: {text}", MaskWarning, stacklevel=2)
    return mask


def mask_of(picture: Picture, *, threshold: int = 127, invert: bool = False) -> tuple[Mask, dict[str, str]]:
    """Return the mask of an image and its doubts; arguments and errors are those of `binary_mask`.

    Returns:
        (H, W) uint8, 1 = hole; and sentences by kind of doubt, one of `checks.DOUBTS`.
    """
    if not 0 <= threshold <= 254:
        raise MaskConfigError(f"`threshold` must lie in 0 .. 254, got {threshold}.")
    grey = luminance(picture)
    mask = binarise(grey, threshold, invert)
    return mask, doubts_about(mask, grey, alpha=picture.alpha, threshold=threshold, invert=invert)
