"""Short names of folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["distinct_names"]


def distinct_names(folders: Sequence[Path]) -> list[str]:
    """Return the names of folders, with as many parents as needed to distinguish different folders.

    Example:
        >>> distinct_names([Path("/data/a/run"), Path("/data/b/run")])
        ['a/run', 'b/run']
    """
    parts = [folder.absolute().parts for folder in folders]
    depth = 1
    while depth < max(map(len, parts)) and len({each[-depth:] for each in parts}) < len(set(parts)):
        depth += 1
    return ["/".join(each[-depth:]) for each in parts]
