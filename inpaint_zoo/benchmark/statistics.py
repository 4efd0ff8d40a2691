"""Intervals and tests for one benchmark table, with the source photograph as the unit of chance.

Several crops of one photograph are not independent, so both procedures below work on `groups` (the source photographs):

* `bootstrap_interval`: percentile interval of the mean over images; whole groups are drawn with replacement
  (Efron & Tibshirani 1993, ch. 13; cluster bootstrap: Davison & Hinkley 1997, sec. 3.8).
* `sign_flip_test`: paired randomisation test of "no difference" against one reference method. Under that hypothesis the
  difference of a group is as likely positive as negative; the statistic is the difference of the two printed means.
  All 2^G sign patterns up to G = 16 groups, random patterns with a fixed seed above.
* `holm`: Holm's step-down correction (Holm 1979) over the comparisons of one table.

What this promises: the methods that are not rejected against the best-looking one form a set that keeps each truly best
method with about 95 % (the comparison of a truly best method with each of M - 1 others costs at most alpha / (M - 1)
at Holm's first step). It does not promise that M equal methods are *all* kept with 95 %.
What it cannot do: with few groups, percentile intervals are too narrow (95 % intervals of 4 groups cover about 80 %),
and G groups cannot give a p-value below 2^(1 - G): `fewest_groups` tells how many photographs a table would need.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["ALPHA", "DRAWS", "EXACT_GROUPS", "bootstrap_interval", "fewest_groups", "holm", "sign_flip_test"]

ALPHA = 0.05  # level of the tests; intervals are 1 - ALPHA
DRAWS = 10_000  # bootstrap draws, and sign patterns of the Monte-Carlo test
EXACT_GROUPS = 16  # up to here all sign patterns are enumerated: 2^15 after using the symmetry
_CHUNK = 4_000_000  # draws x groups held at a time

Floats = NDArray[np.float64]


def bootstrap_interval(
    values: ArrayLike, groups: ArrayLike, *, level: float = 1 - ALPHA, draws: int = DRAWS, seed: int = 0
) -> tuple[Floats, Floats]:
    """Percentile interval of each column's mean over images, resampling whole groups.

    Columns without missing groups share their draws, so intervals of methods in one table move together.

    Args:
        values: (N, K), one row per image, one column per method (or method and metric). Non-finite = missing.
        groups: (N,) label of the source photograph.
        level: Nominal coverage in (0, 1).
        draws: Bootstrap draws.
        seed: Same seed, same interval (up to rounding, whatever the order of the rows: groups are sorted).

    Returns:
        Low and high ends, (K,) each; NaN where fewer than two groups have a value.
    """
    sums, counts = _group_sums(values, groups)
    low, high = np.full(sums.shape[1], np.nan), np.full(sums.shape[1], np.nan)
    patterns, pattern_of = np.unique(counts > 0, axis=1, return_inverse=True)
    for index in range(patterns.shape[1]):  # nearly always one: every method has a value for every photograph
        present, columns = patterns[:, index], np.flatnonzero(pattern_of.ravel() == index)
        if present.sum() < 2:
            continue
        means = _bootstrap_means(sums[present][:, columns], counts[present][:, columns], draws, seed)
        low[columns], high[columns] = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def sign_flip_test(differences: ArrayLike, groups: ArrayLike, *, draws: int = DRAWS, seed: int = 0) -> Floats:
    """Two-sided p-value of each column for "the mean difference is zero", by flipping the signs of whole groups.

    Statistic: |sum over groups of (sign x the group's summed difference)|: the difference of the two printed means,
    which weigh every image the same; with groups of one size that is the mean of the groups' mean differences.
    Exact up to EXACT_GROUPS groups, else (1 + hits) / (1 + draws), which never gives 0.

    Args:
        differences: (N, K), one row per image: method minus reference. Non-finite = missing pair, left out.
        groups: (N,) label of the source photograph.
        draws: Random sign patterns when there are too many groups for all of them.
        seed: Of those patterns.

    Returns:
        (K,) p-values in (0, 1]; NaN for a column without any pair.
    """
    sums, counts = _group_sums(differences, groups)
    num_groups = len(sums)
    observed = np.abs(sums.sum(axis=0))
    slack = 1e-10 * np.abs(sums).sum(axis=0)  # equal sums in another order must count as equal
    exact = num_groups <= EXACT_GROUPS
    patterns = _all_signs(num_groups) if exact else _random_signs(num_groups, draws, seed)
    hits, total = np.zeros(sums.shape[1]), 0
    for signs in patterns:
        hits += (np.abs(signs @ sums) >= observed - slack).sum(axis=0)
        total += len(signs)
    p_values = hits / total if exact else (1 + hits) / (1 + total)
    return np.where(counts.sum(axis=0) > 0, p_values, np.nan)


def holm(p_values: ArrayLike) -> Floats:
    """Holm's adjusted p-values: sorted ascending, times the number of hypotheses left, made monotone, at most 1.

    NaN marks "not tested": it stays NaN and is not counted.

    Example:
        >>> [round(float(p), 3) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full_like(p, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    left = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * left), 1.0)
    return adjusted


def fewest_groups(comparisons: int, alpha: float = ALPHA) -> int:
    """Smallest number of photographs at which any of ``comparisons`` Holm-corrected tests could reject.

    The smallest two-sided p-value of G groups is 2^(1 - G); Holm multiplies the smallest one by ``comparisons``.

    Example:
        >>> fewest_groups(1), fewest_groups(6)
        (6, 8)
    """
    return next(n for n in range(1, 64) if max(comparisons, 1) * 2.0 ** (1 - n) <= alpha)


def _group_sums(values: ArrayLike, groups: ArrayLike) -> tuple[Floats, Floats]:
    """Sums and counts of the finite values, (G, K) each, groups in sorted order."""
    table = np.asarray(values, dtype=np.float64)
    labels = np.asarray(groups)
    if table.ndim != 2 or labels.shape != table.shape[:1]:
        raise ValueError(
            f"`values` must be (N, K) with `groups` (N,), got {table.shape} and {labels.shape}. "
            "For one column use values[:, None]."
        )
    names, group_of = np.unique(labels, return_inverse=True)
    finite = np.isfinite(table)
    sums, counts = np.zeros((len(names), table.shape[1])), np.zeros((len(names), table.shape[1]))
    np.add.at(sums, group_of, np.where(finite, table, 0.0))
    np.add.at(counts, group_of, finite)
    return sums, counts


def _bootstrap_means(sums: Floats, counts: Floats, draws: int, seed: int) -> Floats:
    """(draws, K) means of resampled groups; every group holds a value of every column."""
    num_groups = len(sums)
    rng = np.random.default_rng(seed)
    means = []
    for size in _chunks(draws, num_groups):
        drawn = rng.integers(0, num_groups, size=(size, num_groups))
        flat = (drawn + num_groups * np.arange(size)[:, None]).ravel()
        times = np.bincount(flat, minlength=size * num_groups).reshape(size, num_groups).astype(np.float64)
        means.append((times @ sums) / (times @ counts))
    return np.concatenate(means)


def _all_signs(num_groups: int) -> Iterator[Floats]:
    """Half of all sign patterns (2^(G-1), G): the first sign is +1, since T and -T weigh the same."""
    codes = np.arange(2 ** max(num_groups - 1, 0))[:, None]
    free = (codes >> np.arange(max(num_groups - 1, 0))) & 1
    signs: Floats = np.ones((len(codes), num_groups))
    signs[:, 1:] -= 2.0 * free
    yield signs


def _random_signs(num_groups: int, draws: int, seed: int) -> Iterator[Floats]:
    """``draws`` random sign patterns in chunks of (n, G)."""
    rng = np.random.default_rng(seed)
    for size in _chunks(draws, num_groups):
        yield 1.0 - 2.0 * rng.integers(0, 2, size=(size, num_groups)).astype(np.float64)


def _chunks(draws: int, num_groups: int) -> Iterator[int]:
    """Split ``draws`` so that a chunk holds at most _CHUNK numbers."""
    step = max(_CHUNK // max(num_groups, 1), 1)
    for start in range(0, draws, step):
        yield min(step, draws - start)
