"""Find files that two sets of images share; scores on images used for training or selection are not valid tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass

from inpaint_zoo.data.datasets import ImageFile
from inpaint_zoo.data.shards import Member

__all__ = ["Overlap", "find_copies", "find_overlaps"]

SHOWN = 5
"""Maximum number of files of an overlap that are named."""
_Key = tuple[str, str]  # the folder or tar file, and the name in it


@dataclass(frozen=True)
class Overlap:
    """Files that are in two sets.

    Attributes:
        smaller: Name of the set with fewer files.
        larger: Name of the other set.
        count: Number of files in both sets.
        size: Number of files in the smaller set.
        first: The first files in both sets, in the order of the smaller set.
    """

    smaller: str
    larger: str
    count: int
    size: int
    first: tuple[str, ...]

    def __str__(self) -> str:
        more = ", ..." if self.count > len(self.first) else ""
        shown = ", ".join(self.first)
        return f"{self.count} of the {self.size} {self.smaller} images are {self.larger} images too: {shown}{more}"


def find_overlaps(sets: Mapping[str, Mapping[str, ImageFile]]) -> list[Overlap]:
    """Return the overlaps of every two of ``sets``, in their order; no file is opened.

    Two files are the same if their paths are equal after links are resolved, or if they are the same member of the same
    tar file. A copy, or a file that was packed into a shard, is another file, because names alone do not show it.

    The time is that of listing the folders: 1,800,000 files take seconds, and only the smaller sets are kept in memory.

    Args:
        sets: Name of the set -> files by stem. Sets of equal size keep their order.
    """
    return _compared({name: len(files) for name, files in sets.items()}, lambda name: _keys(sets[name]))


def find_copies(sets: Mapping[str, Mapping[str, str]]) -> list[Overlap]:
    """Return the overlaps of every two of ``sets`` by the content of their files, in their order.

    Args:
        sets: Name of the set -> hash of each file by path.
    """
    return _compared(
        {name: len(hashes) for name, hashes in sets.items()},
        lambda name: ((key, shown) for shown, key in sets[name].items()),
    )


def _compared(sizes: Mapping[str, int], keys: Callable[[str], Iterator[tuple[Hashable, str]]]) -> list[Overlap]:
    """Return the overlaps of sets, given their sizes and a function that yields key and path of each file of a set."""
    found = []
    kept: dict[str, dict[Hashable, str]] = {}
    by_size = sorted(sizes, key=lambda name: sizes[name])
    for name in by_size:
        own: dict[Hashable, str] = {}
        common: dict[str, set[Hashable]] = {other: set() for other in kept}
        for key, shown in keys(name):
            for other, seen in kept.items():
                if key in seen:
                    common[other].add(key)
            if name != by_size[-1]:
                own[key] = shown
        for other, shared in common.items():
            if shared:
                names = [shown for key, shown in kept[other].items() if key in shared]
                found.append(Overlap(other, name, len(names), sizes[other], tuple(names[:SHOWN])))
        kept[name] = own
    places = {name: place for place, name in enumerate(sizes)}
    return sorted(found, key=lambda entry: sorted((places[entry.smaller], places[entry.larger])))


def _keys(files: Mapping[str, ImageFile]) -> Iterator[tuple[_Key, str]]:
    """Yield what identifies each file, and its path for messages. Each folder is resolved and listed once."""
    folders: dict[str, tuple[str, set[str]]] = {}
    for file in files.values():
        shown = str(file)
        if isinstance(file, Member):
            url = file.shard.url
            if url not in folders:
                folders[url] = os.path.realpath(url) if file.shard.cache is None else url, set()
            yield (folders[url][0], file.name), shown
            continue
        folder, name = os.path.split(shown)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder), _links(folder)
        real, links = folders[folder]
        yield os.path.split(os.path.realpath(shown)) if name in links else (real, name), shown


def _links(folder: str) -> set[str]:
    """Return the names of the symbolic links in a folder."""
    try:
        with os.scandir(folder or ".") as entries:
            return {entry.name for entry in entries if entry.is_symlink()}
    except OSError:
        return set()  # the code that reads the files reports the error
