"""Statistics of rankings and choices: Bradley-Terry scores, Kendall's W, agreement, and resampling of two factors."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from inpaint_zoo.benchmark.statistics import DRAWS

__all__ = ["bradley_terry", "choice_agreement", "kendall_w", "no_agreement_p_value", "resample", "two_way_weights"]

PRIOR = 0.5  # wins, and losses, of every method against an imaginary method of strength 0
STEPS = 100
LONGEST_STEP = 2.0
SLACK = 1e-6  # makes the equations solvable without a penalty, where scores are known up to a constant
_CHUNK = 4_000_000  # maximum number of draws x votes in memory

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def bradley_terry(wins: ArrayLike, prior: float = PRIOR) -> Floats:
    """Return Bradley-Terry scores: method i is preferred to j with the probability 1 / (1 + exp(s_j - s_i)).

    The penalized likelihood is maximized by Newton's method (Bradley & Terry 1952; the penalty keeps the scores of a
    method finite that won or lost every comparison).

    Args:
        wins: (..., M, M), number of times that the row was preferred to the column.
        prior: Number of wins, and of losses, that each method has in addition against an imaginary method with score 0.

    Returns:
        (..., M) scores with mean 0.

    Example:
        >>> bradley_terry([[0, 30], [10, 0]], prior=0).round(3).tolist()  # log(3) apart
        [0.549, -0.549]
    """
    won = np.asarray(wins, dtype=np.float64)
    count = won + np.swapaxes(won, -1, -2)
    score = np.zeros(won.shape[:-1])
    diagonal = np.arange(won.shape[-1])
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(score[..., None, :] - score[..., :, None]))
        p0 = 1 / (1 + np.exp(-score))
        gradient = (won - count * p).sum(axis=-1) + prior * (1 - 2 * p0)
        weights = count * p * (1 - p)
        hessian = SLACK - weights
        hessian[..., diagonal, diagonal] += weights.sum(axis=-1) + 2 * prior * p0 * (1 - p0)
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        score = score + np.clip(step, -LONGEST_STEP, LONGEST_STEP)
        if np.abs(step).max(initial=0.0) < 1e-10:
            break
    return score - score.mean(axis=-1, keepdims=True)


def kendall_w(ranks: ArrayLike) -> float:
    """Return Kendall's coefficient of concordance of m raters who ranked n methods: 1 if all rankings are equal.

    Args:
        ranks: (m, n), each row a permutation of 1 ... n.

    Example:
        >>> kendall_w([[1, 2, 3], [1, 2, 3]]), kendall_w([[1, 2, 3], [3, 2, 1]])
        (1.0, 0.0)
    """
    table = np.asarray(ranks, dtype=np.float64)
    m, n = table.shape
    sums = table.sum(axis=0)
    return float(12 * ((sums - sums.mean()) ** 2).sum() / (m**2 * (n**3 - n)))


def no_agreement_p_value(tables: list[Ints]) -> float:
    """Return the p-value of "all rankings of all images are random", from the sum of Friedman's statistics.

    The sum over images is compared with the chi-squared distribution with (n - 1) degrees of freedom per image. Its
    mean is exact and its variance is larger than that of the statistic, so the test is conservative.

    Args:
        tables: (m, n) ranks for each image, with m at least 2; m may differ.
    """
    statistic = sum(len(table) * (table.shape[1] - 1) * kendall_w(table) for table in tables)
    return float(special.chdtrc(sum(table.shape[1] - 1 for table in tables), statistic))


def choice_agreement(first: ArrayLike, total: ArrayLike) -> tuple[float, float]:
    """Return the agreement of raters who chose one of two: the share of agreeing pairs of raters, and kappa.

    The share is Fleiss's: the mean over questions of the share of agreeing pairs of raters. Kappa is 2 x share - 1, as
    half of the pairs of random choices agree. (It equals Fleiss's kappa if the two images of a question are labeled at
    random, because both labels are then equally frequent.)

    Args:
        first: (Q,) number of raters of each question that chose one of its images.
        total: (Q,) number of raters of each question, at least 2.

    Example:
        >>> choice_agreement([3, 0], [3, 2])
        (1.0, 1.0)
    """
    one, m = np.asarray(first, dtype=np.float64), np.asarray(total, dtype=np.float64)
    agreeing = one * (one - 1) + (m - one) * (m - one - 1)
    share = float((agreeing / (m * (m - 1))).mean())
    return share, 2 * share - 1


def two_way_weights(raters: Ints, groups: Ints, draws: int = DRAWS, seed: int = 0) -> Iterator[Floats]:
    """Yield weights of votes (n, V) for samples in which raters and source images are both drawn with replacement.

    The weight of a vote is the number of times that its rater was drawn times that of its image (Owen 2007, "The
    pigeonhole bootstrap"), so that intervals are valid for other raters and other images.

    Args:
        raters: (V,) rater of each vote, as numbers from 0.
        groups: (V,) its source image, as numbers from 0.
        draws: Number of samples.
        seed: Seed.
    """
    rng = np.random.default_rng(seed)
    sizes = [int(each.max()) + 1 for each in (raters, groups)]
    step = max(_CHUNK // len(raters), 1)
    for start in range(0, draws, step):
        size = min(step, draws - start)
        counts = [rng.multinomial(n, np.full(n, 1 / n), size=size).astype(np.float64) for n in sizes]
        yield counts[0][:, raters] * counts[1][:, groups]


def resample(statistic: Callable[[Floats], Floats], raters: Ints, groups: Ints) -> Floats | None:
    """Return a statistic of resampled votes, (draws, ...); None with fewer than two raters or source images.

    Args:
        statistic: Function of the votes' weights (n, V), at least one of them positive in each row.
        raters: (V,) rater of each vote.
        groups: (V,) its source image.
    """
    raters, groups = (np.unique(each, return_inverse=True)[1].ravel() for each in (raters, groups))
    if raters.max() < 1 or groups.max() < 1:
        return None
    parts = [statistic(weights[weights.sum(axis=1) > 0]) for weights in two_way_weights(raters, groups)]
    return np.concatenate(parts)
