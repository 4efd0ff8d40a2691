"""Cache of decoded images that is bounded in bytes."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

__all__ = ["ImageCache"]


class _Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


Key = TypeVar("Key")
Value = TypeVar("Value", bound=_Sized)


class ImageCache(Generic[Key, Value]):
    """Cache of arrays, up to a number of bytes. What no longer fits is not stored; nothing is removed.

    Args:
        budget: Maximum number of bytes of all stored arrays.

    Example:
        >>> import numpy as np
        >>> cache = ImageCache(budget=5)
        >>> for key in "ab":
        ...     cache.keep(key, np.zeros(3, np.uint8))
        >>> cache.get("a"), cache.get("b")
        (array([0, 0, 0], dtype=uint8), None)
    """

    def __init__(self, budget: int) -> None:
        self._free = budget
        self._kept: dict[Key, Value] = {}

    def get(self, key: Key) -> Value | None:
        """Return the array that `keep` stored, not a copy, or None."""
        return self._kept.get(key)

    def keep(self, key: Key, value: Value) -> None:
        """Store an array if there is room and none is stored under ``key``. Several threads may call this."""
        # no lock, which could not be sent to other processes; `setdefault` is atomic
        if value.nbytes <= self._free and self._kept.setdefault(key, value) is value:
            self._free -= value.nbytes
