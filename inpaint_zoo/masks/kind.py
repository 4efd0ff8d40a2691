"""Base class of mask kinds, and their registry.

A new kind is one frozen dataclass in `masks.kinds` with the decorator `@register_kind`. Its fields are its arguments
(`config.fields`, `masks.args`), and its method `draw` paints a batch. Streams, attempts, limits, transforms and
mixtures are implemented in `masks.mixture` for all kinds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.config import args_dict, parse_args
from inpaint_zoo.masks.args import scale_pixels
from inpaint_zoo.masks.errors import MaskConfigError, unknown
from inpaint_zoo.random import Draws

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
        section: Section of docs/papers/masks.md that describes the kind.
        source: Repository or paper that the kind follows.
        min_side: Minimum height and width in pixels; 1 for kinds that work at any size.
    """

    kind: ClassVar[str]
    section: ClassVar[str]
    source: ClassVar[str]
    min_side: ClassVar[int] = 16

    @classmethod
    def parse(cls, args: Mapping[str, Any]) -> Self:
        """Build the kind from its arguments by name; raise MaskConfigError if they are invalid."""
        kind = parse_args(cls, args, cls.kind)
        kind.validate()
        return kind

    def validate(self) -> None:
        """Check the arguments against each other; raise MaskConfigError if they contradict."""

    def check(self, size: Size) -> None:
        """Check that masks of this size can be made; raise MaskConfigError with the sizes if not."""

    def out_size(self, size: Size) -> Size:
        """Return (H, W) of the masks for a requested (H, W) ``size``."""
        return size

    def bounds(self, size: Size) -> tuple[int, int]:
        """Return lower bounds (hole pixels, known pixels) that hold for every mask, so that counting can be skipped."""
        return 0, 0

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        """Paint one mask on each canvas.

        Args:
            draws: Random numbers, one row for each canvas.
            canvases: (H, W) uint8 arrays of `out_size(size)`, all 0 on entry; set hole pixels to 1.
            size: The requested (H, W).
            notes: One dictionary for each canvas to fill with what `meta` reports; None if not needed.
        """
        raise NotImplementedError

    def scaled(self, factor: float) -> Kind:
        """Return a copy with its lengths in pixels multiplied by ``factor``."""
        return scale_pixels(self, factor)

    def config(self) -> dict[str, Any]:
        """Return the arguments with defaults filled in."""
        return args_dict(self)

    def identity(self) -> dict[str, Any]:
        """Return what identifies the masks: the arguments, with paths replaced by hashes of the file contents."""
        return self.config()

    def check_size(self, size: Size) -> None:
        """Raise MaskConfigError for sizes below `min_side` and for those that `check` rejects."""
        if min(size) < self.min_side:
            raise MaskConfigError(
                f"{self.kind} needs a height and width of at least {self.min_side}, got size {size[0]} x {size[1]}."
            )
        self.check(size)


K = TypeVar("K", bound=type[Kind])


def register_kind(name: str, *, section: str, source: str) -> Callable[[K], K]:
    """Register a `Kind` under ``name``; `inpaint-zoo masks list` shows the first line of its docstring."""

    def register(cls: K) -> K:
        if name in KINDS:
            raise ValueError(f"Mask kind {name!r} is registered twice.")
        cls.kind, cls.section, cls.source = name, section, source
        KINDS[name] = cls
        return cls

    return register


def find_kind(name: object) -> type[Kind]:
    """Return the kind called ``name``; raise MaskConfigError with similar names if there is none."""
    if not isinstance(name, str) or name not in KINDS:
        raise unknown("mask kind", name, sorted(KINDS))
    return KINDS[name]


def half_up(value: float) -> int:
    """Round to the nearest integer, halves up."""
    return math.floor(value + 0.5)
