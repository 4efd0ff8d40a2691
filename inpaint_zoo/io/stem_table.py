"""Compact mappings from stem to file: a million names take 50 MB instead of the 500 MB of a dictionary of paths.

Names are kept in one byte string, and stems and files are created when they are asked for. The data sets with a million
images (Places2, ImageNet) then fit into memory beside the training, and loading processes share them: a byte string has
no reference counts, so that reading it does not copy its memory pages in forked processes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from pathlib import Path
from typing import Any, Self, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.io.names import plain_name

__all__ = ["FileTable", "NameList", "StemTable", "stem_of"]

T = TypeVar("T")
BLOCK = 2**16  # number of names that are decoded at a time


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


class NameList(Sequence[str]):
    """Immutable list of names, stored as one byte string.

    Args:
        data: The names in UTF-8 (lone surrogates included), each followed by a zero byte.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 0)

    @classmethod
    def of(cls, names: Iterable[str]) -> NameList:
        """Return the list of ``names``, none of which may contain a zero byte."""
        return cls(b"".join(name.encode("utf-8", "surrogatepass") + b"\0" for name in names))

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        """Return a name, or a list of names for a slice."""
        if isinstance(index, slice):
            return [self._at(number) for number in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self._at(index % len(self))

    def _at(self, number: int) -> str:
        start = int(self._ends[number - 1]) + 1 if number else 0
        return self.data[start : int(self._ends[number])].decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        start = 0
        for last in range(BLOCK - 1, len(self) + BLOCK - 1, BLOCK):
            end = int(self._ends[min(last, len(self) - 1)])
            yield from self.data[start:end].decode("utf-8", "surrogatepass").split("\0")
            start = end + 1

    def endings(self, count: int) -> set[str]:
        """Return the different last ``count`` bytes of all names that are longer, as text in lower case."""
        ends = self._ends[np.diff(self._ends, prepend=-1) > count]
        data = np.frombuffer(self.data, np.uint8)
        rows = np.unique(np.stack([data[ends - back] for back in range(count, 0, -1)], axis=-1), axis=0)
        return {row.tobytes().decode("latin-1").lower() for row in rows}

    def take(self, positions: NDArray[np.int64]) -> NameList:
        """Return the names at ``positions``, in this order."""
        ends = self._ends[positions] + 1
        starts = np.where(positions > 0, self._ends[positions - 1] + 1, 0)
        blocks = []
        for first in range(0, len(ends), BLOCK):  # not all at once, because lists of a million names take 250 MB
            pieces = zip(starts[first : first + BLOCK].tolist(), ends[first : first + BLOCK].tolist(), strict=True)
            blocks.append(b"".join([self.data[start:end] for start, end in pieces]))
        return NameList(b"".join(blocks))


class StemTable(Mapping[str, T]):
    """Immutable mapping from stem to file, in the order of its files. A subclass defines stems and files by name.

    Args:
        names: Names of the files.
    """

    def __init__(self, names: NameList) -> None:
        self.names = names
        self._places: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None

    @abstractmethod
    def _stem(self, name: str) -> str:
        """Return the stem of a name."""

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
    def stems(self) -> Sequence[str]:
        """The stems in order, without a list of them in memory."""
        return _Stems(self)

    def repeated(self) -> tuple[int, int] | None:
        """Return the positions of the first two files that have the same stem; None if all stems differ."""
        hashes, order = self._index()
        found = [
            (int(order[first]), int(order[second]))
            for first, second in _pairs_of_equal(hashes)
            if self._stem(self.names[int(order[first])]) == self._stem(self.names[int(order[second])])
        ]
        return min(found, key=lambda pair: pair[1], default=None)

    def select(self, stems: Sequence[str]) -> Self:
        """Return the table of ``stems``, all of which are in this table, in this order."""
        hashes, order = self._index()
        if len(hashes) > 1 and bool((hashes[1:] == hashes[:-1]).any()):  # two of 2**64 hashes are equal
            return self.take(np.array([self._position(stem) for stem in stems], np.int64))
        asked = np.fromiter(map(hash, stems), np.int64, len(stems))
        return self.take(order[np.searchsorted(hashes, asked)])

    def _index(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the sorted hashes of all stems, and their positions."""
        if self._places is None:
            hashes = np.fromiter(map(hash, self), np.int64, len(self))
            order = np.argsort(hashes, kind="stable")
            self._places = hashes[order], order
        return self._places

    def _position(self, stem: object) -> int:
        hashes, order = self._index()
        own = hash(stem)
        place = int(np.searchsorted(hashes, own))
        while place < len(hashes) and hashes[place] == own:
            position = int(order[place])
            if self._stem(self.names[position]) == stem:
                return position
            place += 1
        raise KeyError(stem)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_places": None}  # Python's hashes differ between processes

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return map(self._stem, self.names)

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


class _Stems(Sequence[str]):
    """The stems of a table, as a sequence."""

    def __init__(self, table: StemTable[Any]) -> None:
        self._table = table

    def __len__(self) -> int:
        return len(self._table)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self._table._stem(name) for name in self._table.names[index]]
        return self._table._stem(self._table.names[index])

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as a list


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
        return ((table._stem(name), table._file(position, name)) for position, name in enumerate(table.names))


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

    def _file(self, position: int, name: str) -> Path:
        return self.root / name

    def take(self, positions: NDArray[np.int64]) -> FileTable:
        """Return the table of the files at ``positions``, in this order."""
        return FileTable(self.root, self.names.take(positions))
