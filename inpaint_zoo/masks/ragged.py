"""Ragged batches: masks have different numbers of strokes or boxes, which are processed as one flat array."""

from __future__ import annotations

import numpy as np

from inpaint_zoo.random import Ints

__all__ = ["ragged"]


def ragged(counts: Ints) -> tuple[Ints, Ints]:
    """Number the parts (strokes or boxes) of all samples.

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
