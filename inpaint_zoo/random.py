"""Random numbers as a pure function of (seed, stream, sample index, attempt, slot): SplitMix64 used as a counter.

Masks, augmentations, crops, splits and the order of training take their random numbers from here. No generator has a
state that advances, so a sample depends only on these coordinates, not on workers, batch size, order, or other samples.
A whole batch is computed as one vectorized table. Source: docs/papers/masks.md, "Random numbers".
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["Draws", "Floats", "Ints", "integers", "mix", "permutation", "ragged", "sample_key"]

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
    """Apply the SplitMix64 finalizer to one 64-bit word.

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
    """Return the 64-bit key of one sample, computed with Python integers; `Draws` computes it for whole batches.

    Args:
        seed: Seed, taken modulo 2^64.
        stream: Name of the stream, such as "test" or "mask/0".
        index: Index of the sample.
        attempts: Attempt numbers of the enclosing rejection scopes, outermost first.

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
    """Return (j + 1) * gamma for the slots j = 0, ..., count - 1."""
    return np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_GAMMA)


def _uniforms(words: _Words) -> Floats:
    return (words >> _S11).astype(np.float64) * _TO_UNIT


def integers(u: Floats, low: int | Ints, high: int | Ints) -> Ints:
    """Map uniform numbers in [0, 1) to the integers low, ..., high, both inclusive."""
    return low + (u * (high - low + 1)).astype(np.int64)


class Draws:
    """Random numbers for a batch of samples in one stream, inside given rejection attempts.

    Args:
        seed: Seed of all streams.
        stream: Name of the stream.
        indices: (B,) uint64 sample indices.
        attempts: Attempt numbers of the enclosing rejection scopes, outermost first.
    """

    __slots__ = ("_keys", "attempts", "indices", "seed", "stream")

    def __init__(self, seed: int, stream: str, indices: _Words, attempts: tuple[int, ...] = ()) -> None:
        self.seed, self.stream, self.indices, self.attempts = seed, stream, indices, attempts
        self._keys: _Words | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def sub(self, name: str) -> Draws:
        """Return the random numbers of the same samples in the stream ``<stream>/<name>``."""
        return Draws(self.seed, f"{self.stream}/{name}", self.indices, self.attempts)

    def rows(self, rows: Sequence[int] | Ints) -> Draws:
        """Return the random numbers of some of the samples, in the given order."""
        return Draws(self.seed, self.stream, self.indices[rows], self.attempts)

    def attempt(self, number: int) -> Draws:
        """Return attempt ``number`` of a rejection scope nested in the open ones; attempt 0 leaves the keys as is."""
        return Draws(self.seed, self.stream, self.indices, (*self.attempts, number)) if number else self

    def shared(self, n: int) -> Draws:
        """Return a copy in which sample i uses the numbers of sample n * (i // n): n consecutive samples share them."""
        return (
            Draws(self.seed, self.stream, self.indices // np.uint64(n) * np.uint64(n), self.attempts) if n > 1 else self
        )

    @property
    def keys(self) -> _Words:
        """The key of each sample: (B,) uint64."""
        if self._keys is None:
            word = np.uint64(_stream_word(self.seed, self.stream) + _GAMMA & _MASK)
            keys = _mix_in_place(self.indices + word)
            for number in self.attempts:
                keys = _mix_in_place(keys + np.uint64(number * _ATTEMPT & _MASK))
            self._keys = keys
        return self._keys

    def words(self, first: int, count: int) -> _Words:
        """Return the 64 random bits of the slots first, ..., first + count - 1, as uint64 of shape (B, count)."""
        starts = self.keys + np.uint64(first * _GAMMA & _MASK)
        return _mix_in_place(starts[:, None] + _steps(count))

    def table(self, first: int, count: int) -> Floats:
        """Return uniform numbers in [0, 1) for the slots first, ..., first + count - 1: (B, count)."""
        return _uniforms(self.words(first, count))

    def slot(self, slot: int) -> Floats:
        """Return uniform numbers in [0, 1) for one slot: (B,)."""
        return self.table(slot, 1)[:, 0]

    def blocks(self, owners: Ints, numbers: Ints, first: int, width: int) -> Floats:
        """Return uniform numbers in [0, 1) for blocks of consecutive slots, computed only for the given blocks.

        Args:
            owners: (S,) position in the batch of the sample that each block belongs to.
            numbers: (S,) number of the block within its sample.
            first: Slot where block 0 starts.
            width: Number of slots per block.

        Returns:
            (S, width): row s contains slots first + numbers[s] * width + 0 ... width - 1 of sample owners[s].
        """
        starts = self.keys[owners] + (first + numbers * width).astype(np.uint64) * np.uint64(_GAMMA)
        return _uniforms(_mix_in_place(starts[:, None] + _steps(width)))


def permutation(seed: int, stream: str, size: int) -> Ints:
    """Return 0 ... size - 1 in random order: sorted by the keys of these indices in the stream.

    Example:
        >>> permutation(0, "order/0", 5).tolist()
        [3, 2, 4, 0, 1]
    """
    return np.argsort(Draws(seed, stream, np.arange(size, dtype=np.uint64)).keys, kind="stable")


def ragged(counts: Ints) -> tuple[Ints, Ints]:
    """Number the parts, such as strokes, of samples with different numbers of parts, which form one flat array.

    Args:
        counts: (B,) number of parts of each sample.

    Returns:
        Two arrays (S,) with S = sum of ``counts``: the sample that each part belongs to, and its number in that sample.

    Example:
        >>> [part.tolist() for part in ragged(np.array([2, 0, 1]))]
        [[0, 0, 2], [0, 1, 0]]
    """
    owners = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    return owners, np.arange(len(owners)) - starts[owners]
