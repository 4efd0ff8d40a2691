"""What a kind of mask is, and the registry of kinds.

A new kind is one frozen dataclass under `@register_kind`: its fields are its arguments (`masks.args`), its `draw`
paints a batch. Streams, attempts, limits, transforms and mixtures come from `masks.mixture` and need nothing from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.masks.args import args_dict, parse_args, scale_pixels
from inpaint_zoo.masks.draws import Draws
from inpaint_zoo.masks.errors import MaskConfigError, unknown

__all__ = ["KINDS", "Canvases", "Kind", "Mask", "Notes", "Size", "find_kind", "half_up", "register_kind"]

Size = tuple[int, int]
Mask = NDArray[np.uint8]
Canvases = list[Mask]
Notes = list[dict[str, Any]]

KINDS: dict[str, type[Kind]] = {}


class Kind:
    """One family of masks. Subclasses are frozen dataclasses of their arguments.

    Attributes:
        kind: The registry name.
        section: Where specs/masks.md describes it.
        source: Repository or paper that it follows.
        min_side: Smaller canvases are refused; 1 for kinds that mean something at any size.
    """

    kind: ClassVar[str]
    section: ClassVar[str]
    source: ClassVar[str]
    min_side: ClassVar[int] = 16

    @classmethod
    def parse(cls, args: Mapping[str, Any]) -> Self:
        """Build the kind from its arguments by name; MaskConfigError when they are wrong."""
        kind = parse_args(cls, args, cls.kind)
        kind.validate()
        return kind

    def validate(self) -> None:
        """Check arguments against each other; raise MaskConfigError."""

    def check(self, size: Size) -> None:
        """Check that masks of this size can be made; raise MaskConfigError that names the numbers."""

    def out_size(self, size: Size) -> Size:
        """(H, W) of the masks when (H, W) ``size`` is asked for."""
        return size

    def bounds(self, size: Size) -> tuple[int, int]:
        """Hole and known pixels that every mask has at least, by construction: spares the count."""
        return 0, 0

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        """Paint one mask on each canvas.

        Args:
            draws: One row for each canvas.
            canvases: (H, W) uint8 of `out_size(size)`, all 0 on entry; 1 is hole.
            size: As asked for.
            notes: One dict for each canvas, to be filled with what `meta` reports; None when nobody asks.
        """
        raise NotImplementedError

    def scaled(self, factor: float) -> Kind:
        """A copy with its lengths in pixels multiplied by ``factor``."""
        return scale_pixels(self, factor)

    def config(self) -> dict[str, Any]:
        """The arguments, defaults filled in."""
        return args_dict(self)

    def identity(self) -> dict[str, Any]:
        """What identifies the masks: the arguments, unless they only point to what matters, as paths do."""
        return self.config()

    def check_size(self, size: Size) -> None:
        """Refuse sizes below `min_side`, then those that `check` refuses."""
        if min(size) < self.min_side:
            raise MaskConfigError(
                f"{self.kind} needs at least {self.min_side} pixels a side, got size {size[0]} x {size[1]}."
            )
        self.check(size)


K = TypeVar("K", bound=type[Kind])


def register_kind(name: str, *, section: str, source: str) -> Callable[[K], K]:
    """Register a `Kind` under ``name``; its docstring's first line is what `inpaint-zoo masks list` shows."""

    def register(cls: K) -> K:
        if name in KINDS:
            raise ValueError(f"Mask kind {name!r} is registered twice.")
        cls.kind, cls.section, cls.source = name, section, source
        KINDS[name] = cls
        return cls

    return register


def find_kind(name: object) -> type[Kind]:
    """The kind called ``name``; MaskConfigError with the nearest names otherwise."""
    if not isinstance(name, str) or name not in KINDS:
        raise unknown("mask kind", name, sorted(KINDS))
    return KINDS[name]


def half_up(value: float) -> int:
    """Round to the nearest integer, halves upwards."""
    return math.floor(value + 0.5)
