"""Read mask files: white is hole (threshold 127), with a warning for masks that are probably a mistake.

All parts of the package read mask files through this module: the API, the command line, mask folders and the benchmark.
Each doubt about a mask is a sentence, stored under its kind. Doubts are only reported and never stop a run, because
such a mask may be intended. Source: docs/papers/masks.md, "Mask files of the papers".
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.io.images import DecodedImage, ImageError, read_image
from inpaint_zoo.io.pixels import LOW_NOTE, brightness
from inpaint_zoo.masks.errors import MaskConfigError, MaskWarning
from inpaint_zoo.masks.kind import Mask

__all__ = [
    "DOUBTS",
    "Channel",
    "MaskCheck",
    "binarize",
    "binary_mask",
    "doubt_lines",
    "doubts_about",
    "luminance",
    "mask_of",
    "read_mask",
]

DOUBTS = {
    "empty": "empty",
    "large": "more than 60 % hole",
    "gray": "gray",
    "values": "values 0 and 1",
    "depth": "values of 8 bits in a file of 16",
    "alpha": "shape in the alpha channel",
}
"""Kinds of doubts, each with its wording in messages."""
Channel = Literal["gray", "alpha"]
"""Which values of a mask file are the mask."""
_LARGE = 0.6
_NEARLY_FULL = 0.99
_GRAY = 0.01


def doubts_about(
    mask: NDArray[np.generic],
    gray: Mask | None = None,
    *,
    alpha: Mask | None = None,
    threshold: int = 127,
    invert: bool = False,
) -> dict[str, str]:
    """Return what looks wrong with a mask as sentences by kind of doubt; empty if nothing does.

    Args:
        mask: (H, W), nonzero = hole, as it will be used.
        gray: (H, W) uint8 gray values from which the mask was thresholded; None for masks that were always binary.
        alpha: (H, W) uint8 alpha channel of the file, which masks do not use.
        threshold: Gray values above it were taken as hole, or as known if ``invert`` is True.
        invert: Whether dark pixels are the hole.
    """
    binary = gray is not None and int(gray.max()) == 1  # labels 0 and 1, which a threshold of 0 reads correctly
    if binary and threshold > 0:
        text = f"the mask holds only 0 and 1 (largest value 1), and above {threshold} is hole; multiply it by 255."
        return {"values": text}
    if gray is not None and alpha is not None and gray.min() == gray.max() and alpha.min() != alpha.max():
        return {"alpha": "the mask has one color, its shape is in the alpha channel, which is not read."}
    doubts = {}
    ratio = np.count_nonzero(mask) / mask.size
    unread = "" if alpha is None else " Its alpha channel is not read."
    color = "black" if invert else "white"
    if ratio == 0:
        why = "" if gray is None else f", nothing is {color} (largest value {gray.max()})"
        doubts["empty"] = f"the mask is empty{why}.{unread}"
    elif ratio > _LARGE:
        left = " Hardly any pixel is known." if ratio > _NEARLY_FULL else ""
        taken = "1" if gray is None else color
        doubts["large"] = (
            f"{100 * ratio:.1f} % of the mask is hole, {taken} taken as hole; is it inverted?{left}{unread}"
        )
    share = 0.0 if gray is None or binary else np.count_nonzero((gray != 0) & (gray != 255)) / gray.size
    if share > _GRAY:
        doubts["gray"] = f"{100 * share:.1f} % of the mask is gray; above {threshold} was taken as white."
    return doubts


def doubt_lines(doubts: Mapping[str, list[str]]) -> list[str]:
    """Return one line for each kind of doubt: the number of masks concerned and the first sentence."""
    lines = []
    for kind, texts in doubts.items():
        masks = f"{len(texts)} mask files look" if len(texts) > 1 else "a mask file looks"
        lines.append(f"{masks} wrong ({DOUBTS[kind]}), e.g. {texts[0]}")
    return lines


@dataclass
class MaskCheck:
    """Result of checking the files of a mask set.

    Attributes:
        whole: Whether every file was checked.
        files: Number of files checked.
        doubts: Sentences that start with the file's path, by kind of doubt.
        unreadable: Error messages of files that cannot be read; the next file in order replaces each of them.
        useless: Number of files that have no hole, have no known pixel, or cannot be read.
    """

    whole: bool = True
    files: int = 0
    doubts: dict[str, list[str]] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    useless: int = 0

    def add(self, path: Path, mask: Mask, doubts: Mapping[str, str]) -> None:
        """Record a file that was read, and its doubts."""
        self.files += 1
        self.useless += np.count_nonzero(mask) in (0, mask.size)
        for kind, text in doubts.items():
            self.doubts.setdefault(kind, []).append(f"{path}: {text}")

    def add_unreadable(self, error: Exception) -> None:
        """Record a file that cannot be read."""
        self.files += 1
        self.useless += 1
        self.unreadable.append(str(error))

    def lines(self) -> list[str]:
        """Return a few lines for the user. Large holes are mentioned only if most masks have them (likely inverted)."""
        count = len(self.unreadable)
        more = f" ({count} in all)" if count > 1 else ""
        told = [f"a mask file cannot be read{more}: {self.unreadable[0]}"] if count else []
        rule = {"large"} if 2 * len(self.doubts.get("large", ())) <= self.files else set()
        return told + doubt_lines({kind: texts for kind, texts in self.doubts.items() if kind not in rule})


def luminance(image: DecodedImage) -> Mask:
    """Return the gray values of an image as (H, W) uint8, as in Pillow's mode L; the alpha channel is ignored."""
    return brightness(image.rgb)


