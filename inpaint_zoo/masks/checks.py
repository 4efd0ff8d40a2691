"""Checks for masks that are probably a mistake. All parts of the package that accept masks use these checks.

`inpaint`, benchmark suites, mask folders in training, the commands and the Python API call `doubts_about`. Each doubt
is a sentence, stored under its kind. Doubts are only reported and never stop a run, because such a mask may be
intended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.masks.kind import Mask

__all__ = ["DOUBTS", "MaskCheck", "doubt_lines", "doubts_about"]

DOUBTS = {
    "empty": "empty",
    "large": "more than 60 % hole",
    "grey": "grey",
    "values": "values 0 and 1",
    "alpha": "shape in the alpha channel",
}
"""Kinds of doubts, each with its wording in messages."""
_LARGE = 0.6
_NEARLY_FULL = 0.99
_GREY = 0.01


def doubts_about(
    mask: NDArray[np.generic],
    grey: Mask | None = None,
    *,
    alpha: Mask | None = None,
    threshold: int = 127,
    invert: bool = False,
) -> dict[str, str]:
    """Return what looks wrong with a mask as sentences by kind of doubt; empty if nothing does.

    Args:
        mask: (H, W), nonzero = hole, as it will be used.
        grey: (H, W) uint8 gray values from which the mask was thresholded; None for masks that were always binary.
        alpha: (H, W) uint8 alpha channel of the file, which masks do not use.
        threshold: Gray values above it were taken as hole, or as known if ``invert`` is True.
        invert: Whether dark pixels are the hole.
    """
    binary = grey is not None and int(grey.max()) == 1  # labels 0 and 1, which a threshold of 0 reads correctly
    if binary and threshold > 0:
        text = f"the mask holds only 0 and 1 (largest value 1), and above {threshold} is hole; multiply it by 255."
        return {"values": text}
    if grey is not None and alpha is not None and grey.min() == grey.max() and alpha.min() != alpha.max():
        return {"alpha": "the mask has one color, its shape is in the alpha channel, which is not read."}
    doubts = {}
    ratio = np.count_nonzero(mask) / mask.size
    unread = "" if alpha is None else " Its alpha channel is not read."
    colour = "black" if invert else "white"
    if ratio == 0:
        why = "" if grey is None else f", nothing is {colour} (largest value {grey.max()})"
        doubts["empty"] = f"the mask is empty{why}.{unread}"
    elif ratio > _LARGE:
        left = " Hardly any pixel is known." if ratio > _NEARLY_FULL else ""
        taken = "1" if grey is None else colour
        doubts["large"] = (
            f"{100 * ratio:.1f} % of the mask is hole, {taken} taken as hole; is it inverted?{left}{unread}"
        )
    share = 0.0 if grey is None or binary else np.count_nonzero((grey != 0) & (grey != 255)) / grey.size
    if share > _GREY:
        doubts["grey"] = f"{100 * share:.1f} % of the mask is grey; above {threshold} was taken as white."
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
