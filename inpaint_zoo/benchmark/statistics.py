"""Intervals and tests for one benchmark table, with the source image as the sampling unit.

Several crops of one image, and several masks on it, are not independent, so all procedures below work on `groups` (the
source images):

* `bootstrap_interval`: percentile interval of the mean over images; whole groups are resampled with replacement
  (Efron & Tibshirani 1993, ch. 13; cluster bootstrap: Davison & Hinkley 1997, sec. 3.8).
* `sign_flip_test`: paired randomization test of "no difference" from one reference method. Under this hypothesis, the
  difference of a group is positive or negative with equal probability; the statistic is the difference of the two
  printed means. All 2^G sign patterns are used up to G = 16 groups, and random patterns with a fixed seed above.
* `holm`: Holm's step-down correction (Holm 1979) over the comparisons of one table.
* `jackknife_interval`: interval of a value of a whole set, such as FID, from the influence of each image on it. It is
  Student's t interval with the standard error of the infinitesimal jackknife over groups (Jaeckel 1972; Efron 1982,
  ch. 6). A bootstrap would be wrong for FID: a resample contains about 63 % of the images, and FID grows with fewer
  images, so that the resampled values lie above the value that needs an interval.

Guarantee: the methods that are not rejected against the one with the best mean form a set that contains each truly best
method with about 95 % probability (comparing a truly best method with each of M - 1 others costs at most
alpha / (M - 1) at Holm's first step). It is not guaranteed that M equal methods are *all* in the set with 95 %.
Limits: with few groups, percentile intervals are too narrow (95 % intervals of 4 groups cover about 80 %), and G groups
cannot give a p-value below 2^(1 - G); `fewest_groups` returns how many source images a table needs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "ALPHA",
    "DRAWS",
    "EXACT_GROUPS",
    "FEW_GROUPS",
    "bootstrap_interval",
    "fewest_groups",
    "holm",
    "jackknife_interval",
    "sign_flip_test",
]

ALPHA = 0.05  # level of the tests; intervals have the level 1 - ALPHA
DRAWS = 10_000  # number of bootstrap samples, and of sign patterns in the Monte-Carlo test
EXACT_GROUPS = 16  # maximum number of groups for which all sign patterns are enumerated: 2^15, using the symmetry
FEW_GROUPS = 6  # maximum number of groups whose equal resamples are computed once: at most 462 differ
_CHUNK = 250_000  # maximum number of draws x groups in memory; the arrays of larger chunks do not fit the caches

Floats = NDArray[np.float64]


def bootstrap_interval(
    values: ArrayLike, groups: ArrayLike, *, level: float = 1 - ALPHA, draws: int = DRAWS, seed: int = 0
) -> tuple[Floats, Floats]:
    """Return the percentile interval of each column's mean over images, by resampling whole groups.

    Columns without missing groups share their resamples, so the intervals of the methods in one table are comparable.

    Args:
        values: (N, K), one row per image, one column per method (or method and metric). Non-finite values are missing.
        groups: (N,) label of the source image.
        level: Nominal coverage in (0, 1).
        draws: Number of bootstrap samples.
        seed: Seed of the resampling; the interval does not depend on the order of the rows (up to rounding).

    Returns:
        Lower and upper ends, (K,) each; NaN if fewer than two groups have a value.
    """
    sums, counts = _group_sums(values, groups)
    low, high = np.full(sums.shape[1], np.nan), np.full(sums.shape[1], np.nan)
    patterns, pattern_of = np.unique(counts > 0, axis=1, return_inverse=True)
    for index in range(patterns.shape[1]):  # usually one pattern: every method has a value for every image
        present, columns = patterns[:, index], np.flatnonzero(pattern_of.ravel() == index)
        if present.sum() < 2:
            continue
        ends = _percentiles(
            sums[present][:, columns], counts[present][:, columns], ((1 - level) / 2, (1 + level) / 2), draws, seed
        )
        low[columns], high[columns] = ends
    return low, high


def jackknife_interval(
    value: float, influences: ArrayLike, groups: ArrayLike, *, level: float = 1 - ALPHA
) -> tuple[float, float]:
    """Return the interval of a value of a whole set, from the influence of each image.

    It is value ± t sqrt(G / (G - 1) Σ L²), where L is the sum of the influences of a group, G the number of groups, and
    t Student's quantile with G - 1 degrees of freedom. For a mean of independent images, it is Student's interval.

    Args:
        value: The value.
        influences: (N,) first-order change of the value if the weight of an image grows from 1 / N to 2 / N of the set.
            They sum to 0.
        groups: (N,) label of the source image.
        level: Nominal coverage in (0, 1).

    Returns:
        Lower and upper end; NaN for fewer than two groups.

    Example:
        >>> low, high = jackknife_interval(2.0, [-1 / 3, 0.0, 1 / 3], ["a", "b", "c"])  # the mean of 1, 2 and 3
        >>> round(low, 3), round(high, 3)
        (-0.484, 4.484)
    """
    from scipy import special

    names, group_of = np.unique(np.asarray(groups), return_inverse=True)
    count = len(names)
    if count < 2:
        return float("nan"), float("nan")
    sums = np.bincount(group_of, weights=np.asarray(influences, dtype=np.float64))
    error = float(np.sqrt(count / (count - 1) * np.square(sums - sums.mean()).sum()))
    half = float(special.stdtrit(count - 1, (1 + level) / 2)) * error
    return value - half, value + half


def sign_flip_test(differences: ArrayLike, groups: ArrayLike, *, draws: int = DRAWS, seed: int = 0) -> Floats:
    """Return the two-sided p-value of each column for "the mean difference is zero", by flipping signs of whole groups.

    The statistic is |sum over groups of (sign x the group's summed difference)|. It is the difference of the two
    printed means, which weight all images equally; with groups of equal size, this is the mean of the groups' mean
    differences. The test is exact up to EXACT_GROUPS groups; above, the p-value is (1 + hits) / (1 + draws), which is
    never 0.

    Args:
        differences: (N, K), one row per image: method minus reference. Pairs with a non-finite value are left out.
        groups: (N,) label of the source image.
        draws: Number of random sign patterns if there are too many groups to use all patterns.
        seed: Seed of the random patterns.

    Returns:
        (K,) p-values in (0, 1]; NaN for a column without any pair.
    """
    sums, counts = _group_sums(differences, groups)
    num_groups = len(sums)
    observed = np.abs(sums.sum(axis=0))
    slack = 1e-10 * np.abs(sums).sum(axis=0)  # sums that are equal except for rounding count as equal
    exact = num_groups <= EXACT_GROUPS
    patterns = _all_signs(num_groups) if exact else _random_signs(num_groups, draws, seed)
    hits, total = np.zeros(sums.shape[1]), 0
    for signs in patterns:
        hits += (np.abs(signs @ sums) >= observed - slack).sum(axis=0)
        total += len(signs)
    p_values = hits / total if exact else (1 + hits) / (1 + total)
    return np.where(counts.sum(axis=0) > 0, p_values, np.nan)


def holm(p_values: ArrayLike) -> Floats:
    """Return Holm's adjusted p-values: sorted, times the number of remaining hypotheses, made monotone, at most 1.

    NaN means "not tested"; it stays NaN and is not counted.

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
    """Return the smallest number of source images for which one of ``comparisons`` Holm-corrected tests can reject.

    The smallest two-sided p-value of G groups is 2^(1 - G); Holm multiplies the smallest p-value by ``comparisons``.

    Example:
        >>> fewest_groups(1), fewest_groups(6)
        (6, 8)
    """
    return next(n for n in range(1, 64) if max(comparisons, 1) * 2.0 ** (1 - n) <= alpha)


def _group_sums(values: ArrayLike, groups: ArrayLike) -> tuple[Floats, Floats]:
    """Return sums and counts of the finite values, (G, K) each, with groups in sorted order."""
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


def _percentiles(sums: Floats, counts: Floats, levels: Sequence[float], draws: int, seed: int) -> list[Floats]:
    """Return quantiles (K,) of the means of resampled groups; every group must have a value in every column."""
    if len(sums) > FEW_GROUPS:
        means = np.concatenate([(times @ sums) / (times @ counts) for times in _resamples(len(sums), draws, seed)])
        return list(np.quantile(means, levels, axis=0))
    patterns, frequency = _distinct_resamples(len(sums), draws, seed)
    means = (patterns @ sums) / (patterns @ counts)
    order = np.argsort(means, axis=0)
    ordered, up_to = np.take_along_axis(means, order, axis=0), np.cumsum(frequency[order], axis=0)
    found = []
    for level in levels:  # between two neighbors in the order of all resamples, as by np.quantile
        place = level * (draws - 1)
        below, above = (
            np.take_along_axis(ordered, (up_to <= at).sum(axis=0)[None], axis=0)[0]
            for at in (math.floor(place), math.ceil(place))
        )
        found.append(below + (above - below) * (place - math.floor(place)))
    return found


def _resamples(num_groups: int, draws: int, seed: int) -> Iterator[Floats]:
    """Yield how many times each group is drawn in each of ``draws`` resamples, in chunks of shape (n, G)."""
    rng = np.random.default_rng(seed)
    for size in _chunks(draws, num_groups):
        drawn = rng.integers(0, num_groups, size=(size, num_groups))
        flat = (drawn + num_groups * np.arange(size)[:, None]).ravel()
        yield np.bincount(flat, minlength=size * num_groups).reshape(size, num_groups).astype(np.float64)


@lru_cache(maxsize=FEW_GROUPS)
def _distinct_resamples(num_groups: int, draws: int, seed: int) -> tuple[Floats, NDArray[np.int64]]:
    """Return the distinct resamples (U, G) of few groups, and how many of the ``draws`` resamples equal each (U,)."""
    patterns, frequency = np.unique(
        np.concatenate(list(_resamples(num_groups, draws, seed))), axis=0, return_counts=True
    )
    return patterns, frequency.astype(np.int64)


def _all_signs(num_groups: int) -> Iterator[Floats]:
    """Yield half of all sign patterns, (2^(G-1), G): the first sign is +1, because T and -T give the same statistic."""
    codes = np.arange(2 ** max(num_groups - 1, 0))[:, None]
    free = (codes >> np.arange(max(num_groups - 1, 0))) & 1
    signs: Floats = np.ones((len(codes), num_groups))
    signs[:, 1:] -= 2.0 * free
    yield signs


def _random_signs(num_groups: int, draws: int, seed: int) -> Iterator[Floats]:
    """Yield ``draws`` random sign patterns in chunks of shape (n, G)."""
    rng = np.random.default_rng(seed)
    for size in _chunks(draws, num_groups):
        signs = rng.integers(0, 2, size=(size, num_groups)).astype(np.float64)
        signs *= -2.0
        signs += 1.0
        yield signs


def _chunks(draws: int, num_groups: int) -> Iterator[int]:
    """Split ``draws`` into chunks of at most _CHUNK numbers each."""
    step = max(_CHUNK // max(num_groups, 1), 1)
    for start in range(0, draws, step):
        yield min(step, draws - start)
