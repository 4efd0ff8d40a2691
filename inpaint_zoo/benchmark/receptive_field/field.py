"""What a feature map sees of the input: intervals of rows and columns, in exact fractions. No torch here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple, Self

__all__ = ["Axis", "Field", "joined", "reshaped"]


class Axis(NamedTuple):
    """Rows or columns of a map: position y sees the input from first + y step to last + y step, both included.

    Borders are ignored: what lies beyond the picture is padding. With (r, j) of specs/lgnet.md, section 7: r is
    `width`, j is `step`; the interval's place is kept beside them, so that maps that were shifted against each other
    add up to what both see.

    Attributes:
        first: In input pixels; a fraction behind a transposed convolution, where it is a bound over all phases.
        last: ...
        step: Input pixels from one position to the next.
        length: Positions of the map.
    """

    first: Fraction
    last: Fraction
    step: Fraction
    length: int

    @classmethod
    def of_input(cls, length: int) -> Self:
        """Every pixel sees itself."""
        return cls(Fraction(0), Fraction(0), Fraction(1), length)

    @property
    def width(self) -> int:
        """Most input pixels that one position sees."""
        return math.floor(self.last - self.first) + 1

    def reads(self, first: Fraction | int, last: Fraction | int, step: Fraction | int, length: int) -> Self:
        """The axis of a map whose position y reads this one from first + y step to last + y step.

        Example:
            >>> Axis.of_input(8).reads(-1, 1, 2, 4).reads(-1, 1, 2, 2).width  # two 3-taps of stride 2 and padding 1
            7
        """
        return self._replace(
            first=self.first + self.step * first,
            last=self.last + self.step * last,
            step=self.step * step,
            length=length,
        )

    def seen_from(self, position: int) -> tuple[int, int]:
        """First and last input pixel that ``position`` sees, borders ignored."""
        centre = position * self.step
        return math.ceil(centre + self.first), math.floor(centre + self.last)

    def union(self, other: Axis) -> Axis:
        """What is seen by a position of either; both axes have one length. The finer step is the shared one."""
        step = min(self.step, other.step)
        drift = self.length - 1  # the coarser axis runs ahead by this many differences of the steps
        return Axis(
            min(self.first, other.first),
            max(self.last + (self.step - step) * drift, other.last + (other.step - step) * drift),
            step,
            self.length,
        )


class Field(NamedTuple):
    """What each position of a tensor sees.

    Attributes:
        rows: Of the map that the tensor holds, or last held.
        columns: ...
        dims: Which dimensions of the tensor are its rows and columns; the same one twice where both are flattened into
            it; None where it holds no map any more, as a spectrum does.
        cause: None where the intervals hold; else each position may see all of the input, and this says through what.
    """

    rows: Axis
    columns: Axis
    dims: tuple[int, int] | None
    cause: str | None = None

    def everywhere(self, cause: str, keep_map: bool = False) -> Field:
        """As this, but each position may see all of the input; the first cause is the one that stays."""
        return self._replace(cause=self.cause or cause, dims=self.dims if keep_map else None)


def joined(fields: Sequence[Field], apart: str) -> Field:
    """What is seen by a position of any of several tensors that are combined position by position.

    Args:
        fields: Their ``dims`` count in the result.
        apart: The cause where their positions do not correspond.
    """
    maps = [field for field in fields if field.dims is not None]
    if not maps:
        return fields[0]
    first, *others = maps
    if any(field.dims != first.dims for field in others):
        return first.everywhere(apart)
    rows, columns = first.rows, first.columns
    for field in others:
        if (field.rows.length, field.columns.length) != (rows.length, columns.length):
            return first.everywhere(apart)
        rows, columns = rows.union(field.rows), columns.union(field.columns)
    cause = next((field.cause for field in fields if field.cause), None)
    return Field(rows, columns, first.dims, cause)


def reshaped(field: Field, before: Sequence[int], after: Sequence[int]) -> tuple[int, int] | None:
    """Where rows and columns lie after a reshape; None where they are cut or mixed with other dimensions.

    Example:
        >>> axis = Axis.of_input(8)
        >>> reshaped(Field(axis, axis, (2, 3)), (1, 5, 8, 8), (1, 5, 64))
        (2, 2)
    """
    if field.dims is None or tuple(before) == tuple(after):
        return field.dims
    rows, columns = field.dims
    place: dict[int, list[int]] = {}
    for ins, outs in _groups(before, after):
        inner, outer = ([dim for dim in dims if sizes[dim] > 1] for dims, sizes in ((ins, before), (outs, after)))
        if len(inner) == len(outer) == 1 or (inner == [rows, columns] and len(outer) == 1):
            place |= dict.fromkeys(inner, outer)
        elif inner == [rows] == [columns] and [after[dim] for dim in outer] == [
            field.rows.length,
            field.columns.length,
        ]:
            return outer[0], outer[1]
    if rows not in place or columns not in place:
        return None
    return place[rows][0], place[columns][0]


def _groups(before: Sequence[int], after: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
    """The smallest runs of dimensions on both sides that hold equally many elements."""
    i = k = 0
    while i < len(before) and k < len(after):
        ins, outs = [i], [k]
        while (left := math.prod(before[dim] for dim in ins)) != (right := math.prod(after[dim] for dim in outs)):
            if left < right:
                ins.append(ins[-1] + 1)
            else:
                outs.append(outs[-1] + 1)
        i, k = ins[-1] + 1, outs[-1] + 1
        yield ins, outs
