"""Lists of names in one block of bytes: a million Python strings take 100 MB, their bytes 30 MB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

__all__ = ["NameList"]

BLOCK = 2**12  # number of names that are processed at a time, because temporary arrays of a million names take 1 GB
RUNS = 8  # average number of consecutive names from which they are copied together
DOT, SLASH = ord("."), ord("/")


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
        data = bytearray()
        for name in names:
            data += name.encode("utf-8", "surrogatepass") + b"\0"
        return cls(bytes(data))

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
        for block in self.blocks():
            yield from block[:-1].decode("utf-8", "surrogatepass").split("\0")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as a list

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes of `BLOCK` consecutive names, and at the end of the others; each name ends with a zero."""
        start = 0
        for last in range(BLOCK - 1, len(self) + BLOCK - 1, BLOCK):
            end = int(self._ends[min(last, len(self) - 1)]) + 1
            yield self.data[start:end]
            start = end

    def hashes(self) -> NDArray[np.int64]:
        """Return (names,) hashes of the names' bytes, which are those of `hash_of` in this process."""
        found = [np.fromiter(map(hash, block[:-1].split(b"\0")), np.int64) for block in self.blocks()]
        return np.concatenate(found) if found else np.empty(0, np.int64)

    @staticmethod
    def hash_of(name: object) -> int:
        """Return the hash of a name that `hashes` would contain; of no name for another object than a string."""
        return hash(name.encode("utf-8", "surrogatepass") if isinstance(name, str) else name)

    def without_suffixes(self) -> tuple[NameList, set[str]]:
        """Return the names without their last suffix, as `pathlib` defines it, and the set of these suffixes."""
        kept, suffixes = [], set()
        for block in self.blocks():
            data = np.frombuffer(block, np.uint8)
            ends = np.flatnonzero(data == 0)
            starts = np.concatenate([[0], ends[:-1] + 1])
            dots, slashes = (_last_before(data, sign, ends) for sign in (DOT, SLASH))
            first = np.maximum(starts, slashes + 1)  # of the last part; a suffix neither starts nor ends a part
            cut = np.flatnonzero((dots > first) & (dots < ends - 1))
            marks = np.zeros(len(data) + 1, np.int8)
            marks[dots[cut]] = 1
            marks[ends[cut]] = -1
            is_suffix = np.cumsum(marks[:-1], dtype=np.int8).astype(bool)
            kept.append(data[~is_suffix].tobytes())
            is_suffix[ends] = True
            suffixes.update(data[is_suffix].tobytes().split(b"\0"))
        texts = {suffix.decode("utf-8", "surrogatepass") for suffix in suffixes}
        return NameList(b"".join(kept)), texts - {""}

    def endings(self, count: int) -> set[str]:
        """Return the different last ``count`` bytes (at most 8) of all longer names, as text in lower case."""
        ends = self._ends[np.diff(self._ends, prepend=-1) > count]
        data = np.frombuffer(self.data, np.uint8)
        codes = np.zeros(len(ends), np.uint64)
        for back in range(count, 0, -1):
            codes = (codes << np.uint64(8)) | data[ends - back]
        return {int(code).to_bytes(count).decode("latin-1").lower() for code in np.unique(codes)}

    def take(self, positions: NDArray[np.int64]) -> NameList:
        """Return the names at ``positions``, in this order."""
        ends = self._ends[positions] + 1
        starts = np.where(positions > 0, self._ends[positions - 1] + 1, 0)
        firsts = np.flatnonzero(np.diff(positions, prepend=-2) != 1)  # of runs of consecutive names
        if len(firsts) < len(positions) / RUNS:
            runs = zip(starts[firsts].tolist(), np.append(ends[firsts[1:] - 1], ends[-1:]).tolist(), strict=True)
            return NameList(b"".join([self.data[start:end] for start, end in runs]))
        data = np.frombuffer(self.data, np.uint8)
        blocks = []
        for first in range(0, len(ends), BLOCK):
            begin, sizes = starts[first : first + BLOCK], (ends - starts)[first : first + BLOCK]
            shift = np.repeat(begin - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
            blocks.append(data[np.arange(len(shift)) + shift].tobytes())
        return NameList(b"".join(blocks))


def _last_before(data: NDArray[np.uint8], sign: int, ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the position of the last ``sign`` before each end, in this or an earlier name; -1 if there is none."""
    places = np.concatenate([[-1], np.flatnonzero(data == sign)])
    return places[np.searchsorted(places, ends) - 1]
