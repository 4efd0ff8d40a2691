"""The order of the samples in each pass over the data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.random import permutation

__all__ = ["shuffled"]

MIXED = 8
"""Number of files whose samples are shuffled together."""


def shuffled(seed: int, size: int, number: int, blocks: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Return the order of pass ``number`` over ``size`` samples: a permutation of 0 ... size - 1.

    Args:
        seed: Seed of the order.
        size: Number of samples in the data.
        number: Number of the pass.
        blocks: (size,) number of the file, from 0, that contains each sample, if files should be read one after
            another: the files are shuffled, and then the samples of each `MIXED` consecutive files.

    Example:
        >>> shuffled(0, 5, 0).tolist(), shuffled(0, 5, 1).tolist()
        ([3, 2, 4, 0, 1], [0, 3, 4, 2, 1])
    """
    order = permutation(seed, f"order/{number}", size)
    if blocks is None:
        return order
    ranks = np.argsort(permutation(seed, f"order/{number}/files", blocks.max() + 1), kind="stable")
    return order[np.argsort(ranks[blocks[order]] // MIXED, kind="stable")]
