"""Compare all methods of a table with each other: paired tests with Holm's correction, and the content of win matrices.

The comparison with the best method in `summary.py` has one test for each other method. Here, each pair of methods has a
test, and Holm's correction extends over all pairs of the table. All significant pairs may therefore be stated at once,
but a difference from the best method can be significant there and not here.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from inpaint_zoo.benchmark.statistics import ALPHA, DRAWS, bootstrap_interval, holm, sign_flip_test

__all__ = ["Pair", "all_pairs"]

DRAWS_PER_PAIR = 100  # random sign patterns for each pair, so that Holm's correction of many pairs can still reject

Floats = NDArray[np.float64]
Strings = NDArray[np.str_]


class Pair(NamedTuple):
    """Two methods of a table, compared by one metric on the images for which both have a value.

    Attributes:
        first, second: Their columns.
        n_groups: Number of source images.
        wins, ties: Number of source images on which the mean of the first method is better than, or equal to, that of
            the second one.
        difference: Mean of the first method minus mean of the second one.
        ci_low, ci_high: 95 % cluster-bootstrap interval of the difference.
        p_value: Holm-adjusted over all pairs of the table.
        verdict: Whether the first method is "better" or "worse"; empty if the difference is not significant.
    """

    first: int
    second: int
    n_groups: int
    wins: int
    ties: int
    difference: float
    ci_low: float
    ci_high: float
    p_value: float
    verdict: str


def all_pairs(values: Floats, groups: Strings, higher_is_better: bool) -> list[Pair]:
    """Compare each pair of columns that have values of the same images.

    Args:
        values: (N, M), one row per image, one column per method; NaN is missing.
        groups: (N,) label of the source image.
        higher_is_better: Direction of the metric.
    """
    columns = range(values.shape[1])
    pairs = [(i, j) for i, j in combinations(columns, 2) if np.isfinite(values[:, i] - values[:, j]).any()]
    if not pairs:
        return []
    first, second = np.transpose(pairs)
    differences = values[:, first] - values[:, second]
    low, high = bootstrap_interval(differences, groups)
    p_values = holm(sign_flip_test(differences, groups, draws=max(DRAWS, DRAWS_PER_PAIR * len(pairs))))
    sign = 1.0 if higher_is_better else -1.0
    advantages = sign * pd.DataFrame(differences).groupby(groups).mean().to_numpy()  # of source images; leaves NaN out
    found = []
    for at, (i, j) in enumerate(pairs):
        change, advantage = float(np.nanmean(differences[:, at])), advantages[:, at]
        significant = bool(p_values[at] <= ALPHA)
        found.append(
            Pair(
                i,
                j,
                n_groups=int(np.isfinite(advantage).sum()),
                wins=int((advantage > 0).sum()),
                ties=int((advantage == 0).sum()),
                difference=change,
                ci_low=float(low[at]),
                ci_high=float(high[at]),
                p_value=float(p_values[at]),
                verdict=("better" if sign * change > 0 else "worse") if significant else "",
            )
        )
    return found
