"""Intervals, tests and summaries against closed forms, scipy and slow, simple implementations."""

import itertools
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from inpaint_zoo.benchmark.pairwise import all_pairs
from inpaint_zoo.benchmark.statistics import (
    DRAWS,
    FEW_GROUPS,
    bootstrap_interval,
    fewest_groups,
    holm,
    jackknife_interval,
    sign_flip_test,
)
from inpaint_zoo.benchmark.summary import PAIR_COLUMNS, RESULT_COLUMNS, SUMMARY_COLUMNS, summarize
from inpaint_zoo.errors import ZooError


def slow_sign_flip(differences, groups):
    """Compute the test with every sign pattern, one after the other, in plain Python."""
    sums = [sum(d for d, g in zip(differences, groups, strict=True) if g == name) for name in sorted(set(groups))]
    patterns = list(itertools.product([-1, 1], repeat=len(sums)))
    hits = sum(abs(sum(s * d for s, d in zip(signs, sums, strict=True))) >= abs(sum(sums)) - 1e-9 for signs in patterns)
    return hits / len(patterns)


# --- intervals ---


def test_interval_of_independent_images_is_scipys():
    values = np.random.default_rng(1).gamma(2.0, size=60)
    low, high = bootstrap_interval(values[:, None], np.arange(60))
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=10_000, rng=3).confidence_interval
    spread = values.std() / np.sqrt(60)
    assert abs(low[0] - theirs.low) < 0.1 * spread
    assert abs(high[0] - theirs.high) < 0.1 * spread


def test_interval_of_two_images_is_known_by_hand():
    # means of a resample: 0 (1/4), 5 (1/2), 10 (1/4): both ends of the 95 % interval are the extremes
    low, high = bootstrap_interval([[0.0], [10.0]], ["a", "b"])
    assert (low[0], high[0]) == (0.0, 10.0)
    assert [float(end[0]) for end in bootstrap_interval([[0.0], [10.0]], ["a", "b"], level=0.4)] == [5.0, 5.0]


@pytest.mark.parametrize("count", [2, 3, FEW_GROUPS, FEW_GROUPS + 1])
def test_equal_resamples_of_few_images_are_counted(count):
    values = np.random.default_rng(count).normal(size=(count, 4))
    drawn = np.random.default_rng(0).integers(0, count, size=(DRAWS, count))
    expected = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975], axis=0)
    np.testing.assert_allclose(bootstrap_interval(values, np.arange(count)), expected, rtol=1e-12)


def test_crops_of_one_image_are_drawn_together():
    rng = np.random.default_rng(0)
    image_set = np.repeat(rng.normal(size=25), 8)  # 8 equal crops of each of 25 images
    groups = np.repeat(np.arange(25), 8)
    low, high = bootstrap_interval(image_set[:, None], groups)
    once = bootstrap_interval(image_set[::8, None], np.arange(25))
    naive = bootstrap_interval(image_set[:, None], np.arange(200))
    assert (low[0], high[0]) == pytest.approx((once[0][0], once[1][0]), rel=1e-12)
    assert high[0] - low[0] > 2 * (naive[1][0] - naive[0][0])  # sqrt(8) in expectation


def test_interval_is_of_the_mean_over_images_when_images_differ_in_size():
    low, high = bootstrap_interval([[0.0], [0.0], [0.0], [8.0]], ["a", "a", "a", "b"], level=0.4)
    assert (low[0], high[0]) == (2.0, 2.0)  # the middle resample holds all four images once: 8 / 4, not (0 + 8) / 2


def test_interval_repeats_and_ignores_the_order_of_rows():
    rng = np.random.default_rng(2)
    values, groups = rng.normal(size=(30, 3)), np.repeat([f"g{i}" for i in range(10)], 3)
    order = rng.permutation(30)
    first, second = bootstrap_interval(values, groups), bootstrap_interval(values[order], groups[order])
    np.testing.assert_array_equal(first, bootstrap_interval(values, groups))
    np.testing.assert_allclose(first, second, rtol=1e-12)


