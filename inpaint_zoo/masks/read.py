"""Mask files: white is hole, threshold 127, and a warning for what looks like a mistake (specs/masks.md, section 9.3).

The only place where files become masks: the API, the command line, mask folders and the benchmark all read here.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from inpaint_zoo.io.pictures import Picture, read_picture
from inpaint_zoo.masks.errors import MaskConfigError, MaskWarning
from inpaint_zoo.masks.kind import Mask

__all__ = ["binarise", "binary_mask", "grey_share", "luminance", "mask_of", "read_mask"]

_LARGE = 0.6
_GREY = 0.01


def luminance(picture: Picture) -> Mask:
    """(H, W) uint8 brightness of a picture, as Pillow's mode L; its alpha is no part of a mask."""
    red, green, blue = (picture.rgb[..., k].astype(np.uint32) for k in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + (1 << 15)) >> 16).astype(np.uint8)


def binarise(grey: Mask, threshold: int = 127, invert: bool = False) -> Mask:
    """(H, W) uint8 of 0 and 1 from brightness: hole where it is above ``threshold``, or, inverted, is not."""
    return ((grey <= threshold) if invert else (grey > threshold)).astype(np.uint8)


def grey_share(grey: Mask) -> float:
    """Share of the pixels that are neither black nor white."""
    return float(np.count_nonzero((grey != 0) & (grey != 255))) / grey.size


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
        MaskWarning: Nothing is hole, more than 60 % is, or more than 1 % of the pixels are grey.
    """
    mask, doubts = mask_of(picture, threshold=threshold, invert=invert)
    for text in doubts.values():
        warnings.warn(f"{picture.path}: {text}", MaskWarning, stacklevel=2)
    return mask


def mask_of(picture: Picture, *, threshold: int = 127, invert: bool = False) -> tuple[Mask, dict[str, str]]:
    """The mask that a picture shows, and what makes it look like a mistake; arguments and errors as `binary_mask`.

    Returns:
        (H, W) uint8, 1 = hole; and sentences by the kind of doubt: "empty", "large", "grey".
    """
    if not 0 <= threshold <= 254:
        raise MaskConfigError(f"`threshold` must lie in 0 .. 254, got {threshold}.")
    grey = luminance(picture)
    mask = binarise(grey, threshold, invert)
    doubts = {}
    ratio = int(mask.sum()) / mask.size
    alpha = " Its alpha channel is not read." if picture.alpha is not None else ""
    if ratio == 0:
        colour = "black" if invert else "white"
        doubts["empty"] = f"the mask is empty, nothing is {colour} (largest value {grey.max()}).{alpha}"
    elif ratio > _LARGE:
        doubts["large"] = f"{100 * ratio:.1f} % of the mask is hole; white is hole unless it is inverted.{alpha}"
    share = grey_share(grey)
    if share > _GREY:
        doubts["grey"] = f"{100 * share:.1f} % of the mask is grey; above {threshold} was taken as white."
    return mask, doubts
