"""Regular masks: a centered square, four circles, one half, or a random block of a quarter of the area.

Source: docs/papers/masks.md, "Regular masks".
"""

# ruff: noqa: D102, RUF009 - `Kind` documents its methods; `attribute` makes a dataclass field
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inpaint_zoo.config import integer
from inpaint_zoo.masks.args import Attribute, attribute
from inpaint_zoo.masks.errors import MaskConfigError
from inpaint_zoo.masks.kind import Canvases, Kind, Notes, Size, half_up, register_kind
from inpaint_zoo.random import Draws, integers

__all__ = ["CenterSquare", "FourCircles", "Half", "RandomBlock"]


@register_kind("center_square", section="Regular masks", source="GRIG, LGNet, GLCIC: the regular test mask")
@dataclass(frozen=True)
class CenterSquare(Kind):
    """A square in the center; with side 128 at size 256, it covers rows and columns 64 to 191."""

    side: int = integer(128, low=1, pixels=True)
    min_side = 1

    def check(self, size: Size) -> None:
        if self.side > min(size):
            raise MaskConfigError(f"center_square: `side` {self.side} does not fit into size {size[0]} x {size[1]}.")

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        top, left = ((length - self.side) // 2 for length in size)
        for canvas in canvases:
            canvas[top : top + self.side, left : left + self.side] = 1


@register_kind("four_circles", section="Regular masks", source="LGNet's second regular mask; centers chosen by the zoo")
@dataclass(frozen=True)
class FourCircles(Kind):
    """Four discs of radius 30, 40, 40 and 30 pixels at size 256, scaled to other sizes."""

    min_side = 1

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        H, W = size
        scale = min(H, W) / 256
        y, x = np.ogrid[:H, :W]
        for row, column, radius in ((1, 1, 30), (1, 3, 40), (3, 1, 40), (3, 3, 30)):
            cy, cx, r = half_up(row * H / 4), half_up(column * W / 4), half_up(radius * scale)
            inside = (y - cy) ** 2 + (x - cx) ** 2 <= r * r
            for canvas in canvases:
                canvas[inside] = 1


@register_kind("half", section="Regular masks", source="ISNet's loader, mode 1")
@dataclass(frozen=True)
class Half(Kind):
    """The left or the right half of the image."""

    side: Attribute = attribute(Attribute(("left", "right")), one=("left", "right"))
    min_side = 1

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        middle = size[1] // 2
        for canvas, side in zip(canvases, self.side.pick(draws.slot(0)), strict=True):
            canvas[:, slice(None, middle) if side == "left" else slice(middle, None)] = 1


@register_kind("random_block", section="Regular masks", source="ISNet's loader, mode 2")
@dataclass(frozen=True)
class RandomBlock(Kind):
    """A block of half the height and half the width at a random position."""

    min_side = 1

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        h, w = size[0] // 2, size[1] // 2
        u = draws.table(0, 2)
        rows = integers(u[:, 0], 0, size[0] - h).tolist()
        columns = integers(u[:, 1], 0, size[1] - w).tolist()
        for canvas, row, column in zip(canvases, rows, columns, strict=True):
            canvas[row : row + h, column : column + w] = 1