def test_missing_values_are_left_out_column_by_column():
    rng = np.random.default_rng(4)
    values, groups = rng.normal(size=(12, 3)), np.repeat(list("abcdef"), 2)
    holes = values.copy()
    holes[0:2, 1] = np.nan  # image a is missing for method 1
    holes[:, 2] = np.inf
    low, high = bootstrap_interval(holes, groups)
    without = bootstrap_interval(values[2:, [1]], groups[2:])
    assert (low[0], high[0]) == tuple(end[0] for end in bootstrap_interval(values[:, [0]], groups))
    assert (low[1], high[1]) == (without[0][0], without[1][0])
    assert np.isnan([low[2], high[2]]).all()


def test_one_image_gives_no_interval():
    assert np.isnan(bootstrap_interval(np.arange(6.0)[:, None], ["a"] * 6)).all()


def test_large_sets_go_through_in_chunks():
    values = np.random.default_rng(5).normal(size=(20_000, 1))
    low, high = bootstrap_interval(values, np.arange(20_000), draws=1000)
    assert high[0] - low[0] == pytest.approx(2 * 1.96 / np.sqrt(20_000), rel=0.1)


def test_memory_does_not_grow_with_the_images():
    rng = np.random.default_rng(0)
    peaks = []
    for count in (500, 4000):
        values, groups = rng.normal(size=(count, 2)), np.arange(count)
        tracemalloc.start()
        try:
            bootstrap_interval(values, groups)
            sign_flip_test(values, groups)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert max(peaks) < 20 * 2**20


def test_coverage_that_the_docstring_states():
    rng = np.random.default_rng(6)
    hits = {}
    for groups in (4, 40):
        low, high = bootstrap_interval(rng.normal(size=(groups, 2000)), np.arange(groups), draws=2000)
        hits[groups] = np.mean((low <= 0) & (high >= 0))
    assert 0.74 < hits[4] < 0.86
    assert 0.92 < hits[40] < 0.96


def test_interval_of_a_value_of_a_set_is_students_for_a_mean():
    values = np.random.default_rng(20).gamma(2.0, size=24)
    influences = (values - values.mean()) / 24
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    low, high = jackknife_interval(values.mean(), influences, np.arange(24))
    assert (low, high) == pytest.approx((theirs.low, theirs.high), rel=1e-12)
    groups = np.repeat(list("abcdefgh"), 3)  # equal groups: the interval of the mean of the groups' means
    theirs = stats.ttest_1samp(values.reshape(8, 3).mean(axis=1), 0).confidence_interval(0.9)
    low, high = jackknife_interval(values.mean(), influences, groups, level=0.9)
    assert (low, high) == pytest.approx((theirs.low, theirs.high), rel=1e-12)
    assert np.isnan(jackknife_interval(values.mean(), influences, ["a"] * 24)).all()


# --- tests ---


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9), st.data())
@settings(max_examples=60, deadline=None)
def test_exact_test_is_brute_force(differences, data):
    groups = [data.draw(st.sampled_from("abcde")) for _ in differences]
    fast = sign_flip_test(np.array(differences, float)[:, None] * 0.1, groups)[0]
    assert fast == pytest.approx(slow_sign_flip([d * 0.1 for d in differences], groups), abs=1e-12)


def test_exact_test_is_scipys_permutation_test():
    d = np.random.default_rng(7).normal(0.4, size=11)
    theirs = stats.permutation_test((d,), np.sum, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_test(d[:, None], np.arange(11))[0] == pytest.approx(theirs.pvalue, abs=1e-12)


@pytest.mark.parametrize("num_groups", [1, 2, 4, 6, 16])
def test_smallest_p_value(num_groups):
    assert sign_flip_test(np.ones((num_groups, 1)), np.arange(num_groups))[0] == 2.0 ** (1 - num_groups)


def test_no_difference_at_all_is_p_one():
    np.testing.assert_array_equal(sign_flip_test(np.zeros((4, 2)), list("abcd")), [1.0, 1.0])
    np.testing.assert_array_equal(sign_flip_test(np.zeros((40, 1)), np.arange(40)), [1.0])


def test_monte_carlo_agrees_with_the_t_test_on_many_images():
    d = np.random.default_rng(8).normal(0.15, size=(120, 1))
    p = sign_flip_test(d, np.arange(120))[0]
    assert p == pytest.approx(stats.ttest_1samp(d[:, 0], 0).pvalue, abs=0.015)
    assert p == sign_flip_test(d, np.arange(120))[0]


def test_monte_carlo_never_says_zero():
    assert sign_flip_test(np.ones((50, 1)), np.arange(50))[0] == pytest.approx(1 / 10_001)


def test_missing_pairs_are_left_out():
    d = np.array([[1.0], [np.nan], [2.0], [0.5]])
    assert sign_flip_test(d, list("abcd"))[0] == sign_flip_test(d[[0, 2, 3]], list("acd"))[0]
    assert np.isnan(sign_flip_test(np.full((4, 1), np.nan), list("abcd"))[0])


def test_a_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"must be \(N, K\) with `groups` \(N,\), got \(3,\) and \(3,\)"):
        bootstrap_interval([1.0, 2.0, 3.0], list("abc"))


