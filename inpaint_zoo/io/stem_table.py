"""Compact mappings from stem to file: a million names take 50 MB instead of the 500 MB of a dictionary of paths.

Names are kept in one byte string, and stems and files are created when they are asked for. The data sets with a million
images (Places2, ImageNet) then fit into memory beside the training, and loading processes share them: a byte string has
no reference counts, so that reading it does not copy its memory pages in forked processes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.io.name_list import NameList
from inpaint_zoo.io.names import plain_name

__all__ = ["FileTable", "JoinedTable", "StemTable", "stem_of"]

T = TypeVar("T")


def stem_of(name: str) -> str:
    """Return the relative stem of a relative file name with `/`: the normalized name without its suffix.

    Example:
        >>> stem_of("trees/oak.v2.jpg"), stem_of("trees.old/oak")
        ('trees/oak.v2', 'trees.old/oak')
    """
    dot = name.rfind(".")
    # as pathlib: a name that starts or ends with its last dot has no suffix
    if name.rfind("/") + 1 < dot < len(name) - 1:
        name = name[:dot]
    return plain_name(name)


class StemTable(Mapping[str, T]):
    """Immutable mapping from stem to file, in the order of its files. A subclass defines stems and files by name.

    Args:
        names: Names of the files.
    """

    def __init__(self, names: NameList) -> None:
        self.names = names
        self._stems: NameList | None = None
        self._places: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None

    @abstractmethod
    def _stem(self, name: str) -> str:
        """Return the stem of a name."""

    @abstractmethod
    def _plain_stems(self) -> NameList | None:
        """Return the stems if they can be computed without a Python object for each, else None."""

    @abstractmethod
    def _file(self, position: int, name: str) -> T:
        """Return the file at a position."""

    @abstractmethod
    def take(self, positions: NDArray[np.int64]) -> Self:
        """Return the table of the files at ``positions``, in this order."""

    def at(self, position: int) -> T:
        """Return the file at a position; faster than by its stem."""
        return self._file(position, self.names[position])

    @property
    def stems(self) -> NameList:
        """The stems in order."""
        if self._stems is None:
            self._stems = self._plain_stems() or NameList.of(map(self._stem, self.names))
        return self._stems

    def repeated(self) -> tuple[int, int] | None:
        """Return the positions of the first two files that have the same stem; None if all stems differ."""
        hashes, order = self._index()
        found = [
            (int(order[first]), int(order[second]))
            for first, second in _pairs_of_equal(hashes)
            if self.stems[int(order[first])] == self.stems[int(order[second])]
        ]
        return min(found, key=lambda pair: pair[1], default=None)

    def _index(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the sorted hashes of all stems, and their positions."""
        if self._places is None:
            hashes = self.stems.hashes()
            order = np.argsort(hashes, kind="stable")
            self._places = hashes[order], order
        return self._places

    def _position(self, stem: object) -> int:
        hashes, order = self._index()
        own = NameList.hash_of(stem)
        place = int(np.searchsorted(hashes, own))
        while place < len(hashes) and hashes[place] == own:
            position = int(order[place])
            if self.stems[position] == stem:
                return position
            place += 1
        raise KeyError(stem)

    def __getstate__(self) -> dict[str, Any]:
        # Python's hashes differ between processes, and loading processes need no stems
        return {**self.__dict__, "_stems": None, "_places": None}

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.stems)

    def __getitem__(self, stem: str) -> T:
        """Return the file with this stem."""
        position = self._position(stem)
        return self._file(position, self.names[position])

    def values(self) -> ValuesView[T]:
        """Return the files in order."""
        return _Files(self)

    def items(self) -> ItemsView[str, T]:
        """Return stems and files in order."""
        return _Items(self)


def _pairs_of_equal(hashes: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield the places of every two equal entries of a sorted array."""
    for first in np.flatnonzero(hashes[1:] == hashes[:-1]).tolist():
        second = first + 1
        while second < len(hashes) and hashes[second] == hashes[first]:
            yield first, second
            second += 1


class _Files(ValuesView[T]):
    """The files of a table, without a look-up of each stem."""

    _mapping: StemTable[T]

    def __iter__(self) -> Iterator[T]:
        return (self._mapping._file(position, name) for position, name in enumerate(self._mapping.names))


class _Items(ItemsView[str, T]):
    """The stems and files of a table, without a look-up of each stem."""

    _mapping: StemTable[T]

    def __iter__(self) -> Iterator[tuple[str, T]]:
        table = self._mapping
        pairs = enumerate(zip(table.stems, table.names, strict=True))
        return ((stem, table._file(position, name)) for position, (stem, name) in pairs)


class FileTable(StemTable[Path]):
    """Files of a folder by relative stem.

    Args:
        root: The folder.
        names: Names of the files relative to it, with `/`.

    Example:
        >>> table = FileTable(Path("images"), NameList.of(["a/1.png", "a/2.png"]))
        >>> table["a/2"].as_posix(), list(table), table.stems[0]
        ('images/a/2.png', ['a/1', 'a/2'], 'a/1')
    """

    def __init__(self, root: Path, names: NameList) -> None:
        super().__init__(names)
        self.root = root

    def _stem(self, name: str) -> str:
        return stem_of(name)

    def _plain_stems(self) -> NameList | None:
        return self.names.without_suffixes()[0] if self.names.data.isascii() else None  # others may need normalization

    def _file(self, position: int, name: str) -> Path:
        return self.root / name

    def take(self, positions: NDArray[np.int64]) -> FileTable:
        """Return the table of the files at ``positions``, in this order."""
        return FileTable(self.root, self.names.take(positions))


class JoinedTable(StemTable[T]):
    """Files of several tables, one after another. The stem of a file is the name of its part, `/`, and its own stem.

    Args:
        parts: The tables by name.
        places: (files,) positions in the joined tables; by default all of them.
    """

    def __init__(self, parts: Mapping[str, StemTable[T]], places: NDArray[np.int64] | None = None) -> None:
        joined = NameList(b"".join(_prefixed(part.stems.data, name) for name, part in parts.items()))
        super().__init__(joined if places is None else joined.take(places))
        self.parts = dict(parts)
        self._first = np.cumsum([0, *map(len, parts.values())])
        self._own = np.arange(len(joined)) if places is None else places

    def _stem(self, name: str) -> str:
        return name

    def _plain_stems(self) -> NameList:
        return self.names

    def _file(self, position: int, name: str) -> T:
        own = int(self._own[position])
        number = int(np.searchsorted(self._first, own, side="right")) - 1
        return list(self.parts.values())[number].at(own - int(self._first[number]))

    def take(self, positions: NDArray[np.int64]) -> JoinedTable[T]:
        """Return the table of the files at ``positions``, in this order."""
        return JoinedTable(self.parts, self._own[positions])


def _prefixed(data: bytes, name: str) -> bytes:
    """Return the bytes of a list of names with ``name`` and `/` before each."""
    prefix = name.encode("utf-8", "surrogatepass") + b"/"
    return prefix + data[:-1].replace(b"\0", b"\0" + prefix) + b"\0" if data else b""
