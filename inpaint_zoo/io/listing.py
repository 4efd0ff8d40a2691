"""Which pictures a folder holds, in one order on every platform, and which of two folders belong together.

A picture is known by its relative stem: its path below the folder, with `/`, without the ending. `a.jpg` and `a.png` of
one folder have the same stem, so wherever files are paired by stem they are an error that names both.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.pictures import PICTURE_SUFFIXES

__all__ = ["by_stem", "list_pictures", "natural_key", "pair_by_stem", "relative_stem"]

SHOWN = 5  # missing names that an error spells out


def natural_key(name: str) -> tuple[list[list[str | int]], str]:
    """Sort key under which `img2` comes before `img10`, folder by folder.

    Example:
        >>> sorted(["b/1", "a/img10", "a/img2", "a/img02"], key=natural_key)
        ['a/img02', 'a/img2', 'a/img10', 'b/1']
    """
    # a split by digits alternates text and number, so parts of equal position compare with their like
    parts = [[int(x) if x.isdecimal() else x for x in re.split(r"([0-9]+)", part)] for part in name.split("/")]
    return parts, name


def relative_stem(path: Path, root: Path) -> str:
    """The name by which ``path`` below ``root`` is paired: `trees/oak.v2` for `root/trees/oak.v2.jpg`."""
    return path.relative_to(root).with_suffix("").as_posix()


def list_pictures(root: str | Path) -> list[Path]:
    """All picture files below a folder (by their endings), in natural order.

    Hidden files and folders are left out; links are followed, but not in circles. A link that points nowhere is
    listed, so that reading it says what is wrong.

    Raises:
        ZooError: No such folder, not a folder, one below it cannot be opened, or nothing in it is a picture.
    """
    root = Path(root)
    if not root.exists():
        raise ZooError(f"{root}: no such folder")
    if not root.is_dir():
        raise ZooError(f"{root}: is a file, a folder of pictures was expected")
    found = [path for path in _walk(root, frozenset()) if path.suffix.lower() in PICTURE_SUFFIXES]
    if not found:
        endings = " ".join(sorted(PICTURE_SUFFIXES))
        raise ZooError(f"{root}: holds no pictures (looked in all its folders for {endings})")
    return sorted(found, key=lambda path: natural_key(path.relative_to(root).as_posix()))


def _walk(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    try:
        status = folder.stat()
        entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except OSError as error:
        raise ZooError(f"{folder}: cannot be listed: {error.strerror}") from None
    here = (status.st_dev, status.st_ino)
    if here in above:  # a link to one of its own parents
        return
    for entry in entries:
        if entry.is_dir():
            yield from _walk(folder / entry.name, above | {here})
        else:
            yield folder / entry.name


def by_stem(root: str | Path, paths: Iterable[Path] | None = None) -> dict[str, Path]:
    """Relative stem -> file, in the order of ``paths`` (by default all pictures of ``root``).

    Raises:
        ZooError: Two files share a stem; the message names both. Also as `list_pictures`.
    """
    root = Path(root)
    found: dict[str, Path] = {}
    for path in list_pictures(root) if paths is None else paths:
        stem = relative_stem(path, root)
        if stem in found:
            raise ZooError(
                f"{root}: {found[stem].relative_to(root)} and {path.relative_to(root)} have the same stem '{stem}'; "
                "files are paired by their stems, so rename or move one of them"
            )
        found[stem] = path
    return found


def pair_by_stem(
    first: Mapping[str, Path],
    second: Mapping[str, Path],
    names: tuple[str, str] = ("pictures", "masks"),
    *,
    allow_extra: bool = False,
) -> list[tuple[str, Path, Path]]:
    """Match two folders by relative stem, in the order of ``first``.

    Args:
        first: What `by_stem` gave for one folder.
        second: ... and for the other.
        names: What the two hold, in the plural, for the message.
        allow_extra: Whether ``second`` may hold more than ``first`` asks for.

    Raises:
        ZooError: Something has no partner; the message gives both counts and the first missing names.
    """
    problems = [_missing(first, second, names[1])]
    if not allow_extra:
        problems.append(_missing(second, first, names[0]))
    if any(problems):
        counts = f"{len(first)} {names[0]} and {len(second)} {names[1]} do not match"
        raise ZooError(f"{counts}: {'; '.join(filter(None, problems))}")
    return [(stem, path, second[stem]) for stem, path in first.items()]


def _missing(asked: Mapping[str, Path], given: Mapping[str, Path], name: str) -> str:
    stems = [stem for stem in asked if stem not in given]
    if not stems:
        return ""
    more = ", ..." if len(stems) > SHOWN else ""
    return f"{len(stems)} without a partner among the {name}: {', '.join(stems[:SHOWN])}{more}"