def test_holm_is_the_textbook():
    # Holm 1979 by hand: 0.005 x 4, then 0.01 x 3 = 0.03, 0.03 x 2 = 0.06, 0.04 x 1 raised to 0.06
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.5, np.nan, 0.9]), [1.0, np.nan, 1.0])
    assert holm([]).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values):
    rejected, left = set(), len(p_values)
    for index in sorted(range(len(p_values)), key=p_values.__getitem__):
        if p_values[index] * left > 0.05:
            break
        rejected.add(index)
        left -= 1
    assert {index for index, p in enumerate(holm(p_values)) if p <= 0.05} == rejected


def test_fewest_groups():
    assert [fewest_groups(n) for n in (0, 1, 2, 6, 11)] == [6, 6, 7, 8, 9]


def test_a_truly_best_method_stays_in_the_bold_set():
    """Six equal methods and one worse: each of the six is rejected in at most about 5 % of 1,500 benchmarks."""
    rng = np.random.default_rng(9)
    lost = np.zeros(6)
    for _ in range(1500):
        values = rng.normal(size=(10, 7)) + np.array([0, 0, 0, 0, 0, 0, -2.0])
        best = int(values.mean(axis=0).argmax())
        p = holm(sign_flip_test(np.delete(values, best, axis=1) - values[:, [best]], np.arange(10)))
        tied = np.insert(p > 0.05, best, True)
        lost += ~tied[:6]
    assert lost.max() / 1500 < 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 1500)


def test_pairs_are_brute_force_with_holm_by_hand():
    rng = np.random.default_rng(21)
    values = rng.normal(size=(20, 4)) + np.array([0.0, 0.1, 1.5, 3.0])
    groups = np.repeat([f"i{n}" for n in range(10)], 2)
    found = all_pairs(values, groups, higher_is_better=True)
    assert [pair[:2] for pair in found] == list(itertools.combinations(range(4), 2))
    raw = [slow_sign_flip(values[:, i] - values[:, j], groups) for i, j, *_ in found]
    adjusted, highest = {}, 0.0
    for rank, at in enumerate(np.argsort(raw, kind="stable")):
        highest = max(highest, min(1.0, raw[at] * (6 - rank)))
        adjusted[at] = highest
    for at, pair in enumerate(found):
        difference = values[:, pair.first] - values[:, pair.second]
        assert pair.p_value == pytest.approx(adjusted[at], abs=1e-12)
        assert pair.difference == pytest.approx(difference.mean())
        assert pair.wins == (difference.reshape(10, 2).mean(axis=1) > 0).sum()
        assert (pair.n_groups, pair.ties) == (10, 0)
        assert pair.ci_low < pair.difference < pair.ci_high
        assert pair.verdict == ("" if adjusted[at] > 0.05 else "worse")  # later columns are better
    assert {pair.verdict for pair in found} == {"", "worse"}


