"""The random walk of the partial-convolution reimplementation. Source: docs/papers/masks.md, "Random walk"."""

# ruff: noqa: D102 - `Kind` documents its methods
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.config import integer
from inpaint_zoo.masks.kind import Canvases, Kind, Mask, Notes, Size, register_kind
from inpaint_zoo.random import Draws, integers

__all__ = ["RandomWalk"]

_CHUNK = 1 << 15  # steps per pass: their random words and positions fit into the processor's L2 cache
_FIRST = 2  # slot of the first step
_TOP_BITS = np.uint64(62)


@register_kind("random_walk", section="Random walk", source="naoto0804/pytorch-inpainting-with-partial-conv")
@dataclass(frozen=True)
class RandomWalk(Kind):
    """The pixels visited by a random walk of H * W steps (or `steps`); the walk stays where the border blocks it."""

    steps: int | None = integer(None, low=1, optional=True)

    def bounds(self, size: Size) -> tuple[int, int]:
        return 1, 0

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        steps = self.steps or size[0] * size[1]
        starts = integers(draws.table(0, 2), 0, np.array(size) - 1).tolist()
        for k, (canvas, (row, column)) in enumerate(zip(canvases, starts, strict=True)):
            _walk(draws.rows([k]), canvas, row, column, steps)


def _walk(draws: Draws, canvas: Mask, row: int, column: int, steps: int) -> None:
    """Mark the pixels visited by one walk from (row, column), after each step."""
    H, W = canvas.shape
    pixels = canvas.reshape(-1)
    for first in range(0, steps, _CHUNK):
        count = min(_CHUNK, steps - first)
        # floor(4 u) is the two highest bits: column + 1, column - 1, row + 1, row - 1
        move = (draws.words(_FIRST + first, count)[0] >> _TOP_BITS).astype(np.int8)
        sign = 1 - 2 * (move & 1)
        down = sign * (move >> 1)
        rows = clamped(row, down, H - 1)
        columns = clamped(column, sign - down, W - 1)
        row, column = int(rows[-1]), int(columns[-1])
        pixels[rows * W + columns] = 1


def clamped(x: int, moves: NDArray[np.int8], last: int) -> NDArray[np.int64]:
    """Return the positions after each step of a walk that is clamped to 0 .. last at each step.

    A walk s that is clamped only at 0 equals s - min(0, lowest s so far), which a running minimum gives for all steps
    at once; the upper end is analogous. The function therefore assumes that only the nearer border clamps, and
    restarts at the step where the walk reaches the other border.

    Args:
        x: Start position.
        moves: (T,) steps, each -1, 0 or 1.
        last: Largest position.

    Returns:
        (T,) positions.

    Example:
        >>> clamped(1, np.array([-1, -1, 1, 1, 1, -1], dtype=np.int8), last=2).tolist()
        [0, 0, 1, 2, 2, 1]
    """
    walked = np.empty(len(moves), dtype=np.int64)
    window = max(1024, 4 * (last + 1) ** 2)  # crossing from border to border takes about (last + 1)^2 steps

    begin = 0
    while begin < len(moves):
        part = walked[begin : begin + window]
        free = np.cumsum(moves[begin : begin + window], dtype=np.int64)
        free += x
        if 2 * x <= last:
            np.subtract(free, np.minimum(np.minimum.accumulate(free), 0), out=part)
            crossed, border = part > last, last
        else:
            np.subtract(free, np.maximum(np.maximum.accumulate(free), last) - last, out=part)
            crossed, border = part < 0, 0
        met = int(crossed.argmax())
        if crossed[met]:
            part[met] = border
            begin += met + 1
        else:
            begin += len(part)
        x = int(walked[begin - 1])
    return walked
