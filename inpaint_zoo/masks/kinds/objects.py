"""Holes in the shape of the image's own objects: LaMa's segmentation masks without the detector.

Source: docs/papers/masks.md, "LaMa", other kinds.
"""

# ruff: noqa: D102 - `Kind` documents its methods
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.config import integer, option
from inpaint_zoo.io.images import ImageError, read_values
from inpaint_zoo.masks.accept import Accept, redraw_component
from inpaint_zoo.masks.errors import MaskConfigError
from inpaint_zoo.masks.folder import Folder
from inpaint_zoo.masks.kind import Canvases, Mask, Notes, Size, half_up, register_kind
from inpaint_zoo.masks.transforms import resize_mask
from inpaint_zoo.random import Draws

__all__ = ["SegmObjects"]

_Labels = NDArray[np.int32]
_VARIANTS = 4
_LARGEST, _SMALLEST = 0.3, 0.02
_OVERLAP, _HIDDEN = 0.5, 0.2


@register_kind("segm_objects", section="Other LaMa kinds", source="advimman/lama")
@dataclass(frozen=True)
class SegmObjects(Folder):
    """Up to four copies of one object of the image's label file at other places: scaled, flipped, shifted.

    `root` contains one label image for each image, in the images' order (image i uses file i mod n): one channel, 0 is
    background and k is object k. A copy is kept if it covers at most half of any object, has at most half of its area
    on foreground or on another copy, and has at least 80 % of its area inside the image.
    """

    max_tries: int = integer(100, low=1)
    on_fail: str = option("raise", ("raise", "closest"))

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        redraw_component(
            draws,
            canvases,
            lambda rows, part, found: self._draw_once(rows, part, size, found),
            accept=Accept(lo=_SMALLEST, max_tries=self.max_tries, on_fail=self.on_fail),
            what=f"segm_objects at size {size[0]} x {size[1]}",
            notes=notes,
        )

    def _draw_once(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        picks = (draws.indices % np.uint64(len(self.paths))).tolist()
        rows = draws.table(0, 1 + 4 * _VARIANTS).tolist()
        for k, (canvas, pick, u) in enumerate(zip(canvases, picks, rows, strict=True)):
            path, (labels, chosen) = self.readable(pick, partial(_objects_of, size=size))
            number = chosen[int(len(chosen) * u[0])]
            _place(canvas, labels, number, np.array(u[1:]).reshape(_VARIANTS, 4).tolist())
            if notes is not None:
                notes[k].update(file=str(path), object=number)


def _place(canvas: Mask, labels: _Labels, number: int, draws: list[list[float]]) -> None:
    """Paint those variants of object ``number`` that satisfy the rules of `SegmObjects`.

    Args:
        canvas: (H, W), all 0 on entry.
        labels: (H, W) object numbers, 0 = background.
        number: Number of the object.
        draws: Uniform random numbers (scale, flip, shift, column) for each variant.
    """
    H, W = canvas.shape
    lines, columns = (np.flatnonzero((labels == number).any(axis=axis)) for axis in (1, 0))
    top, left = int(lines[0]), int(columns[0])
    shape = (labels[top : lines[-1] + 1, left : columns[-1] + 1] == number).astype(np.uint8)
    taken = [labels == number]
    foreground = labels > 0
    areas = np.bincount(labels.reshape(-1))
    for scale_u, flip_u, shift_u, column_u in draws:
        scale = min(0.75 + 0.5 * scale_u, H / shape.shape[0], W / shape.shape[1])
        h, w = (max(1, half_up(scale * side)) for side in shape.shape)
        piece = resize_mask(shape, (h, w))[:, :: -1 if flip_u < 0.5 else 1]
        row = half_up(top + (shape.shape[0] - h) / 2 + (-0.1 + 0.2 * shift_u) * H)
        column = int(column_u * (W - w + 1))
        variant = np.zeros((H, W), dtype=bool)
        seen = piece[max(0, -row) : max(0, H - row)]
        variant[max(0, row) : max(0, row) + len(seen), column : column + w] = seen
        area = int(np.count_nonzero(variant))
        if area < (1 - _HIDDEN) * np.count_nonzero(piece):
            continue
        covered = np.bincount(labels[variant], minlength=len(areas))[1:]
        if (
            any(np.count_nonzero(variant & other) > _OVERLAP * area for other in taken)
            or (covered > _OVERLAP * areas[1:]).any()
            or np.count_nonzero(variant & foreground) > _OVERLAP * area
        ):
            continue
        taken.append(variant)
        canvas[variant] = 1


def _objects_of(path: Path, size: Size) -> tuple[_Labels, list[int]]:
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise ImageError(f"{path}: cannot be opened: {error.strerror}") from None
    return _objects(path, changed, size)


@lru_cache(maxsize=64)
def _objects(path: Path, changed: int, size: Size) -> tuple[_Labels, list[int]]:
    """Return a label file at (H, W) ``size``, read-only, and the numbers of those objects that are small enough."""
    labels = _read_labels(path)
    rows, columns = (np.arange(new) * old // new for old, new in zip(labels.shape, size, strict=True))
    labels = np.ascontiguousarray(labels[rows[:, None], columns])
    labels.flags.writeable = False
    areas = np.bincount(labels.reshape(-1))
    chosen = [k for k in range(1, len(areas)) if 0 < areas[k] < _LARGEST * labels.size]
    if not chosen:
        raise MaskConfigError(
            f"segm_objects: {path} shows no object of less than {100 * _LARGEST:.0f} % of the image at size "
            f"{size[0]} x {size[1]}."
        )
    return labels, chosen


def _read_labels(path: Path) -> _Labels:
    """Return the object numbers (H, W) as stored in the file, also for palette images and 16 bits."""
    values = read_values(path)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise MaskConfigError(f"segm_objects: {path} must hold numbers from 0 to 65535, got up to {values.max()}.")
    return values.astype(np.int32)
