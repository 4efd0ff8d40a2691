"""The random walk of the partial-convolution reimplementation (specs/masks.md, section 11)."""

# ruff: noqa: D102 - `Kind` documents its methods
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from inpaint_zoo.masks.args import integer
from inpaint_zoo.masks.draws import Draws, Ints, integers
from inpaint_zoo.masks.kind import Canvases, Kind, Notes, Size, register_kind

__all__ = ["RandomWalk"]

_CHUNK = 1 << 21  # steps that are held in memory at once


@register_kind("random_walk", section="11", source="naoto0804/pytorch-inpainting-with-partial-conv")
@dataclass(frozen=True)
class RandomWalk(Kind):
    """The pixels that a walk of H * W steps (or `steps`) visits; it stays where the border blocks it."""

    steps: int | None = integer(None, low=1, optional=True)

    def bounds(self, size: Size) -> tuple[int, int]:
        return 1, 0

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        steps = self.steps or size[0] * size[1]
        at_once = max(1, _CHUNK // steps)
        for first in range(0, len(canvases), at_once):
            rows = np.arange(first, min(first + at_once, len(canvases)))
            part = draws.rows(rows)
            start = part.table(0, 2)
            moves = (part.table(2, steps) * 4).astype(np.int8)  # (b, T): column + 1, column - 1, row + 1, row - 1
            across = _clamped_walk(integers(start[:, 1], 0, size[1] - 1), (moves == 0) - 1 * (moves == 1), size[1])
            down = _clamped_walk(integers(start[:, 0], 0, size[0] - 1), (moves == 2) - 1 * (moves == 3), size[0])
            for k, pixels in zip(rows.tolist(), down * size[1] + across, strict=True):
                canvases[k].reshape(-1)[pixels] = 1


def _clamped_walk(start: Ints, moves: np.ndarray, length: int) -> np.ndarray:
    """Positions after each step of walks that are clamped to 0 .. length - 1 at each step.

    "Add d, then clamp" is x -> min(max(x + a, low), high), and such maps compose: all blocks of about sqrt(T) steps are
    scanned at once, then chained.

    Args:
        start: (B,) first positions.
        moves: (B, T) of -1, 0, 1.
        length: Of the line.

    Returns:
        (B, T) int32.
    """
    B, T = moves.shape
    width = max(1, math.isqrt(T))
    count = -(-T // width)
    padded = np.zeros((B, count * width), dtype=np.int32)
    padded[:, :T] = moves
    by_step = np.ascontiguousarray(padded.reshape(B, count, width).transpose(2, 0, 1))  # (width, B, count)
    add = np.cumsum(by_step, axis=0, dtype=np.int32)
    low, high = np.empty_like(add), np.empty_like(add)
    lo, hi = np.zeros((B, count), dtype=np.int32), np.full((B, count), length - 1, dtype=np.int32)
    for t in range(width):
        lo = np.clip(lo + by_step[t], 0, length - 1, out=low[t])
        hi = np.clip(hi + by_step[t], 0, length - 1, out=high[t])
    begins = np.empty((B, count), dtype=np.int32)
    x = start.astype(np.int32)
    for block in range(count):
        begins[:, block] = x
        x = np.minimum(np.maximum(x + add[-1, :, block], low[-1, :, block]), high[-1, :, block])
    walked = np.minimum(np.maximum(add + begins, low, out=low), high, out=low)
    return walked.transpose(1, 2, 0).reshape(B, count * width)[:, :T]
