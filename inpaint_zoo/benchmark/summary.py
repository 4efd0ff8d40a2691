"""Aggregate values per image into table entries: means, intervals, ranks, and which ranks are significant.

A *table* is one (dataset, mask set, metric): methods compared on the same images with the same masks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from inpaint_zoo.benchmark.statistics import ALPHA, bootstrap_interval, holm, sign_flip_test
from inpaint_zoo.errors import ZooError, unknown_name

__all__ = ["RESULT_COLUMNS", "SUMMARY_COLUMNS", "summarize"]

RESULT_COLUMNS = ("method", "dataset", "mask", "image", "metric", "value", "group", "hole_ratio")
SUMMARY_COLUMNS = (
    "dataset",
    "mask",
    "metric",
    "method",
    "n_images",
    "n_groups",
    "mean",
    "ci_low",
    "ci_high",
    "rank",
    "p_value",
    "tied_with_best",
    "n_nan",
)

Floats = NDArray[np.float64]
Strings = NDArray[np.str_]
Whole = NDArray[np.int64]
Row = dict[str, object]


def summarize(results: pd.DataFrame, directions: Mapping[str, bool]) -> pd.DataFrame:
    """Summarize every table of ``results``; methods and metrics keep the order of their first appearance.

    Args:
        results: RESULT_COLUMNS in long form. Rows without an image are values of a whole set (FID, KID).
        directions: For each metric, whether higher is better.

    Returns:
        SUMMARY_COLUMNS, one row per (dataset, mask, metric, method):
        n_images, n_groups: numbers of images and of source images with a finite value. For a value of a whole set: the
            method's images in that table if other metrics name them, else missing.
        mean: mean over images (not over source images); non-finite values are left out and counted in n_nan.
        ci_low, ci_high: 95 % cluster-bootstrap interval; NaN for a value of a whole set and for fewer than two source
            images.
        rank: 1 is best; equal means share a rank; missing if there is no mean.
        p_value: Holm-adjusted, paired against the method of rank 1; NaN for that method and where nothing was tested.
        tied_with_best: True for the best method and for all that the test does not reject at 0.05; missing (NA) where
            there is no test: values of a whole set, and methods without a mean.

    Raises:
        ZooError: If a column is missing, a metric has no direction, or a value appears twice.
    """
    missing = [column for column in RESULT_COLUMNS if column not in results.columns]
    if missing:
        raise ZooError(f"`results` lacks the column(s) {', '.join(missing)}; it has {', '.join(results.columns)}.")
    for metric in results["metric"].unique():
        if metric not in directions:
            raise unknown_name(
                "metric", metric, directions, "`directions` must say for each metric if higher is better."
            )
    keys = ["method", "dataset", "mask", "image", "metric"]
    repeated = results.duplicated(keys)
    if repeated.any():
        row = results.loc[repeated, keys].iloc[0]
        raise ZooError(f"`results` contains two values for {', '.join(f'{key} {row[key]!r}' for key in keys)}.")
    whole = _Rows.of(results)
    datasets, masks = (pd.factorize(results[key]) for key in ("dataset", "mask"))
    pair_of, pairs = pd.factorize(datasets[0] * max(len(masks[1]), 1) + masks[0])
    order = np.argsort(pair_of, kind="stable")  # one sort instead of a comparison of all rows for every pair
    ends = np.searchsorted(pair_of[order], np.arange(1, len(pairs)))
    rows: list[Row] = []
    for pair, at in zip(pairs, np.split(order, ends) if len(pairs) else (), strict=True):
        dataset, mask = divmod(int(pair), len(masks[1]))
        rows += _summarize_pair(str(datasets[1][dataset]), str(masks[1][mask]), whole.take(at), directions)
    table = pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))
    return table.astype({"n_images": "Int64", "n_groups": "Int64", "rank": "Int64", "tied_with_best": "boolean"})


class _Rows(NamedTuple):
    """Rows of the results: numbers in place of the strings, because comparing numbers takes much less time.

    Attributes:
        image, group: Number of the image and of its source image, in order of appearance; -1 if there is none.
        metric, method: Number of the name in ``metrics`` and ``methods``.
        value: The values; NaN if they are not finite.
        metrics, methods: The names, in order of appearance.
        groups: The labels of the source images.
    """

    image: Whole
    group: Whole
    metric: Whole
    method: Whole
    value: Floats
    metrics: list[str]
    methods: list[str]
    groups: Strings

    @classmethod
    def of(cls, results: pd.DataFrame) -> _Rows:
        image, _ = pd.factorize(results["image"])
        group, groups = pd.factorize(results["group"])
        metric, metrics = pd.factorize(results["metric"])
        method, methods = pd.factorize(results["method"])
        value = results["value"].to_numpy(dtype=np.float64, na_value=np.nan)
        labels = np.array([*map(str, groups), "nan"])  # the last one is that of -1
        names = (list(map(str, metrics)), list(map(str, methods)))
        return cls(image, group, metric, method, np.where(np.isfinite(value), value, np.nan), *names, labels)

    def take(self, at: Whole | NDArray[np.bool_]) -> _Rows:
        """Return some of the rows, by number or by a mask."""
        return self._replace(
            **{name: getattr(self, name)[at] for name in ("image", "group", "metric", "method", "value")}
        )


def _summarize_pair(dataset: str, mask: str, part: _Rows, directions: Mapping[str, bool]) -> list[Row]:
    """Return the rows of all metrics of one (dataset, mask set); all share the same resampled source images."""
    per_image, whole_set = part.take(part.image >= 0), part.take(part.image < 0)
    values, groups, columns = _wide(per_image)
    intervals = bootstrap_interval(values, groups)
    rows: list[Row] = []
    for number in dict.fromkeys(part.metric.tolist()):
        metric = part.metrics[number]
        at = [index for index, column in enumerate(columns) if column[0] == metric]
        entries = [_image_entry(columns[index], values[:, index], groups, intervals, index) for index in at]
        entries += _set_entries(whole_set.take(whole_set.metric == number), per_image)
        ranks = _ranks([float(str(entry["mean"])) for entry in entries], directions[metric])
        p_values, tied = _compare(values[:, at], groups, ranks[: len(at)])
        for index, entry in enumerate(entries):
            tested = index < len(at)
            entry |= {"dataset": dataset, "mask": mask, "metric": metric, "rank": ranks[index]}
            entry |= {
                "p_value": p_values[index] if tested else np.nan,
                "tied_with_best": tied[index] if tested else None,
            }
        rows += entries
    return rows


def _image_entry(
    column: tuple[str, str, int], values: Floats, groups: Strings, intervals: tuple[Floats, Floats], index: int
) -> Row:
    """Return mean and interval of one method for a per-image metric."""
    finite = np.isfinite(values)
    return {
        "method": column[1],
        "n_images": int(finite.sum()),
        "n_groups": len(np.unique(groups[finite])),
        "mean": values[finite].mean() if finite.any() else np.nan,
        "ci_low": intervals[0][index],
        "ci_high": intervals[1][index],
        "n_nan": column[2] - int(finite.sum()),
    }


def _set_entries(rows: _Rows, per_image: _Rows) -> list[Row]:
    """Return entries for values of a whole set: without interval; the images are those that other metrics name."""
    entries: list[Row] = []
    for method, value in zip(rows.method, rows.value, strict=True):
        seen = per_image.take(per_image.method == method)
        images, groups = (len(np.unique(codes[codes >= 0])) for codes in (seen.image, seen.group))
        counted = {"n_images": images, "n_groups": groups} if len(seen.image) else {"n_images": None, "n_groups": None}
        nothing = {"ci_low": np.nan, "ci_high": np.nan, "n_nan": int(np.isnan(value))}
        entries.append({"method": rows.methods[method], **counted, "mean": value, **nothing})
    return entries


def _wide(per_image: _Rows) -> tuple[Floats, Strings, list[tuple[str, str, int]]]:
    """Convert from long form to (images, columns): return values (NaN = missing), the group of each image, the columns.

    A column is (metric, method, number of its rows in the long form).
    """
    image_of, images = pd.factorize(per_image.image)
    column_of, columns = pd.factorize(per_image.metric * len(per_image.methods) + per_image.method)
    values = np.full((len(images), len(columns)), np.nan)
    values[image_of, column_of] = per_image.value
    groups = np.zeros(len(images), dtype=per_image.groups.dtype)
    groups[image_of] = per_image.groups[per_image.group]
    counts = np.bincount(column_of, minlength=len(columns))
    pairs = (divmod(int(column), len(per_image.methods)) for column in columns)
    names = [(per_image.metrics[metric], per_image.methods[method]) for metric, method in pairs]
    return values, groups, [(*pair, int(n)) for pair, n in zip(names, counts, strict=True)]


def _ranks(means: list[float], higher_is_better: bool) -> list[int | None]:
    """Return the ranks: 1 is best, equal means share the smaller rank; None without a mean."""
    keys = [-mean if higher_is_better else mean for mean in means]
    return [None if np.isnan(key) else 1 + sum(other < key for other in keys) for key in keys]


def _compare(values: Floats, groups: Strings, ranks: list[int | None]) -> tuple[Floats, list[bool | None]]:
    """Return Holm-adjusted p-values against the first method of rank 1, and which methods are tied with it."""
    p_values = np.full(len(ranks), np.nan)
    if 1 not in ranks:
        return p_values, [None] * len(ranks)
    best = ranks.index(1)
    rivals = [at for at, rank in enumerate(ranks) if rank is not None and at != best]
    if rivals:
        p_values[rivals] = holm(sign_flip_test(values[:, rivals] - values[:, [best]], groups))
    tied = [None if rank is None else at == best or not p_values[at] <= ALPHA for at, rank in enumerate(ranks)]
    return p_values, tied
