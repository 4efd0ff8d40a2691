"""Aggregate values per image into table entries: means, intervals, ranks, and which ranks are significant.

A *table* is one (dataset, mask set, metric): methods compared on the same images with the same masks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from inpaint_zoo.benchmark.pairwise import Pair, all_pairs
from inpaint_zoo.benchmark.statistics import ALPHA, bootstrap_interval, holm, sign_flip_test
from inpaint_zoo.errors import ZooError, unknown_name

__all__ = ["PAIR_COLUMNS", "RESULT_COLUMNS", "SUMMARY_COLUMNS", "Summary", "summarize"]

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
    "shared_rank",
    "p_value",
    "tied_with_best",
    "n_nan",
)
PAIR_COLUMNS = ("dataset", "mask", "metric", "method", "other", *Pair._fields[2:])

Floats = NDArray[np.float64]
Strings = NDArray[np.str_]
Row = dict[str, object]
Intervals = Mapping[tuple[str, str, str, str], tuple[float, float]]


class Summary(NamedTuple):
    """What the values of a run say.

    Attributes:
        table: SUMMARY_COLUMNS, one row per (dataset, mask, metric, method):
            n_images, n_groups: numbers of images and of source images with a finite value. For a value of a whole set:
                the method's images in that table if other metrics name them, else missing.
            mean: mean over images (not over source images); non-finite values are left out and counted in n_nan.
            ci_low, ci_high: 95 % interval; NaN for fewer than two source images. For a mean, it is a cluster-bootstrap
                interval; for a value of a whole set, it is the given one.
            rank: 1 is best; equal means share a rank; missing if there is no mean.
            shared_rank: rank in which methods that the tests cannot tell apart are equal: 1 for the best method and all
                that are tied with it; the others are compared with the best of them in the same way, and so on.
            p_value: Holm-adjusted, paired against the method of rank 1; NaN for that method and where nothing was
                tested.
            tied_with_best: True for the best method and for all that the test does not reject at 0.05. This and
                shared_rank are missing (NA) where there is no test: values of a whole set, and methods without a mean.
        pairs: PAIR_COLUMNS, one row for each pair of methods and per-image metric of a table, see `Pair`.
    """

    table: pd.DataFrame
    pairs: pd.DataFrame


def summarize(results: pd.DataFrame, directions: Mapping[str, bool], set_intervals: Intervals | None = None) -> Summary:
    """Summarize every table of ``results``; methods and metrics keep the order of their first appearance.

    Args:
        results: RESULT_COLUMNS in long form. Rows without an image are values of a whole set (FID, KID).
        directions: For each metric, whether higher is better.
        set_intervals: (method, dataset, mask set, metric) -> interval of a value of a whole set, if it is known.

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
    if results.duplicated(keys).any():
        row = results.loc[results.duplicated(keys), keys].iloc[0]
        raise ZooError(f"`results` contains two values for {', '.join(f'{key} {row[key]!r}' for key in keys)}.")
    rows: list[Row] = []
    pairs: list[Row] = []
    for (dataset, mask), part in results.groupby(["dataset", "mask"], sort=False):
        names = {"dataset": str(dataset), "mask": str(mask)}
        for metric, entries, compared in _summarize_table(part, directions):
            for entry in entries:
                key = (str(entry["method"]), names["dataset"], names["mask"], metric)
                if set_intervals and key in set_intervals:
                    entry["ci_low"], entry["ci_high"] = set_intervals[key]
                rows.append({**names, "metric": metric, **entry})
            for pair in compared:
                methods = {"method": entries[pair.first]["method"], "other": entries[pair.second]["method"]}
                pairs.append({**names, "metric": metric, **methods, **pair._asdict()})
    whole = dict.fromkeys(("n_images", "n_groups", "rank", "shared_rank"), "Int64")
    table = pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS)).astype({**whole, "tied_with_best": "boolean"})
    return Summary(table, pd.DataFrame(pairs, columns=list(PAIR_COLUMNS)))