def binarize(gray: Mask, threshold: int = 127, invert: bool = False) -> Mask:
    """Return (H, W) uint8, 1 where ``gray`` is above ``threshold``, or not above it if ``invert`` is True."""
    return ((gray <= threshold) if invert else (gray > threshold)).astype(np.uint8)


def read_mask(path: str | Path, *, threshold: int = 127, invert: bool = False) -> Mask:
    """Read a mask file as (H, W) uint8, 1 = hole where the file is white; options and warnings as in `binary_mask`.

    Raises:
        ImageError: If the file cannot be read.
    """
    return binary_mask(read_image(path), threshold=threshold, invert=invert)


def binary_mask(image: DecodedImage, *, threshold: int = 127, invert: bool = False) -> Mask:
    """Convert an image to a mask (H, W) uint8, 1 = hole where it is white.

    Args:
        image: The image. Colors are converted to gray values; the alpha channel is ignored.
        threshold: Gray values above it are hole.
        invert: Use dark pixels as hole instead.

    Raises:
        MaskConfigError: If ``threshold`` is outside 0 .. 254.

    Warns:
        MaskWarning: If no pixel is hole, more than 60 % are hole, more than 1 % are gray, the values are 0 and 1, or
            the shape is in the alpha channel, or values of 8 bits are stored with 16.
    """
    mask, doubts = mask_of(image, threshold=threshold, invert=invert)
    for text in doubts.values():
        warnings.warn(f"{image.path}: {text}", MaskWarning, stacklevel=2)
    return mask


def mask_of(
    image: DecodedImage, *, threshold: int = 127, invert: bool = False, channel: Channel = "gray"
) -> tuple[Mask, dict[str, str]]:
    """Return the mask of an image and its doubts; other arguments and errors are those of `binary_mask`.

    Args:
        image: The image.
        threshold: See `binary_mask`.
        invert: See `binary_mask`.
        channel: "gray" for the gray values, "alpha" for the alpha channel, whose opaque pixels are hole.

    Returns:
        (H, W) uint8, 1 = hole; and sentences by kind of doubt, one of `DOUBTS`.

    Raises:
        ImageError: If ``channel`` is "alpha" and the image has no alpha channel.
    """
    if not 0 <= threshold <= 254:
        raise MaskConfigError(f"`threshold` must lie in 0 .. 254, got {threshold}.")
    if channel == "alpha":
        if image.alpha is None:
            raise ImageError(f"{image.path}: the mask is read from the alpha channel, which this file does not have")
        mask = binarize(image.alpha, threshold, invert)
        return mask, doubts_about(mask, image.alpha, threshold=threshold, invert=invert)
    gray = luminance(image)
    mask = binarize(gray, threshold, invert)
    if LOW_NOTE in image.notes:
        text = "the mask has 16 bits, where white is 65535, but no value is above 255; save it with 8 bits."
        return mask, {"depth": text}
    return mask, doubts_about(mask, gray, alpha=image.alpha, threshold=threshold, invert=invert)
