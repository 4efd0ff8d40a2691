"""The mask types of the NTIRE 2022 challenge; its stroke types are LaMa's evaluation masks as one kind.

Source: docs/papers/masks.md, "NTIRE types". "horizontal" and "vertical" keep the challenge's meaning, which differs
between the types ("Pitfalls" in the same file).
"""

# ruff: noqa: D102, RUF009 - `Kind` documents its methods; `attribute` makes a dataclass field
from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from inpaint_zoo.config import flag, number, option, whole
from inpaint_zoo.masks.args import Attribute, attribute
from inpaint_zoo.masks.errors import MaskConfigError
from inpaint_zoo.masks.kind import Canvases, Kind, Notes, Size, register_kind
from inpaint_zoo.masks.mixture import Mixture
from inpaint_zoo.random import Draws

__all__ = ["Completion", "EveryNLines", "Expand", "NearestNeighbor", "Strokes"]

_SOURCE = "affromero/NTIRE22_Inpainting"
_DIRECTIONS = ("horizontal", "vertical")
_SIZES = (256, 512)
_NEAREST = "nearest"


def _share(value: Any) -> float:  # noqa: ANN401
    share = number(0, 1)(value)
    if share == 0:
        raise ValueError("above 0")
    return share


def _expand_size(value: Any) -> int | str | None:  # noqa: ANN401
    if value is None or value in ("S/4", "S/3", "S/2"):
        return value
    try:
        return whole(2)(value)
    except ValueError as error:
        raise ValueError(f"S/4, S/3, S/2, null, or {error} (pixels)") from None


@register_kind("every_n_lines", section="NTIRE types", source=_SOURCE)
@dataclass(frozen=True)
class EveryNLines(Kind):
    """Every n-th row (horizontal) or column (vertical) is hole, starting with the first one."""

    n: Attribute = attribute(Attribute((2, 3, 4, 5)), one=whole(2))
    direction: Attribute = attribute(Attribute(_DIRECTIONS), one=_DIRECTIONS)
    min_side = 1

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        u = draws.table(0, 2)
        for canvas, n, direction in zip(canvases, self.n.pick(u[:, 0]), self.direction.pick(u[:, 1]), strict=True):
            if direction == "horizontal":
                canvas[::n] = 1
            else:
                canvas[:] = np.arange(size[1]) % n == 0  # broadcasting a row is much faster than writing columns


@register_kind("completion", section="NTIRE types", source=_SOURCE)
@dataclass(frozen=True)
class Completion(Kind):
    """A share of the image from the top (vertical) or the left (horizontal) is hole; with `reverse`, the rest is."""

    ratio: Attribute = attribute(Attribute(interval=(0.2, 0.8)), one=_share, interval=True)
    direction: Attribute = attribute(Attribute(_DIRECTIONS), one=_DIRECTIONS)
    reverse: Attribute = attribute(Attribute((True, False)), one=(True, False))
    min_side = 1

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        u = draws.table(0, 3)
        ratios, directions, reverses = (
            item.pick(u[:, k]) for k, item in enumerate((self.ratio, self.direction, self.reverse))
        )
        for canvas, ratio, direction, reverse in zip(canvases, ratios, directions, reverses, strict=True):
            along = canvas if direction == "vertical" else canvas.T
            cut = int(along.shape[0] * ratio)
            along[slice(cut, None) if reverse else slice(None, cut)] = 1


@register_kind("expand", section="NTIRE types", source=_SOURCE)
@dataclass(frozen=True)
class Expand(Kind):
    """Everything but a centered square (interior), or a frame around the whole image on a larger canvas (exterior)."""

    size: Attribute = attribute(Attribute(("S/4", "S/3", "S/2")), one=_expand_size, pixels=True)
    mode: str = option("interior", ("interior", "exterior"))
    reverse: Attribute = attribute(False, one=(True, False))
    min_side = 1

    def validate(self) -> None:
        if self.mode == "exterior" and not self.size.fixed:
            raise MaskConfigError(
                "expand: the exterior mode needs one fixed `size`, because all results must have the same size."
            )

    def _reach(self, value: int | str | None, size: Size) -> int:
        if isinstance(value, int):
            return value // 2
        return min(size) // {"S/4": 4, "S/3": 3, "S/2": 2, None: 2}[value] // 2

    def check(self, size: Size) -> None:
        for value in self.size.choices:
            if self.mode == "interior" and isinstance(value, int) and 2 * self._reach(value, size) > min(size):
                raise MaskConfigError(
                    f"expand: a visible square of `size` {value} does not fit into {size[0]} x {size[1]}."
                )

    def out_size(self, size: Size) -> Size:
        if self.mode == "interior":
            return size
        q = self._reach(self.size.choices[0], size)
        return size[0] + 2 * q, size[1] + 2 * q

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        H, W = size
        u = draws.table(0, 3)
        for canvas, value, reverse in zip(canvases, self.size.pick(u[:, 0]), self.reverse.pick(u[:, 2]), strict=True):
            q = self._reach(value, size)
            if self.mode == "exterior":
                rows, columns = slice(q, q + H), slice(q, q + W)
            else:
                rows, columns = slice(H // 2 - q, H // 2 + q), slice(W // 2 - q, W // 2 + q)
            canvas.fill(not reverse)
            canvas[rows, columns] = reverse


@register_kind("nearest_neighbor", section="NTIRE types", source=_SOURCE)
@dataclass(frozen=True)
class NearestNeighbor(Kind):
    """Everything but the pixels of a grid of step `scale`; `upsampling` spreads the whole image over such a grid."""

    scale: Attribute = attribute(Attribute((2, 3, 4)), one=whole(2))
    upsampling: bool = flag(False)
    min_side = 1

    def validate(self) -> None:
        if self.upsampling and not self.scale.fixed:
            raise MaskConfigError(
                "nearest_neighbor: upsampling needs one fixed `scale`, because all results must have the same size."
            )

    def out_size(self, size: Size) -> Size:
        factor = self.scale.choices[0] if self.upsampling else 1
        return size[0] * factor, size[1] * factor

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        columns = np.arange(canvases[0].shape[1])
        for canvas, scale in zip(canvases, self.scale.pick(draws.slot(0)), strict=True):
            canvas.fill(1)
            canvas[::scale] = columns % scale != 0


@register_kind("strokes", section="NTIRE types", source=_SOURCE)
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
