"""Rejection sampling of masks: accepted hole ratios, pixel limits, and what happens when no attempt is accepted.

Each attempt of a sample uses its own key, so a rejected mask never changes another mask. Source: docs/papers/masks.md,
"Random numbers", "Transforms and acceptance" (`ratio_bin`) and "Failure cases".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from inpaint_zoo.config import flag, integer, option, real
from inpaint_zoo.masks.errors import MaskConfigError
from inpaint_zoo.masks.kind import Canvases, Mask, Notes
from inpaint_zoo.random import Draws

__all__ = ["Accept", "Limits", "redraw", "redraw_component"]

_REDRAWS = 20


@dataclass(frozen=True)
class Accept:
    """The accepted range of hole ratios: lo < ratio <= hi by default; `closed` changes which bounds are included.

    Attributes:
        lo: Lower bound in [0, 1]; None means no lower bound.
        hi: Upper bound in [0, 1]; None means no upper bound.
        closed: Which bounds belong to the range: "hi", "both" or "neither".
        max_tries: Total number of attempts, including the first.
        on_fail: What to do when no attempt is accepted: "raise" raises an error; "closest" returns the mask whose ratio
            is nearest to the range (the earliest one if several are equally near).
    """

    lo: float | None = real(None, low=0, high=1, optional=True)
    hi: float | None = real(None, low=0, high=1, optional=True)
    closed: str = option("hi", ("hi", "both", "neither"))
    max_tries: int = integer(100, low=1)
    on_fail: str = option("raise", ("raise", "closest"))

    def validate(self) -> None:
        """Raise `MaskConfigError` if the range has no bound or is empty."""
        if self.lo is None and self.hi is None:
            raise MaskConfigError("accept: give `lo`, `hi` or both.")
        if self.lo is not None and self.hi is not None and self.lo >= self.hi:
            raise MaskConfigError(f"accept: `lo` {self.lo} must be less than `hi` {self.hi}.")

    def keeps(self, ratio: float) -> bool:
        """Return whether a mask with this hole ratio is accepted."""
        above = self.lo is None or ratio > self.lo or (ratio == self.lo and self.closed == "both")
        below = self.hi is None or ratio < self.hi or (ratio == self.hi and self.closed != "neither")
        return above and below

    def distance(self, ratio: float) -> float:
        """Return the distance of a hole ratio from the range; 0 inside it."""
        low = 0.0 if self.lo is None else self.lo - ratio
        high = 0.0 if self.hi is None else ratio - self.hi
        return max(low, high, 0.0)

    def __str__(self) -> str:
        left = "[" if self.closed == "both" else "("
        right = ")" if self.closed == "neither" else "]"
        return f"{left}{0 if self.lo is None else self.lo}, {1 if self.hi is None else self.hi}{right}"


@dataclass(frozen=True)
class Limits:
    """Minimum numbers of hole pixels and of known pixels in a mask; `allow_empty` has the same effect as min_hole 0."""

    min_hole: int = integer(1, low=0)
    min_known: int = integer(1, low=0)
    allow_empty: bool = flag(False)

    @property
    def hole(self) -> int:
        """Minimum number of hole pixels, with `allow_empty` applied."""
        return 0 if self.allow_empty else self.min_hole

    def keeps(self, hole: int, area: int) -> bool:
        """Return whether a mask with ``hole`` hole pixels out of ``area`` pixels is accepted."""
        return self.hole <= hole <= area - self.min_known

    def hold_for(self, bounds: tuple[int, int]) -> bool:
        """Return whether all masks with at least ``bounds`` = (hole pixels, known pixels) are accepted."""
        return self.hole <= bounds[0] and self.min_known <= bounds[1]


def redraw(
    draws: Draws,
    canvases: Canvases,
    paint: Callable[[Draws, Canvases, Notes | None], None],
    *,
    accept: Accept | None,
    limits: Limits | None,
    what: str,
    notes: Notes | None,
) -> None:
    """Paint each canvas, repeating with new random numbers until ``accept`` and ``limits`` accept the mask.

    Args:
        draws: One row of random numbers for each canvas; this function opens a new rejection scope in them.
        canvases: The (H, W) arrays to paint; all 0 on entry.
        paint: Function that paints a batch. It is called with only those rows that have no accepted mask yet.
        accept: The accepted range of hole ratios, or None to accept any ratio.
        limits: The minimum pixel counts, or None for no limits.
        what: The generator's name in the error message.
        notes: One dictionary for each canvas that receives `attempts` and the notes of `paint`; None to skip notes.

    Raises:
        MaskConfigError: If no attempt gives an accepted mask and `on_fail` is not "closest".
    """
    import cv2

    tries = accept.max_tries if accept else 1 + _REDRAWS
    area = canvases[0].size if canvases else 0
    closest: dict[int, tuple[float, Mask, dict[str, Any]]] = {}
    ratios: list[float] = []
    pending = list(range(len(canvases)))
    for number in range(tries):
        rows = draws if len(pending) == len(canvases) else draws.rows(pending)
        part = [canvases[k] for k in pending]
        found: Notes | None = None if notes is None else [{} for _ in part]
        paint(rows.attempt(number), part, found)
        again = []
        for row, (k, canvas) in enumerate(zip(pending, part, strict=True)):
            hole = cv2.countNonZero(canvas)
            ratio = hole / area
            if (limits is None or limits.keeps(hole, area)) and (accept is None or accept.keeps(ratio)):
                if notes is not None and found is not None:
                    notes[k].update(found[row], attempts=number + 1)
                continue
            again.append(k)
            ratios.append(ratio)
            if accept and accept.on_fail == "closest" and (limits is None or limits.keeps(hole, area)):
                distance = accept.distance(ratio)
                if k not in closest or distance < closest[k][0]:
                    closest[k] = (distance, canvas.copy(), {} if found is None else found[row])
            canvas.fill(0)
        pending = again
        if not pending:
            return
    for k in pending:
        if k not in closest:
            message = _exhausted(what, tries, accept, limits, ratios, area, int(draws.indices[k]))
            read: Notes = [{}]
            paint(draws.rows([k]), [canvases[k]], read)
            raise MaskConfigError(message + _cause(read[0]))
        _, canvases[k][:], note = closest[k]
        if notes is not None:
            notes[k].update(note, attempts=tries, closest=True)


def redraw_component(
    draws: Draws,
    canvases: Canvases,
    paint: Callable[[Draws, Canvases, Notes | None], None],
    *,
    accept: Accept,
    what: str,
    notes: Notes | None,
) -> None:
    """Run `redraw` for a kind that has its own ratio range; note its attempts separately from the mixture's."""
    own: Notes | None = None if notes is None else [{} for _ in canvases]
    redraw(draws, canvases, paint, accept=accept, limits=None, what=what, notes=own)
    for note, found in zip(notes or (), own or (), strict=True):
        attempts = found.pop("attempts")
        note.update(found, component_attempts=attempts)


def _cause(note: dict[str, Any]) -> str:
    """Return which file the first attempt read and what looks wrong with it; "" for masks that are not read."""
    note = note.get("nested", note)
    if "file" not in note:
        return ""
    return f" The first attempt read {note['file']}: {' '.join(note.get('doubts', ['the file shows no problem.']))}"


def _exhausted(
    what: str, tries: int, accept: Accept | None, limits: Limits | None, ratios: list[float], area: int, index: int
) -> str:
    wanted = [f"a hole ratio in {accept}"] if accept else []
    if limits:
        wanted.append(f"at least {limits.hole} hole and {limits.min_known} known of {area} pixels")
    return (
        f"{what}: no mask with {' and '.join(wanted)} in {tries} attempts for index {index}; "
        f"the rejected ones had ratios from {min(ratios):.4g} to {max(ratios):.4g}."
    )
