"""The random box of GLCIC and Contextual Attention. Source: docs/papers/masks.md, "Random box"."""

# ruff: noqa: D102 - `Kind` documents its methods
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inpaint_zoo.config import integer, integers_of
from inpaint_zoo.masks.errors import MaskConfigError
from inpaint_zoo.masks.kind import Canvases, Kind, Notes, Size, register_kind
from inpaint_zoo.random import Draws, integers

__all__ = ["CaBox"]


@register_kind("ca_box", section="Random box", source="daa233/generative-inpainting-pytorch")
@dataclass(frozen=True)
class CaBox(Kind):
    """One box of nearly fixed size; `meta` gives its unshrunk frame as `bbox`: top, left, height, width."""

    mask_shape: tuple[int, ...] = integers_of((128, 128), low=1, pixels=True)
    margin: tuple[int, ...] = integers_of((0, 0), low=0, pixels=True)
    max_delta: tuple[int, ...] = integers_of((32, 32), low=0, pixels=True)
    same_position_in_batch: int = integer(1, low=1)
    per_batch: int = integer(1, low=1)

    def validate(self) -> None:
        if any(side - 2 * (delta // 2) < 1 for side, delta in zip(self.mask_shape, self.max_delta, strict=True)):
            raise MaskConfigError(
                f"ca_box: max_delta {list(self.max_delta)} can shrink mask_shape {list(self.mask_shape)} to nothing."
            )

    def check(self, size: Size) -> None:
        for length, side, margin in zip(size, self.mask_shape, self.margin, strict=True):
            if length - 2 * margin <= side:
                raise MaskConfigError(
                    f"ca_box: mask_shape {list(self.mask_shape)} with margin {list(self.margin)} needs more room than "
                    f"size {size[0]} x {size[1]} has (height and width must be at least mask_shape + 2 * margin + 1)."
                )

    def bounds(self, size: Size) -> tuple[int, int]:
        return 1, size[0] * size[1] - self.mask_shape[0] * self.mask_shape[1]

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        draws = draws.shared(self.per_batch)
        (h, w), margin = self.mask_shape, np.array(self.margin)
        # the last valid position never occurs, as in the reference code, whose upper limit is exclusive
        place = draws.shared(self.same_position_in_batch).table(0, 2)
        corners = integers(place, margin, np.array(size) - margin - self.mask_shape - 1)
        deltas = integers(draws.table(2, 2), 0, np.array(self.max_delta) // 2)
        for k, (top, left, dh, dw) in enumerate(np.concatenate([corners, deltas], axis=1).tolist()):
            canvases[k][top + dh : top + h - dh, left + dw : left + w - dw] = 1
            if notes is not None:
                notes[k]["bbox"] = (top, left, h, w)
