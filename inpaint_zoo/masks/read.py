"""Mask files: white is hole, threshold 127, and a warning for what looks like a mistake (specs/masks.md, section 9.3).

The only place where files become masks: the API, the command line, mask folders and the benchmark all read here.
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
    """(H, W) uint8 brightness of a picture, as Pillow's mode L; its alpha is no part of a mask."""
    return brightness(picture.rgb)


def binarise(grey: Mask, threshold: int = 127, invert: bool = False) -> Mask:
    """(H, W) uint8 of 0 and 1 from brightness: hole where it is above ``threshold``, or, inverted, is not."""
    return ((grey <= threshold) if invert else (grey > threshold)).astype(np.uint8)


def read_mask(path: str | Path, *, threshold: int = 127, invert: bool = False) -> Mask:
    """Read a mask file: (H, W) uint8, 1 = hole where the file is white. Options and warnings as `binary_mask`.

    Raises:
        PictureError: The file cannot be read.
    """
    return binary_mask(read_picture(path), threshold=threshold, invert=invert)


def binary_mask(picture: Picture, *, threshold: int = 127, invert: bool = False) -> Mask:
    """Turn a picture into a mask: (H, W) uint8, 1 = hole where it is white.

    Args:
        picture: Colour is turned into brightness, alpha is not looked at.
        threshold: Brighter pixels are hole.
        invert: Black is hole instead.

    Raises:
        MaskConfigError: A threshold outside 0 .. 254.

    Warns:
        MaskWarning: Nothing is hole, more than 60 % is, more than 1 % of the pixels are grey, the values are 0 and 1,
            or the shape is in the alpha channel.
    """
    mask, doubts = mask_of(picture, threshold=threshold, invert=invert)
    for text in doubts.values():
        warnings.warn(f"{picture.path}: {text}", MaskWarning, stacklevel=2)
    return mask


def mask_of(picture: Picture, *, threshold: int = 127, invert: bool = False) -> tuple[Mask, dict[str, str]]:
    """The mask that a picture shows, and what makes it look like a mistake; arguments and errors as `binary_mask`.

    Returns:
        (H, W) uint8, 1 = hole; and sentences by the kind of doubt, one of `checks.DOUBTS`.
    """
    if not 0 <= threshold <= 254:
        raise MaskConfigError(f"`threshold` must lie in 0 .. 254, got {threshold}.")
    grey = luminance(picture)
    mask = binarise(grey, threshold, invert)
    return mask, doubts_about(mask, grey, alpha=picture.alpha, threshold=threshold, invert=invert)
