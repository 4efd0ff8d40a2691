"""NTIRE's stroke types: LaMa's evaluation masks as one kind. Source: docs/papers/masks.md, "NTIRE types"."""

# ruff: noqa: D102, RUF009 - `Kind` documents its methods; `attribute` makes a dataclass field
from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from inpaint_zoo.masks.args import Attribute, attribute
from inpaint_zoo.masks.kind import Canvases, Kind, Notes, Size, register_kind
from inpaint_zoo.masks.mixture import Mixture
from inpaint_zoo.random import Draws

__all__ = ["Strokes"]

_SIZES = (256, 512)
_NEAREST = "nearest"


@register_kind("strokes", section="NTIRE types", source="affromero/NTIRE22_Inpainting")
@dataclass(frozen=True)
class Strokes(Kind):
    """LaMa's thin, medium or thick evaluation masks; `size` selects the 256 or 512 configuration, not the canvas size.

    ``size: nearest`` selects the configuration nearest to the shorter side of the canvas: 512 from 385 pixels up.
    """

    shape: Attribute = attribute(one=("thin", "medium", "thick"))
    size: Attribute = attribute(256, one=(*_SIZES, _NEAREST))
    factor: float = 1.0

    @cached_property
    def _mixtures(self) -> dict[tuple[Any, Any], Mixture]:
        return {
            (shape, size): Mixture.parse({"preset": f"lama_{shape}_{size}"}).scaled(self.factor)
            for shape in self.shape.choices
            for size in (_SIZES if _NEAREST in self.size.choices else self.size.choices)
        }

    @staticmethod
    def _configuration(size: int | str, canvas: Size) -> int:
        """Return the configuration (256 or 512) that a value of `size` selects on a canvas."""
        if isinstance(size, int):
            return size
        return min(_SIZES, key=lambda side: abs(side - min(canvas)))

    def scaled(self, factor: float) -> Strokes:
        return dataclasses.replace(self, factor=self.factor * factor)

    def check(self, size: Size) -> None:
        used = {self._configuration(choice, size) for choice in self.size.choices}
        for (_, side), mixture in self._mixtures.items():
            if side in used:
                mixture.check(size)

    def bounds(self, size: Size) -> tuple[int, int]:
        return 1, 1  # the limits of the nested presets

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        u = draws.table(0, 2)
        sides = (self._configuration(choice, size) for choice in self.size.pick(u[:, 1]))
        picks = list(zip(self.shape.pick(u[:, 0]), sides, strict=True))
        for which, mixture in self._mixtures.items():
            rows = [row for row, pick in enumerate(picks) if pick == which]
            if rows:
                found = None if notes is None else [notes[row] for row in rows]
                mixture.draw(draws.rows(rows), [canvases[row] for row in rows], size, found)
