"""Natural order of a million names at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.io.listing import natural_key
from inpaint_zoo.io.name_list import NameList

__all__ = ["natural_order"]

LONGEST = 160
"""Length of a key in bytes up to which keys are compared in one array."""
FIRST_CHARACTER = 32
_END_OF_FOLDER, _NUMBER, _LENGTH = 1, 2, 2  # smaller than all characters; a length is added to the last one


def natural_order(names: NameList) -> NDArray[np.int64]:
    """Return the positions of the names in the order of `natural_key`: (names,), 0 ... names - 1 if they are in order.

    Example:
        >>> natural_order(NameList.of(["b/1", "a/img10", "a/img2"])).tolist()
        [2, 1, 0]
    """
    keys = _keys(names)
    if keys is None:
        return np.array(sorted(range(len(names)), key=lambda number: natural_key(names[number])), np.int64)
    if bool((keys[1:] > keys[:-1]).all()):
        return np.arange(len(keys))
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    same = np.flatnonzero(ranked[1:] == ranked[:-1])  # names that differ in leading zeros
    for group in np.split(same, np.flatnonzero(np.diff(same) > 1) + 1) if len(same) else ():
        first, last = int(group[0]), int(group[-1]) + 2
        order[first:last] = sorted(order[first:last], key=lambda number: names[int(number)])
    return order


def _keys(names: NameList) -> NDArray[np.bytes_] | None:
    """Return an array that sorts as the first part of `natural_key`; None for unusual names."""
    found = []
    for block in names.blocks():
        data = np.frombuffer(block, np.uint8)
        ends = data == 0
        if bool(((data < FIRST_CHARACTER) & ~ends).any()):
            return None
        texts = _flat_keys(data)
        stops = np.flatnonzero(texts == 0)
        starts = np.concatenate([[0], stops[:-1] + 1])
        length = int((stops - starts).max())
        if length > LONGEST:
            return None
        rows = np.zeros((len(stops), length + 1), np.uint8)
        row = np.repeat(np.arange(len(stops)), stops - starts + 1)
        rows[row, np.arange(len(texts)) - starts[row]] = texts
        found.append(rows[:, :-1].copy().view(f"S{max(length, 1)}")[:, 0] if length else np.zeros(len(stops), "S1"))
    return np.concatenate(found) if found else np.empty(0, "S1")


def _flat_keys(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the keys of consecutive names: each number has no leading zeros and follows its length."""
    digit = (data >= ord("0")) & (data <= ord("9"))
    start = digit & ~np.concatenate([[False], digit[:-1]])
    counted = np.cumsum(digit & (data != ord("0")))  # digits other than 0 so far
    firsts = np.flatnonzero(start)
    before = counted[firsts] - (data[firsts] != ord("0"))
    run = np.cumsum(start) - 1
    kept = ~digit | (counted > (before[run] if len(before) else 0))  # without leading zeros
    lengths = np.bincount(run[digit & kept], minlength=len(firsts))
    texts = np.where(data == ord("/"), np.uint8(_END_OF_FOLDER), data)[kept]
    places: NDArray[np.int64] = (np.cumsum(kept) - kept)[firsts]  # of the first digit that is kept
    marks = np.stack([np.full(len(firsts), _NUMBER), np.minimum(lengths, 250) + _LENGTH], axis=-1).astype(np.uint8)
    return np.insert(texts, np.repeat(places, 2), marks.ravel())