def _summarize_table(part: pd.DataFrame, directions: Mapping[str, bool]) -> Iterator[tuple[str, list[Row], list[Pair]]]:
    """Yield metric, entries and pairs of one (dataset, mask set); all share the same resampled source images."""
    per_image, whole_set = part[part["image"].notna()], part[part["image"].isna()]
    values, groups, columns = _wide(per_image)
    intervals = bootstrap_interval(values, groups)
    for metric in part["metric"].unique():
        at = [index for index, column in enumerate(columns) if column[0] == metric]
        entries = [_image_entry(columns[index], values[:, index], groups, intervals, index) for index in at]
        entries += _set_entries(whole_set[whole_set["metric"] == metric], per_image)
        ranks = _ranks([float(str(entry["mean"])) for entry in entries], directions[metric])
        p_values, tied, shared = _compare(values[:, at], groups, ranks[: len(at)])
        pairs = all_pairs(values[:, at], groups, directions[metric])
        for index, entry in enumerate(entries):
            tested = index < len(at)
            entry |= {
                "rank": ranks[index],
                "shared_rank": shared[index] if tested else None,
                "p_value": p_values[index] if tested else np.nan,
                "tied_with_best": tied[index] if tested else None,
            }
        yield str(metric), entries, pairs


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


def _set_entries(rows: pd.DataFrame, per_image: pd.DataFrame) -> list[Row]:
    """Return entries for values of a whole set; the images are those that other metrics name."""
    if rows.empty:
        return []
    seen = per_image.groupby("method", sort=False)[["image", "group"]].nunique()
    entries: list[Row] = []
    for method, value in zip(rows["method"], rows["value"], strict=True):
        images, groups = seen.loc[method] if method in seen.index else (None, None)
        nothing = {"ci_low": np.nan, "ci_high": np.nan, "n_nan": int(not np.isfinite(value))}
        mean = value if np.isfinite(value) else np.nan
        entries.append({"method": method, "n_images": images, "n_groups": groups, "mean": mean, **nothing})
    return entries


def _wide(per_image: pd.DataFrame) -> tuple[Floats, Strings, list[tuple[str, str, int]]]:
    """Convert from long form to (images, columns): return values (NaN = missing), the group of each image, the columns.

    A column is (metric, method, number of its rows in the long form).
    """
    image_of, images = pd.factorize(per_image["image"])
    pairs = pd.MultiIndex.from_frame(per_image[["metric", "method"]])
    column_of, columns = pd.factorize(pairs)
    values = np.full((len(images), len(columns)), np.nan)
    values[image_of, column_of] = per_image["value"].to_numpy(dtype=np.float64, na_value=np.nan)
    values[~np.isfinite(values)] = np.nan
    groups = np.empty(len(images), dtype=object)
    groups[image_of] = per_image["group"].astype(str).to_numpy(dtype=object)
    counts = np.bincount(column_of, minlength=len(columns))
    return values, groups.astype(str), [(*pair, int(n)) for pair, n in zip(columns, counts, strict=True)]


def _ranks(means: list[float], higher_is_better: bool) -> list[int | None]:
    """Return the ranks: 1 is best, equal means share the smaller rank; None without a mean."""
    keys = [-mean if higher_is_better else mean for mean in means]
    return [None if np.isnan(key) else 1 + sum(other < key for other in keys) for key in keys]


def _compare(
    values: Floats, groups: Strings, ranks: list[int | None]
) -> tuple[Floats, list[bool | None], list[int | None]]:
    """Return Holm-adjusted p-values against the first method of rank 1, which methods are tied with it, shared ranks.

    Each step compares a method with those of higher rank that no earlier step has placed, and places it together with
    those that do not differ significantly. The level of the tests holds for each step.
    """
    p_values = np.full(len(ranks), np.nan)
    shared: list[int | None] = [None] * len(ranks)
    left = [at for _, at in sorted((rank, at) for at, rank in enumerate(ranks) if rank is not None)]
    while left:
        best, rivals = left[0], left[1:]
        adjusted = holm(sign_flip_test(values[:, rivals] - values[:, [best]], groups)) if rivals else np.empty(0)
        place = 1 + sum(rank is not None for rank in shared)
        if place == 1:
            p_values[rivals] = adjusted
        different = adjusted <= ALPHA  # False for NaN
        for at in (best, *(rival for rival, differs in zip(rivals, different, strict=True) if not differs)):
            shared[at] = place
        left = [rival for rival, differs in zip(rivals, different, strict=True) if differs]
    return p_values, [None if place is None else place == 1 for place in shared], shared