def test_pairs_by_a_metric_for_which_lower_is_better_and_with_gaps():
    values = np.array([[1.0, 2.0, 2.0]] * 9)
    values[0, 0] = values[1, 1] = np.nan
    values[:, 2] = np.where(np.arange(9) < 3, 2.0, 5.0)
    first, second, third = all_pairs(values, np.arange(9).astype(str), higher_is_better=False)
    assert (first.n_groups, first.wins, first.verdict) == (7, 7, "better")
    assert (second.n_groups, second.wins, second.ties) == (8, 8, 0)
    assert (third.n_groups, third.wins, third.ties, third.difference) == (8, 6, 2, pytest.approx(-2.25))
    assert all_pairs(np.full((3, 2), np.nan), np.array(list("abc")), True) == []


def test_many_pairs_of_many_images_can_be_significant():
    values = np.random.default_rng(22).normal(size=(20, 33)) * 0.01 + np.arange(33)
    pairs = all_pairs(values, np.arange(20).astype(str), True)
    assert len(pairs) == 528  # more than 10,000 sign patterns allow
    assert all(pair.verdict == "worse" for pair in pairs)


# --- summaries ---


def long_form(values, *, metric="psnr", dataset="images", mask="thin", groups=None):
    """Convert (images, methods) values to the columns of results.parquet."""
    return pd.DataFrame(
        [
            (f"m{m}", dataset, mask, f"i{i}", metric, value, groups[i] if groups else f"i{i}", 0.25)
            for m, column in enumerate(np.asarray(values, float).T)
            for i, value in enumerate(column)
        ],
        columns=list(RESULT_COLUMNS),
    )


def table_of(*args):
    return summarize(*args).table


def test_a_table_by_hand():
    rng = np.random.default_rng(10)
    base = rng.normal(25, 4, size=10)
    values = np.stack([base, base + 1 + 0.1 * rng.normal(size=10), base + 1 + 0.1 * rng.normal(size=10)], axis=1)
    table = table_of(long_form(values), {"psnr": True}).set_index("method")
    assert list(table_of(long_form(values), {"psnr": True}).columns) == list(SUMMARY_COLUMNS)
    np.testing.assert_allclose(table["mean"], values.mean(axis=0))
    best = int(values.mean(axis=0).argmax())
    assert table.loc[f"m{best}", "rank"] == 1
    assert np.isnan(table.loc[f"m{best}", "p_value"])
    assert table.loc["m0", "rank"] == 3
    assert table.loc["m0", "p_value"] == 2 * 2.0**-9  # all ten lower, times two comparisons
    assert table["tied_with_best"].tolist() == [False, True, True]
    assert (table["ci_low"] < table["mean"]).all()
    assert (table["ci_high"] > table["mean"]).all()
    assert table["n_images"].tolist() == [10] * 3


def test_methods_that_cannot_be_told_apart_share_a_rank():
    rng = np.random.default_rng(19)
    base = rng.normal(25, 4, size=12)
    noise = 0.1 * rng.normal(size=(12, 5))
    values = base[:, None] + np.array([3.0, 3.0, 2.0, 2.0, 0.0]) + noise
    values[:, 4] += 9 * noise[:, 0]  # varies, but is always worse
    found = summarize(long_form(values), {"psnr": True})
    assert found.table["shared_rank"].tolist() == [1, 1, 3, 3, 5]
    assert found.table["tied_with_best"].tolist() == [True, True, False, False, False]
    assert list(found.pairs.columns) == list(PAIR_COLUMNS)
    assert len(found.pairs) == 10
    row = found.pairs.iloc[1]
    assert (row["method"], row["other"], row["wins"], row["verdict"]) == ("m0", "m2", 12, "better")
    few = table_of(long_form(values[:5]), {"psnr": True})  # five images: nothing can be rejected
    assert few["shared_rank"].tolist() == [1] * 5


def test_direction_turns_the_ranking():
    values = [[1.0, 2.0, 2.0, np.nan]] * 8
    assert table_of(long_form(values), {"psnr": True})["rank"].tolist() == [3, 1, 1, pd.NA]
    down = table_of(long_form(values), {"psnr": False})
    assert down["rank"].tolist() == [1, 2, 2, pd.NA]
    assert down["tied_with_best"].tolist() == [True, False, False, pd.NA]


