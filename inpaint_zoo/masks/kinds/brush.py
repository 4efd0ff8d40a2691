"""Free-form brush strokes of DeepFillv2, and CMOD's masks of such strokes and rectangles.

Source: docs/papers/masks.md, "DeepFillv2" and "CMOD".
"""

# ruff: noqa: D102 - `Kind` documents its methods
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from inpaint_zoo.config import flag, integer, interval_of, option
from inpaint_zoo.masks.accept import Accept, redraw_component
from inpaint_zoo.masks.args import constant
from inpaint_zoo.masks.errors import MaskConfigError
from inpaint_zoo.masks.kind import Canvases, Kind, Notes, Size, register_kind
from inpaint_zoo.random import Draws, Floats, Ints, integers, ragged

__all__ = ["Cmod", "Dfv2Brush"]

_HEAD = 6  # slots of a stroke before its turns: number of turns, two angle limits, start x, start y, width
_SPREAD = 2 * math.pi / 15
_MEAN_ANGLE = 2 * math.pi / 5


def _stroke_width(max_vertices: int) -> int:
    return _HEAD + 3 * max_vertices


def _strokes(u: Floats, vertices: tuple[int, int], width: tuple[int, int], size: Size) -> tuple[np.ndarray, Ints, Ints]:
    """Compute all strokes of a batch at once.

    Args:
        u: (S, 6 + 3 V) uniform random numbers in [0, 1); V is the largest number of turns.
        vertices: Smallest and largest number of turns, both inclusive.
        width: Limits of the stroke width in pixels; the upper limit is exclusive.
        size: (H, W) in pixels.

    Returns:
        Vertices (S, V + 1, 2) int32 as (x, y); number of turns (S,); widths (S,) in pixels.
    """
    H, W = size
    turns = integers(u[:, 0], *vertices)
    low = _MEAN_ANGLE - u[:, 1:2] * _SPREAD
    high = _MEAN_ANGLE + u[:, 2:3] * _SPREAD
    angles = low + u[:, _HEAD::3] * (high - low)
    angles[:, ::2] = 2 * math.pi - angles[:, ::2]
    radius = math.hypot(H, W) / 8
    normal = np.sqrt(-2 * np.log(1 - u[:, _HEAD + 1 :: 3])) * np.cos(2 * math.pi * u[:, _HEAD + 2 :: 3])
    lengths = np.clip(radius + radius // 2 * normal, 0, 2 * radius)
    dx, dy = lengths * np.cos(angles), lengths * np.sin(angles)
    points = np.empty((len(u), vertices[1] + 1, 2), dtype=np.int32)
    points[:, 0, 0] = x = integers(u[:, 3], 0, W - 1)
    points[:, 0, 1] = y = integers(u[:, 4], 0, H - 1)
    for k in range(vertices[1]):
        points[:, k + 1, 0] = x = np.clip(x + dx[:, k], 0, W).astype(np.int64)
        points[:, k + 1, 1] = y = np.clip(y + dy[:, k], 0, H).astype(np.int64)
    return points, turns, (width[0] + u[:, 5] * (width[1] - width[0])).astype(np.int64)


def _paint(canvases: Canvases, owners: Ints, points: np.ndarray, turns: Ints, widths: Ints) -> None:
    import cv2

    polylines = cv2.polylines
    for k, chain, n, width in zip(owners.tolist(), points, (turns + 1).tolist(), widths.tolist(), strict=True):
        # thickness w - 1 reproduces Pillow's line of width w, which the reference code draws
        polylines(canvases[k], [chain[:n]], False, 1, max(width - 1, 1))


@register_kind("dfv2_brush", section="DeepFillv2", source="JiahuiYu/generative_inpainting")
@dataclass(frozen=True)
class Dfv2Brush(Kind):
    """One to three winding brush strokes."""

    min_strokes: int = integer(1, low=0)
    max_strokes: int = integer(3, low=1)
    min_vertices: int = integer(4, low=1)
    max_vertices: int = integer(11, low=1)
    min_width: int = integer(12, low=1, pixels=True)
    max_width: int = integer(40, low=1, pixels=True)
    per_batch: int = integer(1, low=1)

    def validate(self) -> None:
        for what in ("strokes", "vertices", "width"):
            low, high = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if low > high:
                raise MaskConfigError(f"dfv2_brush: min_{what} {low} exceeds max_{what} {high}.")

    def bounds(self, size: Size) -> tuple[int, int]:
        return min(self.min_strokes, 1), 0

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        draws = draws.shared(self.per_batch)
        owners, numbers = ragged(integers(draws.slot(0), self.min_strokes, self.max_strokes))
        u = draws.blocks(owners, numbers, 1, _stroke_width(self.max_vertices))
        vertices, width = (self.min_vertices, self.max_vertices), (self.min_width, self.max_width)
        _paint(canvases, owners, *_strokes(u, vertices, width, size))


@register_kind("cmod", section="CMOD", source="zsyzzsoft/co-mod-gan")
@dataclass(frozen=True)
class Cmod(Kind):
    """Many strokes and rectangles, redrawn until the ratio lies strictly within hole_range."""

    hole_range: tuple[float, ...] | None = interval_of((0.0, 1.0), low=0, high=1, strict=True, optional=True)
    rects: bool = flag(True)
    brush: bool = flag(True)
    max_tries: int = integer(1000, low=1)
    on_fail: str = option("raise", ("raise", "closest"))
    min_width: int = constant(12)
    max_width: int = constant(48)

    def validate(self) -> None:
        if not (self.rects or self.brush):
            raise MaskConfigError("cmod: one of `rects` and `brush` must be true.")

    def bounds(self, size: Size) -> tuple[int, int]:
        # lo < ratio < hi, both strict, within [0, 1]; a mask taken as the closest has no such bound
        return (1, 1) if self.hole_range is not None and self.on_fail == "raise" else (0, 0)

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        if self.hole_range is None:
            self._draw_once(draws, canvases, size)
            return
        lo, hi = self.hole_range
        accept = Accept(lo=lo, hi=hi, closed="neither", max_tries=self.max_tries, on_fail=self.on_fail)
        redraw_component(
            draws,
            canvases,
            lambda rows, part, _: self._draw_once(rows, part, size),
            accept=accept,
            what=f"cmod with hole_range {[lo, hi]} at size {size[0]} x {size[1]}",
            notes=notes,
        )

    def _count(self, u: Floats, most: int) -> Ints:
        """Return the number of shapes, in 0 .. most * c - 1. The range is never empty (the reference code crashes)."""
        c = 1.0 if self.hole_range is None else min(sum(self.hole_range), 1.0)
        return integers(u, 0, max(1, int(most * c)) - 1)

    def _draw_once(self, draws: Draws, canvases: Canvases, size: Size) -> None:
        head = draws.table(0, 5)
        if self.brush:
            owners, numbers = ragged(self._count(head[:, 2], 20))
            u = draws.blocks(owners, numbers, 57, _stroke_width(17))
            _paint(canvases, owners, *_strokes(u, (4, 17), (self.min_width, self.max_width), size))
            for canvas, vertical, horizontal in zip(canvases, *(head[:, 3:] < 0.5).T.tolist(), strict=True):
                if vertical or horizontal:
                    canvas[:] = canvas[:: -1 if vertical else 1, :: -1 if horizontal else 1].copy()
        if self.rects:
            H, W = size
            self._rectangles(draws, canvases, self._count(head[:, 0], 10), 5, (H // 2, W // 2), size)
            self._rectangles(draws, canvases, self._count(head[:, 1], 5), 41, (H, W), size)

    def _rectangles(
        self, draws: Draws, canvases: Canvases, counts: Ints, first: int, largest: Size, size: Size
    ) -> None:
        H, W = size
        owners, numbers = ragged(counts)
        u = draws.blocks(owners, numbers, first, 4)
        w, h = integers(u[:, 0], 0, largest[1] - 1), integers(u[:, 1], 0, largest[0] - 1)
        # up to half of a rectangle may lie outside the image
        x = integers(u[:, 2], -(w // 2), W - w + w // 2 - 1)
        y = integers(u[:, 3], -(h // 2), H - h + h // 2 - 1)
        box = [owners, np.maximum(y, 0), np.maximum(y + h, 0), np.maximum(x, 0), np.maximum(x + w, 0)]
        for k, top, bottom, left, right in np.stack(box, axis=1).tolist():
            canvases[k][top:bottom, left:right] = 1
