"""Ragged batches: each mask has its own number of strokes or boxes, all of them are worked on as one flat array."""

from __future__ import annotations

import numpy as np

from inpaint_zoo.masks.draws import Ints

__all__ = ["ragged"]


def ragged(counts: Ints) -> tuple[Ints, Ints]:
    """Number the parts of all samples.

    Args:
        counts: (B,) parts of each sample.

    Returns:
        (S,) the sample that each part belongs to, and (S,) which part of it that is, S = sum of ``counts``.

    Example:
        >>> [part.tolist() for part in ragged(np.array([2, 0, 1]))]
        [[0, 0, 2], [0, 1, 0]]
    """
    owners = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    return owners, np.arange(len(owners)) - starts[owners]
