"""Random numbers that are a pure function of (seed, stream, sample index, attempt, slot): SplitMix64 as a counter.

No generator is ever advanced, so a mask depends on nothing but its own coordinates: not on workers, batch size, order,
or what other masks did. A batch needs one vectorised table. Source: specs/masks.md, section 2.1.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["Draws", "Floats", "Ints", "integers", "mix", "sample_key"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_Words = NDArray[np.uint64]

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15
_ATTEMPT = 0xD1B54A32D192ED03
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB
_S27, _S30, _S31, _S11 = (np.uint64(bits) for bits in (27, 30, 31, 11))
_M1, _M2 = np.uint64(_MIX_1), np.uint64(_MIX_2)
_TO_UNIT = 2.0**-53


def mix(z: int) -> int:
    """The SplitMix64 finaliser on one 64-bit word.

    Example:
        >>> hex(mix(0x9E3779B97F4A7C15))
        '0xe220a8397b1dcdaf'
    """
    z ^= z >> 30
    z = z * _MIX_1 & _MASK
    z ^= z >> 27
    z = z * _MIX_2 & _MASK
    return z ^ z >> 31


@lru_cache(maxsize=4096)
def _stream_word(seed: int, stream: str) -> int:
    return mix(mix((seed + _GAMMA) & _MASK) + zlib.crc32(stream.encode()) + _GAMMA & _MASK)


def sample_key(seed: int, stream: str, index: int, attempts: Sequence[int] = ()) -> int:
    """The 64-bit key of one sample, in plain integers; `Draws` computes the same for whole batches.

    Args:
        seed: Of the suite, taken modulo 2^64.
        stream: Name of the stream, such as "test" or "mask/0".
        index: Of the sample.
        attempts: The attempt number of each rejection scope around the draw, outermost first.

    Example:
        >>> sample_key(1234, "mask", 7)
        16588082655090836119
    """
    key = mix(_stream_word(seed, stream) + index + _GAMMA & _MASK)
    for attempt in attempts:
        key = mix(key + attempt * _ATTEMPT & _MASK) if attempt else key
    return key


def _mix_in_place(z: _Words) -> _Words:
    z ^= z >> _S30
    z *= _M1
    z ^= z >> _S27
    z *= _M2
    z ^= z >> _S31
    return z


@lru_cache(maxsize=256)
def _steps(count: int) -> _Words:
    """(j + 1) * gamma for the slots j = 0, ..., count - 1."""
    return np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_GAMMA)


def _uniforms(words: _Words) -> Floats:
    return (words >> _S11).astype(np.float64) * _TO_UNIT


def integers(u: Floats, low: int | Ints, high: int | Ints) -> Ints:
    """Map uniforms to the integers low, ..., high, both included (U{low..high} of the specification)."""
    return low + (u * (high - low + 1)).astype(np.int64)


class Draws:
    """The draws of a batch of samples in one stream and one nest of rejection attempts.

    Args:
        seed: Of the suite.
        stream: Name of the stream.
        indices: (B,) uint64 sample indices.
        attempts: Attempt numbers of the scopes around, outermost first.
    """

    __slots__ = ("_keys", "attempts", "indices", "seed", "stream")

    def __init__(self, seed: int, stream: str, indices: _Words, attempts: tuple[int, ...] = ()) -> None:
        self.seed, self.stream, self.indices, self.attempts = seed, stream, indices, attempts
        self._keys: _Words | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def sub(self, name: str) -> Draws:
        """The same samples in the stream ``<stream>/<name>``."""
        return Draws(self.seed, f"{self.stream}/{name}", self.indices, self.attempts)

    def rows(self, rows: Sequence[int] | Ints) -> Draws:
        """Some of the samples, in the order given."""
        return Draws(self.seed, self.stream, self.indices[rows], self.attempts)

    def attempt(self, number: int) -> Draws:
        """Attempt ``number`` of a rejection scope inside those that are open; number 0 changes no key."""
        return Draws(self.seed, self.stream, self.indices, (*self.attempts, number)) if number else self

    def shared(self, n: int) -> Draws:
        """Sample i takes the draws of sample n * (i // n): one draw for each n in a row."""
        return (
            Draws(self.seed, self.stream, self.indices // np.uint64(n) * np.uint64(n), self.attempts) if n > 1 else self
        )

    @property
    def keys(self) -> _Words:
        """(B,) uint64, one key for each sample."""
        if self._keys is None:
            word = np.uint64(_stream_word(self.seed, self.stream) + _GAMMA & _MASK)
            keys = _mix_in_place(self.indices + word)
            for number in self.attempts:
                keys = _mix_in_place(keys + np.uint64(number * _ATTEMPT & _MASK))
            self._keys = keys
        return self._keys

    def words(self, first: int, count: int) -> _Words:
        """The 64 random bits of the slots first, ..., first + count - 1: (B, count)."""
        starts = self.keys + np.uint64(first * _GAMMA & _MASK)
        return _mix_in_place(starts[:, None] + _steps(count))

    def table(self, first: int, count: int) -> Floats:
        """Uniforms in [0, 1) of the slots first, ..., first + count - 1: (B, count)."""
        return _uniforms(self.words(first, count))

    def slot(self, slot: int) -> Floats:
        """Uniforms in [0, 1) of one slot: (B,)."""
        return self.table(slot, 1)[:, 0]

    def blocks(self, owners: Ints, numbers: Ints, first: int, width: int) -> Floats:
        """Uniforms of blocks of slots, of those blocks only that exist.

        Args:
            owners: (S,) which sample each block belongs to.
            numbers: (S,) which block of its sample it is.
            first: Slot where block 0 begins.
            width: Slots of a block.

        Returns:
            (S, width): row s holds slots first + numbers[s] * width + 0 ... width - 1 of sample owners[s].
        """
        starts = self.keys[owners] + (first + numbers * width).astype(np.uint64) * np.uint64(_GAMMA)
        return _uniforms(_mix_in_place(starts[:, None] + _steps(width)))
