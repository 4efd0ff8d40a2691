"""Select cells by patterns of their labels: the option `--only`."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from inpaint_zoo.errors import ZooError

__all__ = ["AXES", "matching"]

AXES = ("method", "dataset", "mask")


def matching(cells: Sequence[Sequence[str]], only: Sequence[str]) -> list[bool]:
    """Return which cells `--only` selects.

    Args:
        cells: Labels of method, dataset and mask set of each cell.
        only: `method=GLOB`, `dataset=GLOB`, `mask=GLOB`, or a plain GLOB for methods. A cell must match one pattern of
            each given axis.

    Raises:
        ZooError: If a pattern is malformed or matches nothing.

    Example:
        >>> matching([("telea", "kodak", "center"), ("lama", "kodak", "center")], ["method=t*"])
        [True, False]
    """
    patterns: dict[int, list[str]] = {}
    for word in only:
        axis, equals, pattern = word.partition("=") if word.partition("=")[0] in AXES else ("method", "=", word)
        if not equals or not pattern:
            raise ZooError(f"--only must be method=GLOB, dataset=GLOB or mask=GLOB, got '{word}'.")
        at = AXES.index(axis)
        labels = list(dict.fromkeys(cell[at] for cell in cells))
        if not fnmatch.filter(labels, pattern):
            raise ZooError(f"--only {word}: no {axis} matches; available: {', '.join(labels)}.")
        patterns.setdefault(at, []).append(pattern)
    return [
        all(any(fnmatch.fnmatchcase(cell[at], pattern) for pattern in wanted) for at, wanted in patterns.items())
        for cell in cells
    ]
