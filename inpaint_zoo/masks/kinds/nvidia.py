"""NVIDIA's irregular masks: the test set with its six bins of hole ratios, and the raw training set.

Source: docs/papers/masks.md, "NVIDIA test masks" and "NVIDIA training masks".
"""

# ruff: noqa: D102 - `Kind` documents its methods
from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from inpaint_zoo.config import flag, integer, option
from inpaint_zoo.masks.accept import Accept, redraw_component
from inpaint_zoo.masks.errors import MaskConfigError
from inpaint_zoo.masks.folder import MaskFolder, corner
from inpaint_zoo.masks.index import IndexEntry, index_folder
from inpaint_zoo.masks.kind import Canvases, Mask, Notes, Size, register_kind
from inpaint_zoo.masks.transforms import resize_mask
from inpaint_zoo.random import Draws

__all__ = ["BINS", "NvidiaBins", "NvidiaTrain", "bin_of"]

_SOURCE = "Liu et al. 2018, partial convolutions"
_POLARITIES = ("auto", "white", "black")
_PER_BIN = 2000
_SAMPLE, _AGREE = 200, 0.95
_BINARISE_AT = 153  # 0.6 of 255

BINS = ("1-10 %", "10-20 %", "20-30 %", "30-40 %", "40-50 %", "50-60 %")
"""Names of bins 1 to 6 in tables."""
_FOLDERS = {f"mask{10 * k}-{10 * k + 10}": k + 1 for k in range(6)}