def test_four_images_separate_nothing():
    values = np.array([[10.0, 40.0], [12.0, 42.0], [11.0, 39.0], [9.0, 41.0]])
    table = table_of(long_form(values), {"psnr": True})
    assert table["p_value"].tolist()[0] == 0.125
    assert table["tied_with_best"].all()


def test_crops_count_as_one_image():
    values = np.random.default_rng(11).normal(size=(24, 2)) + np.array([0, 3])
    table = table_of(long_form(values, groups=[f"p{i // 6}" for i in range(24)]), {"psnr": True})
    assert table["n_groups"].tolist() == [4, 4]
    assert table["n_images"].tolist() == [24, 24]
    assert table["tied_with_best"].all()  # 24 crops of 4 images are still too few


def test_nan_is_counted_and_left_out():
    values = np.random.default_rng(12).normal(size=(8, 2))
    values[3, 1], values[4, 1] = np.nan, np.inf
    row = table_of(long_form(values), {"psnr": True}).iloc[1]
    assert (row["n_images"], row["n_groups"], row["n_nan"]) == (6, 6, 2)
    assert row["mean"] == pytest.approx(np.delete(values[:, 1], [3, 4]).mean())


def test_a_method_without_some_images_has_fewer_not_nan():
    results = long_form(np.random.default_rng(13).normal(size=(8, 2)))
    row = table_of(results.drop(index=[8, 9]), {"psnr": True}).iloc[1]
    assert (row["n_images"], row["n_nan"]) == (6, 0)


def test_values_of_a_whole_set_have_a_rank_a_given_interval_and_no_test():
    results = long_form(np.random.default_rng(14).normal(size=(8, 2)))
    whole = pd.DataFrame(
        [(f"m{m}", "images", "thin", None, "fid", value, None, None) for m, value in enumerate([30.0, 20.0])],
        columns=list(RESULT_COLUMNS),
    )
    directions = {"psnr": True, "fid": False}
    table = table_of(pd.concat([results, whole.astype(results.dtypes)]), directions)
    fid = table[table["metric"] == "fid"]
    assert fid["rank"].tolist() == [2, 1]
    assert fid["tied_with_best"].isna().all()
    assert fid["shared_rank"].isna().all()
    assert fid[["ci_low", "ci_high", "p_value"]].isna().all(axis=None)
    assert fid["n_images"].tolist() == [8, 8]
    known = {("m1", "images", "thin", "fid"): (15.0, 26.0)}
    given = table_of(pd.concat([results, whole.astype(results.dtypes)]), directions, known)
    assert given[given["metric"] == "fid"]["ci_high"].tolist()[1] == 26.0
    assert given.drop(columns=["ci_low", "ci_high"]).equals(table.drop(columns=["ci_low", "ci_high"]))
    alone = table_of(whole, directions)
    assert alone["mean"].tolist() == [30.0, 20.0]
    assert alone["n_images"].isna().all()


def test_tables_do_not_touch_each_other():
    one = long_form(np.random.default_rng(15).normal(size=(9, 3)))
    other = long_form(np.random.default_rng(16).normal(size=(9, 3)), mask="thick")
    third = long_form(np.random.default_rng(17).normal(size=(9, 3)), metric="l1")
    directions = {"psnr": True, "l1": False}
    together = table_of(pd.concat([one, other, third]), directions)
    for part in (one, other, third):
        mine = table_of(part, directions)
        same = together.merge(mine[["dataset", "mask", "metric", "method"]]).reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, same)


def test_bad_results_are_refused():
    results = long_form(np.zeros((3, 2)))
    with pytest.raises(ZooError, match=r"lacks the column\(s\) group"):
        table_of(results.drop(columns="group"), {"psnr": True})
    with pytest.raises(ZooError, match=r"Unknown metric 'psnr'\. Did you mean 'psnr_hole'"):
        table_of(results, {"psnr_hole": True})
    with pytest.raises(ZooError, match="two values for method 'm0', dataset 'images'"):
        table_of(pd.concat([results, results]), {"psnr": True})


def test_an_empty_result_is_an_empty_summary():
    table = table_of(long_form(np.zeros((0, 0))), {})
    assert table.empty
    assert list(table.columns) == list(SUMMARY_COLUMNS)
