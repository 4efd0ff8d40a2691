"""The receptive field of a feature map: intervals of input rows and columns, in exact fractions, without torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple, Self

__all__ = ["Axis", "Field", "joined", "reshaped"]


class Axis(NamedTuple):
    """Rows or columns of a map: position y sees the input from first + y step to last + y step, both inclusive.

    Image borders are ignored; pixels beyond them are padding. In the (r, j) notation of docs/papers/lgnet.md,
    "Receptive field", r is `width` and j is `step`. The position of the interval is also stored, so that maps that are
    shifted against each other can be combined.

    Attributes:
        first: First input pixel seen by position 0; after a transposed convolution a fraction, valid for all phases.
        last: Last input pixel seen by position 0.
        step: Input pixels from one position to the next.
        length: Number of positions of the map.
    """

    first: Fraction
    last: Fraction
    step: Fraction
    length: int

    @classmethod
    def of_input(cls, length: int) -> Self:
        """Return the axis of the input, in which every pixel sees itself."""
        return cls(Fraction(0), Fraction(0), Fraction(1), length)

    @property
    def width(self) -> int:
        """Maximum number of input pixels that one position sees."""
        return math.floor(self.last - self.first) + 1

    def reads(self, first: Fraction | int, last: Fraction | int, step: Fraction | int, length: int) -> Self:
        """Return the axis of a map whose position y reads positions first + y step to last + y step of this axis.

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
        """Return the first and last input pixel that ``position`` sees, ignoring borders."""
        center = position * self.step
        return math.ceil(center + self.first), math.floor(center + self.last)

    def union(self, other: Axis) -> Axis:
        """Return what a position of either axis sees; both have the same length. The result has the smaller step."""
        step = min(self.step, other.step)
        drift = self.length - 1  # over the axis, the larger step deviates by this many step differences
        return Axis(
            min(self.first, other.first),
            max(self.last + (self.step - step) * drift, other.last + (other.step - step) * drift),
            step,
            self.length,
        )


class Field(NamedTuple):
    """The receptive field of each position of a tensor.

    Attributes:
        rows: Rows of the map that the tensor contains, or last contained.
        columns: Columns of that map.
        dims: The dimensions of the tensor that are its rows and columns; equal if both are flattened into one; None if
            it no longer contains a map, such as a spectrum.
        cause: None if the intervals hold; otherwise each position may see all of the input, because of this operation.
    """

    rows: Axis
    columns: Axis
    dims: tuple[int, int] | None
    cause: str | None = None

    def everywhere(self, cause: str, keep_map: bool = False) -> Field:
        """Return this field with each position seeing all of the input; an existing cause is kept."""
        return self._replace(cause=self.cause or cause, dims=self.dims if keep_map else None)


def joined(fields: Sequence[Field], apart: str) -> Field:
    """Return the field of several tensors that are combined position by position.

    Args:
        fields: Fields of the tensors; their ``dims`` refer to the result.
        apart: The cause to set if their positions do not correspond.
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
    """Return the dimensions of rows and columns after a reshape; None if they are split or mixed with others.

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
    """Yield the smallest runs of dimensions on both sides that contain equally many elements."""
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
