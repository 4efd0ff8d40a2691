"""Statistics of rankings and choices, compared with closed forms, scipy and slow second versions."""

from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import friedmanchisquare, spearmanr

from inpaint_zoo.benchmark.statistics import DRAWS
from inpaint_zoo.benchmark.study.preference import (
    bradley_terry,
    choice_agreement,
    kendall_w,
    no_agreement_p_value,
    resample,
    two_way_weights,
)


def rankings(seed, raters, methods):
    rng = np.random.default_rng(seed)
    return np.array([rng.permutation(methods) + 1 for _ in range(raters)])


def random_wins(seed, methods):
    wins = np.random.default_rng(seed).integers(0, 20, (methods, methods))
    np.fill_diagonal(wins, 0)
    return wins


@pytest.mark.parametrize(("won", "lost"), [(3, 1), (10, 10), (1, 50)])
def test_two_methods_are_the_logarithm_of_the_odds_apart(won, lost):
    scores = bradley_terry([[0, won], [lost, 0]], prior=0)
    assert scores[0] - scores[1] == pytest.approx(np.log(won / lost))
    assert scores.sum() == pytest.approx(0)


@pytest.mark.parametrize("prior", [0, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_scores_maximize_the_penalized_likelihood(seed, prior):
    wins = random_wins(seed, 5)

    def loss(score):
        total = sum(wins[i, j] * np.logaddexp(0, score[j] - score[i]) for i in range(5) for j in range(5))
        return total + prior * (np.logaddexp(0, score) + np.logaddexp(0, -score)).sum()

    best = minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-7}).x
    assert bradley_terry(wins, prior) == pytest.approx(best - best.mean(), abs=1e-4)


def test_a_method_that_always_wins_has_a_finite_score():
    wins = np.zeros((3, 3))
    wins[0, 1:] = 1000
    wins[1, 2] = 1000
    scores = bradley_terry(wins)
    assert np.isfinite(scores).all()
    assert scores[0] > scores[1] > scores[2]


def test_a_batch_of_tables_equals_each_of_them():
    tables = np.stack([random_wins(seed, 4) for seed in range(6)])
    assert bradley_terry(tables) == pytest.approx(np.stack([bradley_terry(table) for table in tables]), abs=1e-9)


@pytest.mark.parametrize(("seed", "raters", "methods"), [(0, 3, 4), (1, 8, 5), (2, 5, 3)])
def test_concordance_is_friedman_s_statistic(seed, raters, methods):
    table = rankings(seed, raters, methods)
    statistic, p_value = friedmanchisquare(*table.T)
    w = kendall_w(table)
    assert raters * (methods - 1) * w == pytest.approx(statistic)
    assert no_agreement_p_value([table]) == pytest.approx(p_value)
    pairs = [spearmanr(a, b).statistic for a, b in combinations(table, 2)]
    assert (raters * w - 1) / (raters - 1) == pytest.approx(np.mean(pairs))


def test_random_rankings_are_rejected_at_most_at_the_level():
    p_values = [no_agreement_p_value([rankings([seed, item], 3, 4) for item in range(10)]) for seed in range(400)]
    assert 0.005 < np.mean(np.array(p_values) <= 0.05) < 0.07


def fleiss_kappa(table):
    """Return Fleiss's kappa of (questions, categories) counts with the same number of raters for each question."""
    m = table[0].sum()
    observed = np.mean([(row * (row - 1)).sum() / (m * (m - 1)) for row in table])
    chance = ((table.sum(axis=0) / table.sum()) ** 2).sum()
    return (observed - chance) / (1 - chance)


def test_kappa_is_that_of_fleiss_without_a_preferred_label():
    first = np.random.default_rng(0).integers(0, 6, 30)
    table = np.stack([first, 5 - first], axis=1)
    share, kappa = choice_agreement(first, np.full(30, 5))
    assert kappa == pytest.approx(fleiss_kappa(np.concatenate([table, table[:, ::-1]])))
    assert share == pytest.approx((kappa + 1) / 2)


def test_agreement_counts_pairs_of_raters():
    votes = [[1, 1, 0], [0, 0, 0, 0], [1, 0]]
    pairs = [np.mean([a == b for a, b in combinations(each, 2)]) for each in votes]
    share, _ = choice_agreement([sum(each) for each in votes], [len(each) for each in votes])
    assert share == pytest.approx(np.mean(pairs))


def test_weights_are_products_of_counts_of_raters_and_images():
    raters, groups = np.repeat(np.arange(4), 6), np.tile(np.arange(6), 4)
    weights = np.concatenate(list(two_way_weights(raters, groups, draws=3000)))
    assert weights.shape == (3000, 24)
    assert weights.sum(axis=1) == pytest.approx(np.full(3000, 24))  # 4 raters times 6 images were drawn
    assert weights.mean(axis=0) == pytest.approx(np.ones(24), abs=0.15)
    tables = weights.reshape(3000, 4, 6)
    assert (np.linalg.matrix_rank(tables) == 1).all()


def test_intervals_need_two_raters_and_two_images():
    many, one = np.array([3, 7, 7]), np.array([5, 5, 5])
    assert resample(lambda weights: weights.sum(axis=1), many, one) is None
    assert resample(lambda weights: weights.sum(axis=1), one, many) is None
    drawn = resample(lambda weights: weights.sum(axis=1), many, many)
    assert (drawn > 0).all()  # samples without any vote are left out
    assert 0.4 * DRAWS < len(drawn) < DRAWS
