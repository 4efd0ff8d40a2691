"""LaMa's five kinds of masks. They keep the off-by-one errors of the released code, because its results include them.

Source: docs/papers/masks.md, "LaMa".
"""

# ruff: noqa: D102 - `Kind` documents its methods
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from inpaint_zoo.config import flag, integer, real, reals_of
from inpaint_zoo.masks.args import constant
from inpaint_zoo.masks.errors import MaskConfigError
from inpaint_zoo.masks.kind import Canvases, Kind, Notes, Size, register_kind
from inpaint_zoo.random import Draws, Floats, integers, ragged

__all__ = ["LamaBox", "LamaDumb", "LamaIrregular", "LamaOutpainting", "LamaSuperres"]

_SOURCE = "advimman/lama"
_SEGMENTS = 5
_TWO_PI = 2 * 3.1415926  # as the released code writes it


@register_kind("lama_irregular", section="LaMa strokes", source=_SOURCE)
@dataclass(frozen=True)
class LamaIrregular(Kind):
    """Chains of thick lines whose width changes at each turn."""

    max_angle: int = integer(4, low=1)
    max_len: int = integer(200, low=1, pixels=True)
    max_width: int = integer(100, low=1, pixels=True)
    min_times: int = integer(1, low=0)
    max_times: int = integer(5, low=0)
    base_len: int = constant(10)
    base_width: int = constant(5)

    def validate(self) -> None:
        if self.min_times > self.max_times + 1:
            raise MaskConfigError(f"lama_irregular: min_times {self.min_times} exceeds max_times {self.max_times} + 1.")

    def bounds(self, size: Size) -> tuple[int, int]:
        return min(self.min_times, 1), 0

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        import cv2

        owners, strokes = ragged(integers(draws.slot(0), self.min_times, self.max_times + 1))
        if not len(owners):
            return
        points, widths, segments = self._chains(draws.blocks(owners, strokes, 1, 3 + 3 * _SEGMENTS), strokes, size)
        used = np.arange(_SEGMENTS) < segments[:, None]  # (S, 5)
        ends = np.concatenate([points[:, :-1], points[:, 1:]], axis=2)[used]  # (N, 4): x, y, x, y
        on = np.repeat(owners, segments).tolist()
        line = cv2.line
        for k, x0, y0, x1, y1, width in zip(on, *ends.T.tolist(), widths[used].tolist(), strict=True):
            line(canvases[k], (x0, y0), (x1, y1), 1, width)

    def _chains(self, u: Floats, strokes: np.ndarray, size: Size) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compute all strokes of the batch at once.

        Args:
            u: (S, 18) uniform random numbers in [0, 1).
            strokes: (S,) number of each stroke in its mask; strokes with an even number turn in the other direction.
            size: (H, W) in pixels.

        Returns:
            Points (S, 6, 2) as (x, y); widths (S, 5) in pixels; number of segments (S,), from 1 to 5.
        """
        H, W = size
        angles = integers(u[:, 3::3], 0, self.max_angle - 1)
        lengths = self.base_len + integers(u[:, 4::3], 0, self.max_len - 1)
        widths = self.base_width + integers(u[:, 5::3], 0, self.max_width - 1)
        # A table of sines and cosines from the C library gives equal values on all CPUs; NumPy's depend on the CPU.
        values = [0.01 + k for k in range(self.max_angle)]
        table = [_TWO_PI - value for value in values] + values
        row = angles + (strokes % 2 * self.max_angle)[:, None]
        dx = lengths * np.array([math.sin(value) for value in table])[row]
        dy = lengths * np.array([math.cos(value) for value in table])[row]
        points = np.empty((len(u), _SEGMENTS + 1, 2), dtype=np.int64)
        points[:, 0, 0] = x = integers(u[:, 0], 0, W - 1)
        points[:, 0, 1] = y = integers(u[:, 1], 0, H - 1)
        for t in range(_SEGMENTS):
            points[:, t + 1, 0] = x = np.clip((x + dx[:, t]).astype(np.int64), 0, W)
            points[:, t + 1, 1] = y = np.clip((y + dy[:, t]).astype(np.int64), 0, H)
        return points, widths, integers(u[:, 2], 1, _SEGMENTS)


@register_kind("lama_box", section="LaMa boxes", source=_SOURCE)
@dataclass(frozen=True)
class LamaBox(Kind):
    """A few filled boxes that keep a margin to the border."""

    margin: int = integer(10, low=0, pixels=True)
    bbox_min_size: int = integer(30, low=1, pixels=True)
    bbox_max_size: int = integer(150, low=1, pixels=True)
    min_times: int = integer(1, low=0)
    max_times: int = integer(4, low=0)

    def validate(self) -> None:
        if self.min_times > self.max_times:
            raise MaskConfigError(f"lama_box: min_times {self.min_times} exceeds max_times {self.max_times}.")
        if self.bbox_min_size > self.bbox_max_size:
            raise MaskConfigError(
                f"lama_box: bbox_min_size {self.bbox_min_size} exceeds bbox_max_size {self.bbox_max_size}."
            )

    def _top(self, size: Size) -> int:
        return min(self.bbox_max_size + 1, min(size) - 2 * self.margin)

    def check(self, size: Size) -> None:
        if self._top(size) <= self.bbox_min_size:
            raise MaskConfigError(
                f"lama_box: no box of bbox_min_size {self.bbox_min_size} fits into size {size[0]} x {size[1]} "
                f"with margin {self.margin} (scale_with_size: true shrinks both)."
            )

    def bounds(self, size: Size) -> tuple[int, int]:
        H, W = size
        return min(self.min_times, 1), H * W - (H - 2 * self.margin) * (W - 2 * self.margin)

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        H, W = size
        owners, boxes = ragged(integers(draws.slot(0), self.min_times, self.max_times))
        u = draws.blocks(owners, boxes, 1, 4)
        w = integers(u[:, 0], self.bbox_min_size, self._top(size) - 1)
        h = integers(u[:, 1], self.bbox_min_size, self._top(size) - 1)
        x = integers(u[:, 2], self.margin, W - self.margin - w)
        y = integers(u[:, 3], self.margin, H - self.margin - h)
        for k, top, bottom, left, right in np.stack([owners, y, y + h, x, x + w], axis=1).tolist():
            canvases[k][top:bottom, left:right] = 1


@register_kind("lama_superres", section="Other LaMa kinds", source=_SOURCE)
@dataclass(frozen=True)
class LamaSuperres(Kind):
    """A regular pattern of hole rows and columns, as in super-resolution."""

    min_step: int = integer(2, low=2)
    max_step: int = integer(4, low=2)
    min_width: int = integer(1, low=1)
    max_width: int = integer(4, low=2)

    def validate(self) -> None:
        if self.min_step > self.max_step:
            raise MaskConfigError(f"lama_superres: min_step {self.min_step} exceeds max_step {self.max_step}.")
        if self.min_width >= min(self.min_step, self.max_width):
            raise MaskConfigError(
                f"lama_superres: min_width {self.min_width} must be less than min_step {self.min_step} "
                f"and max_width {self.max_width}."
            )

    def _lines(self, u: Floats, length: int) -> np.ndarray:
        """Return (B, length) uint8, 1 on the lines of one direction, from uniform random numbers ``u`` (B, 3)."""
        step = integers(u[:, 0], self.min_step, self.max_step)
        width = integers(u[:, 1], self.min_width, np.minimum(step, self.max_width) - 1)
        offset = integers(u[:, 2], 0, step - 1)
        phase = np.arange(length) - offset[:, None]
        return ((phase >= 0) & (phase % step[:, None] < width[:, None])).astype(np.uint8)

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        u = draws.table(0, 6)
        columns, rows = self._lines(u[:, :3], size[1]), self._lines(u[:, 3:], size[0])
        for canvas, row, column in zip(canvases, rows, columns, strict=True):
            np.bitwise_or(row[:, None], column, out=canvas)


@register_kind("lama_outpainting", section="Other LaMa kinds", source=_SOURCE)
@dataclass(frozen=True)
class LamaOutpainting(Kind):
    """Strips along some of the four image borders."""

    min_padding: float = real(0.04, low=0, high=1)
    max_padding: float = real(0.25, low=0, high=1)
    probs: tuple[float, ...] = reals_of((0.5, 0.5, 0.5, 0.5), low=0, high=1)

    def validate(self) -> None:
        if sum(self.probs) == 0:
            raise MaskConfigError("lama_outpainting: at least one of the four `probs` must be above 0.")
        if self.min_padding >= self.max_padding:
            raise MaskConfigError(
                f"lama_outpainting: min_padding {self.min_padding} must be less than max_padding {self.max_padding}."
            )

    def check(self, size: Size) -> None:
        for length in size:
            if int(self.max_padding * length) - 1 < int(self.min_padding * length):
                raise MaskConfigError(
                    f"lama_outpainting: there is no whole number of pixels between min_padding {self.min_padding} and "
                    f"max_padding {self.max_padding} of a length of {length}."
                )

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        H, W = size
        u = draws.table(0, 9)
        sides = np.array([W, H, W, H])  # left, top, right, bottom: the length from which the strip is cut
        low = np.array([int(self.min_padding * side) for side in sides.tolist()])
        high = np.array([int(self.max_padding * side) - 1 for side in sides.tolist()])
        strips = integers(u[:, :4], low, high)
        fired = u[:, 4:8] < np.array(self.probs)
        none = np.flatnonzero(~fired.any(axis=1))
        weights = np.cumsum(self.probs) / sum(self.probs)
        fired[none, np.minimum(np.searchsorted(weights, u[none, 8], side="right"), 3)] = True
        for canvas, (left, top, right, bottom) in zip(canvases, (strips * fired).tolist(), strict=True):
            canvas[:, :left] = 1
            canvas[:top] = 1
            canvas[:, W - right :] = 1
            canvas[H - bottom :] = 1


@register_kind("lama_dumb", section="Other LaMa kinds", source=_SOURCE)
@dataclass(frozen=True)
class LamaDumb(Kind):
    """One box of 10 to 35 % of the area at a random position; with `eval`, in the center and of mean size."""

    lo: float = real(0.1, low=0, high=1)
    hi: float = real(0.35, low=0, high=1)
    eval: bool = flag(False)

    def validate(self) -> None:
        if self.lo > self.hi:
            raise MaskConfigError(f"lama_dumb: lo {self.lo} exceeds hi {self.hi}.")

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        if self.eval:
            half = [math.sqrt((self.lo + self.hi) / 2) / 2 * length for length in size]
            rows, columns = (
                slice(round(length / 2 - m), round(length / 2 + m)) for length, m in zip(size, half, strict=True)
            )
            for canvas in canvases:
                canvas[rows, columns] = 1
            return
        u = draws.table(0, 4)
        a, b = math.sqrt(self.lo), math.sqrt(self.hi)
        sides = np.rint((a + u[:, :2] * (b - a)) * np.array(size)).astype(np.int64)  # (B, 2): height, width
        # there is at least one position, also if the box covers the whole canvas
        starts = integers(u[:, 2:], 0, np.maximum(np.array(size) - sides, 1) - 1)
        for canvas, (row, column), (h, w) in zip(canvases, starts.tolist(), sides.tolist(), strict=True):
            canvas[row : row + h, column : column + w] = 1