def bin_of(hole: int, area: int) -> int | None:
    """Return the bin of a mask: 1 for ratios in (0.01, 0.1], 2 for (0.1, 0.2], ..., 6 for (0.5, 0.6]; None outside.

    The ratio ``hole`` / ``area`` is compared in integer arithmetic.

    Example:
        >>> [bin_of(hole, 100) for hole in (1, 2, 10, 11, 60, 61)]
        [None, 1, 1, 2, 6, None]
    """
    number = -(-10 * hole // area)
    return number if 100 * hole > area and number <= 6 else None


class _MeasuredFolder(MaskFolder):
    """A folder whose files are measured before they are used."""

    def measured(self, paths: list[Path], *, write: bool = True) -> dict[Path, IndexEntry]:
        """Return the entries of the readable files, in their order; raise MaskConfigError if no file is readable."""
        index, unreadable = index_folder(self.folder, paths, write=write)
        for error in unreadable:
            self.tell(str(error), f"{error}; it is left out")
        if not index:
            raise MaskConfigError(f"{self.kind}: no mask of {self.root} can be read; the first: {unreadable[0]}")
        return index


@register_kind("nvidia_bins", section="NVIDIA test masks", source=_SOURCE)
@dataclass(frozen=True)
class NvidiaBins(_MeasuredFolder):
    """NVIDIA's irregular test masks, all or of one bin of hole ratios.

    `root` contains the numbered files 00000 to 11999, or sub-folders mask0-10 to mask50-60, or is one of these; other
    files are assigned to bins by their hole ratio at their own resolution. `bin`: 1 to 6, null for all. `border`: the
    first or second thousand of each bin, with and without border constraint. `hole_value: auto` detects the color of
    holes. `strict: false` accepts files whose folder or number states another bin than their hole ratio.
    """

    bin: int | None = integer(None, low=1, high=6, optional=True)
    border: str = option("any", ("any", "first", "second"))
    hole_value: str = option("auto", _POLARITIES)
    strict: bool = flag(True)

    @property
    def paths(self) -> list[Path]:
        return self._found[0]

    @property
    def reading(self) -> tuple[int, bool]:
        return 127, self._found[1]

    @cached_property
    def _found(self) -> tuple[list[Path], bool]:
        """The files in use, and whether black is hole."""
        index = self.measured(self.listing())
        paths = list(index)
        claims = _claims(paths, self.folder)
        scope = [path for path in paths if self.bin is None or claims[path] in (None, self.bin)]
        if not scope:
            raise MaskConfigError(f"{self._label()}: no file of {self.root} is in this bin.")
        invert = self._polarity(scope, index, claims) == "black"
        bins = {path: bin_of(index[path].hole(invert), index[path].area) for path in scope}
        if self.strict:
            self._refuse_misfits(scope, index, claims, bins, invert)
        else:
            bins = {path: claims[path] or measured for path, measured in bins.items()}
        found = [path for path in scope if bins[path] is not None and self.bin in (None, bins[path])]
        if self.border != "any":
            found = [path for path in found if (_number(path) % _PER_BIN < _PER_BIN // 2) == (self.border == "first")]
        if not found:
            border = "" if self.border == "any" else f" in the {self.border} thousand"
            raise MaskConfigError(f"{self._label()}: no mask of {self.root} has such a hole ratio{border}.")
        return found, invert

    def _label(self) -> str:
        return "nvidia_bins" if self.bin is None else f"nvidia_bins, bin {self.bin} ({BINS[self.bin - 1]})"

    def _polarity(self, scope: list[Path], index: dict[Path, IndexEntry], claims: dict[Path, int | None]) -> str:
        if self.hole_value != "auto":
            return self.hole_value
        return find_polarity(self._label(), self.root, [(index[path], claims[path]) for path in _sample(scope)])

    def _refuse_misfits(
        self,
        scope: list[Path],
        index: dict[Path, IndexEntry],
        claims: dict[Path, int | None],
        bins: dict[Path, int | None],
        invert: bool,
    ) -> None:
        wrong = [path for path in scope if claims[path] not in (None, bins[path])]
        if wrong:
            path = wrong[0]
            ratio = index[path].hole(invert) / index[path].area
            claimed = BINS[(claims[path] or 0) - 1]
            raise MaskConfigError(
                f"{self._label()}: {path} has a hole ratio of {100 * ratio:.4g} % ({'black' if invert else 'white'} is "
                f"hole), but its folder or number says {claimed} ({len(wrong)} of {len(scope)} files disagree). "
                "Set `strict: false` to use the bins of folders and numbers, or `hole_value` if the color is wrong."
            )

    def cut(self, path: Path, size: Size, u: list[float], train: bool) -> Mask:
        return resize_mask(self.native(path), size)


@register_kind("nvidia_train", section="NVIDIA training masks", source=_SOURCE)
@dataclass(frozen=True)
class NvidiaTrain(_MeasuredFolder):
    """NVIDIA's raw training masks: dilated by 9 to 49 px, rotated by any angle, cropped; 1 to 60 % of the crop is hole.

    The files must be at least as large as the image. `hole_value: auto` detects the color of holes. Crops with other
    hole ratios are redrawn, with at most `max_tries` attempts in total.
    """

    hole_value: str = option("auto", _POLARITIES)
    max_tries: int = integer(1000, low=1)
    on_fail: str = option("raise", ("raise", "closest"))

    @property
    def reading(self) -> tuple[int, bool]:
        return _BINARISE_AT, self._invert

    @cached_property
    def _invert(self) -> bool:
        """Whether black is hole."""
        if self.hole_value != "auto":
            return self.hole_value == "black"
        index = self.measured(_sample(self.paths), write=False)
        return find_polarity("nvidia_train", self.root, [(entry, None) for entry in index.values()]) == "black"

    def validate(self) -> None:
        _ = self._invert
        super().validate()

    def cut(self, path: Path, size: Size, u: list[float], train: bool) -> Mask:
        import cv2

        mask = self.native(path)
        H, W = mask.shape
        k = 9 + 2 * int(21 * u[5])
        turn = cv2.getRotationMatrix2D(((W - 1) / 2, (H - 1) / 2), 360 * u[4], 1.0)
        wide = cv2.dilate(mask, np.ones((k, k), dtype=np.uint8))
        turned = np.asarray(cv2.warpAffine(wide, turn, (W, H), flags=cv2.INTER_NEAREST), dtype=np.uint8)
        return corner("nvidia_train", path, turned, size, u[6:])

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        redraw_component(
            draws,
            canvases,
            lambda rows, part, found: MaskFolder.draw(self, rows, part, size, found),
            accept=Accept(lo=0.01, hi=0.6, max_tries=self.max_tries, on_fail=self.on_fail),
            what=f"nvidia_train at size {size[0]} x {size[1]}",
            notes=notes,
        )


def find_polarity(what: str, root: str, sample: list[tuple[IndexEntry, int | None]]) -> str:
    """Return the hole color, "white" or "black", for which at least 95 % of a sample have a plausible hole ratio.

    Args:
        what: Start of the error message.
        root: The folder, for the error message.
        sample: Files, each with the bin that its folder or number states, which its ratio must match. If there is
            none, the hole ratio must be in (0.01, 0.6].

    Raises:
        MaskConfigError: If neither color fits, or both do.
    """
    shares = {}
    for color, invert in (("white", False), ("black", True)):
        found = [(bin_of(entry.hole(invert), entry.area), claim) for entry, claim in sample]
        shares[color] = sum(k is not None and claim in (None, k) for k, claim in found) / len(sample)
    good = [color for color, share in shares.items() if share >= _AGREE]
    if len(good) != 1:
        raise MaskConfigError(
            f"{what}: cannot tell which color of {root} is hole. Of {len(sample)} files, the ratio fits "
            f"{100 * shares['white']:.0f} % if white is and {100 * shares['black']:.0f} % if black is; one of them "
            f"must reach {100 * _AGREE:.0f} %. Set `hole_value` to white or black."
        )
    return good[0]


def _sample(paths: list[Path]) -> list[Path]:
    """Return at most 200 of the paths, evenly spaced."""
    return paths if len(paths) <= _SAMPLE else [paths[k * len(paths) // _SAMPLE] for k in range(_SAMPLE)]


def _claims(paths: list[Path], root: Path) -> dict[Path, int | None]:
    """Return the bin stated by each file's folder or, in the flat set, by its number; None if there is none."""
    folders = {path: (root.resolve().name, *path.relative_to(root).parent.parts) for path in paths}
    named = {path: [_FOLDERS[name] for name in folders[path] if name in _FOLDERS] for path in paths}
    numbers = {
        path: int(path.stem)
        for path in paths
        if len(folders[path]) == 1 and re.fullmatch(r"\d{5}", path.stem) and int(path.stem) < _PER_BIN * len(BINS)
    }
    if max(numbers.values(), default=0) < _PER_BIN:  # any folder may contain files with such low numbers
        numbers = {}
    return {
        path: named[path][-1] if named[path] else numbers[path] // _PER_BIN + 1 if path in numbers else None
        for path in paths
    }


def _number(path: Path) -> int:
    if not re.fullmatch(r"\d+", path.stem):
        raise MaskConfigError(
            f"nvidia_bins: `border` needs files named by their number, such as 00017.png; got {path}."
        )
    return int(path.stem)
