"""Arrays on disk that a process reads again, so that its memory does not grow with their number."""

from __future__ import annotations

import math
import shutil
import tempfile
import threading
import weakref
from collections.abc import Hashable
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Scratch"]

SHARE = 0.5  # of the free space of the disk


class _Place(NamedTuple):
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class Scratch:
    """Store of arrays by key, in a temporary file that exists as long as the store and the process.

    At most half of the disk's free space is used. An array that no longer fits, or that cannot be written, is not
    stored; nothing is replaced. Several threads may use the store. The operating system keeps the file in memory
    while there is room.

    Args:
        folder: The file is on the disk of this folder, or of its first parent that exists.

    Example:
        >>> scratch = Scratch(Path("runs/mine/cache"))
        >>> scratch.keep("a", np.arange(3, dtype=np.uint8))
        >>> scratch.get("a"), scratch.get("b")
        (array([0, 1, 2], dtype=uint8), None)
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._places: dict[Hashable, _Place] = {}
        self._file: IO[bytes] | None = None
        self._end = 0
        self._limit: int | None = None  # known when the file is created

    def get(self, key: Hashable) -> NDArray[Any] | None:
        """Return a copy of the array that was stored under ``key``, or None if there is none."""
        place = self._places.get(key)
        if place is None or self._file is None:
            return None
        values = np.empty(place.shape, place.dtype)
        with self._lock:
            self._file.seek(place.offset)
            count = self._file.readinto(values.reshape(-1).view(np.uint8).data)  # type: ignore[attr-defined]
        return values if count == values.nbytes else None

    def keep(self, key: Hashable, values: NDArray[Any]) -> None:
        """Store an array if there is room and none is stored under ``key``."""
        with self._lock:
            try:
                if key in self._places or self._end + values.nbytes > self._room():
                    return
                assert self._file is not None
                self._file.seek(self._end)
                count = self._file.write(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
            except OSError:
                count = 0
            if count != values.nbytes:  # a read-only or full disk
                self._limit = 0
                return
            self._places[key] = _Place(self._end, values.shape, values.dtype)
            self._end += values.nbytes

    def _room(self) -> int:
        """Return the largest size of the file in bytes; the file is created by the first call."""
        if self._limit is None:
            folder = next(place for place in (self._folder, *self._folder.absolute().parents) if place.is_dir())
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - open as long as the store
            weakref.finalize(self, self._file.close)
            self._limit = math.floor(SHARE * shutil.disk_usage(folder).free)
        return self._limit
