"""Compare two runs cell by cell: paired differences of per-image metrics, with intervals and corrected tests.

Two cells are compared if they have the same dataset, mask set and metric by content, and a method of the same label (or
a given pair of labels). The images are paired by name. Tests and intervals have the source image as their unit, as in
the tables of one run. Holm's correction extends over the compared cells of a metric, without cells whose values are all
identical: the test is conditional on the absolute differences and never rejects such a cell, so that leaving it out
does not change the error rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from inpaint_zoo.benchmark.across_runs.changes import Change, changes
from inpaint_zoo.benchmark.across_runs.obstacles import Key, cell_name, cell_of, metric_obstacle, obstacle, record_of
from inpaint_zoo.benchmark.report.run_folder import Run
from inpaint_zoo.benchmark.report.typography import DASH, decimal
from inpaint_zoo.benchmark.statistics import ALPHA, bootstrap_interval, fewest_groups, holm, sign_flip_test
from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.metrics import MetricInfo

__all__ = ["Difference", "RunDifferences", "TooFew", "compare_runs"]


@dataclass(frozen=True)
class Difference:
    """One metric of one cell in two runs.

    Attributes:
        old_method, new_method, dataset, mask: Labels.
        info: The metric.
        old, new: Means over the images that both runs have, or the values of the whole set.
        low, high: 95 % interval of the mean difference, new minus old; NaN if there is none.
        p_value: Holm-adjusted p-value; NaN if not tested.
        n_images, n_groups: Numbers of paired images and of their source images; 0 for a value of a whole set.
        n_unpaired: Number of images that only one of the runs has a finite value for.
        identical: Whether all values are equal.
    """

    old_method: str
    new_method: str
    dataset: str
    mask: str
    info: MetricInfo
    old: float
    new: float
    low: float
    high: float
    p_value: float
    n_images: int
    n_groups: int
    n_unpaired: int
    identical: bool

    @property
    def method(self) -> str:
        """Label of the method, or both labels."""
        return self.new_method if self.old_method == self.new_method else f"{self.old_method} → {self.new_method}"

    @property
    def change(self) -> float:
        """New minus old."""
        return self.new - self.old

    @property
    def worsening(self) -> float:
        """How much worse the new value is; negative if it is better."""
        return -self.change if self.info.higher_is_better else self.change

    @property
    def significant(self) -> bool:
        """Whether the corrected test rejects "no difference"."""
        return bool(self.p_value <= ALPHA)

    @property
    def verdict(self) -> str:
        """The result in words."""
        if self.identical:
            return "identical"
        if not self.info.per_image:
            return "not tested"
        if not self.significant:
            return "not significant"
        return "worse" if self.worsening > 0 else "better"

    def texts(self) -> tuple[str, str, str, str, str]:
        """Return old, new, difference, interval and p-value as printed."""
        digits = self.info.digits
        sign = "+" if self.change > 0 else ""
        interval = "" if np.isnan(self.low) else f"[{decimal(self.low, digits)}, {decimal(self.high, digits)}]"
        return (
            _text(self.old, digits),
            _text(self.new, digits),
            DASH if np.isnan(self.change) else sign + decimal(self.change, digits),
            interval,
            "" if np.isnan(self.p_value) else f"{self.p_value:.2g}",
        )


class TooFew(NamedTuple):
    """Why no difference of a metric can be significant: numbers of source images, of tests, and of images needed."""

    images: int
    tests: int
    needed: int


@dataclass(frozen=True)
class RunDifferences:
    """The comparison of two runs.

    Attributes:
        old, new: The runs.
        changes: What changed between them, apart from the numbers.
        pairs: Pairs of labels of the compared methods.
        differences: One for each compared cell and metric, in the order of the old run.
        not_compared: (old label, new label, dataset, mask set, metric) of cells that both suites list and one of the
            runs has -> why they were not compared; the metric is empty if this holds for all metrics of the cell.
    """

    old: Run
    new: Run
    changes: tuple[Change, ...]
    pairs: tuple[tuple[str, str], ...]
    differences: tuple[Difference, ...]
    not_compared: Mapping[tuple[str, str, str, str, str], str]

    @property
    def infos(self) -> dict[str, MetricInfo]:
        """The compared metrics."""
        return {each.info.name: each.info for each in self.differences}

    def of_metric(self, name: str) -> list[Difference]:
        """Return the differences of a metric."""
        return [each for each in self.differences if each.info.name == name]

    def too_few(self, name: str) -> TooFew | None:
        """Return why no corrected test of a metric can reject; None if one can, or if nothing was tested."""
        tested = [each for each in self.of_metric(name) if not np.isnan(each.p_value)]
        images, needed = max((each.n_groups for each in tested), default=0), fewest_groups(len(tested))
        return TooFew(images, len(tested), needed) if tested and images < needed else None


def compare_runs(old: Run, new: Run, methods: Mapping[str, str] | None = None) -> RunDifferences:
    """Compare two runs.

    Args:
        old: The run to compare with.
        new: The other run; it may be the same one, to compare two of its methods.
        methods: Label in the old run -> label in the new one, for methods whose labels differ. Other methods are
            compared if both runs have their label.

    Raises:
        ZooError: If a label is unknown, or nothing can be compared.
    """
    pairs = _pairs(old, new, methods or {})
    keys: list[Key] = [(*pair, *table) for table, pair in product(_shared(old.tables, new.tables), pairs)]
    not_compared: dict[tuple[str, str, str, str, str], str] = {}
    comparable: list[tuple[Key, str]] = []
    for key in keys:
        if cell_of(key, 0) in old.missing and cell_of(key, 1) in new.missing:
            continue
        reason = obstacle(old, new, key)
        if reason:
            not_compared[*key, ""] = reason
            continue
        for metric in old.infos:
            before, after = record_of(old, key, 0), record_of(new, key, 1)
            if metric not in before["provenance"]["metrics"]:
                continue
            reason = metric_obstacle(before, after, old.infos[metric])
            if reason:
                not_compared[*key, metric] = reason
            else:
                comparable.append((key, metric))
    found = _differences(old, new, comparable)
    for at in [at for at, each in found.items() if each is None]:
        not_compared[*at[0], at[1]] = "the runs have no value in common"
    differences = _corrected([each for each in found.values() if each is not None])
    if not differences:
        first = next((f"{cell_name(key)}: {reason}" for key, reason in not_compared.items()), None)
        reason = f"the first of {len(not_compared)} cells, {first}" if first else "they share no dataset and mask set"
        raise ZooError(f"{old.folder} and {new.folder} have nothing to compare: {reason}.")
    return RunDifferences(old, new, changes(old, new, pairs), pairs, tuple(differences), not_compared)


def _pairs(old: Run, new: Run, methods: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    for run, labels in ((old, methods.keys()), (new, methods.values())):
        for label in labels:
            if label not in run.methods:
                raise ZooError(f"--method: {unknown_name(f'method of {run.folder}', label, run.methods)}")
    given = set(methods.values())
    pairs = {label: methods.get(label, label) for label in old.methods}
    pairs = {
        label: other
        for label, other in pairs.items()
        if label in methods or (other in new.methods and other not in given)
    }
    if not pairs:
        raise ZooError(
            f"{old.folder} and {new.folder} have no method in common. Give --method OLD=NEW with a label of each: "
            f"{', '.join(old.methods)}; {', '.join(new.methods)}."
        )
    return tuple(pairs.items())


def _shared(old: Iterable[tuple[str, str]], new: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    other = set(new)
    return [table for table in old if table in other]


def _differences(old: Run, new: Run, comparable: list[tuple[Key, str]]) -> dict[tuple[Key, str], Difference | None]:
    """Return uncorrected differences, in the order of the old run; None where no image has a value in both runs."""
    whole = [_whole(run) for run in (old, new)]
    by_image = [_by_image(run, side, comparable) for side, run in enumerate((old, new))]
    groups = old.results.dropna(subset=["image"]).drop_duplicates(["dataset", "image"]).set_index(["dataset", "image"])
    found: dict[tuple[Key, str], Difference | None] = dict.fromkeys(comparable)
    for metric, dataset in dict.fromkeys((metric, key[2]) for key, metric in comparable):
        info = old.infos[metric]
        keys = [key for key, name in comparable if name == metric and key[2] == dataset]
        if not info.per_image:
            for key in keys:
                found[key, metric] = _of_sets(
                    key, info, *(each.get((*cell_of(key, side), metric)) for side, each in enumerate(whole))
                )
            continue
        images = [str(name) for name in groups.loc[dataset].index]
        tables = [
            np.stack([each[key, metric].reindex(images).to_numpy(dtype=np.float64) for key in keys], axis=1)
            for each in by_image
        ]
        labels = groups.loc[dataset]["group"].astype(str).to_numpy(dtype=str)
        for key, each in zip(keys, _of_images(keys, info, tables[0], tables[1], labels), strict=True):
            found[key, metric] = each
    return found


def _whole(run: Run) -> dict[tuple[str, ...], float]:
    rows = run.results[run.results["image"].isna()]
    names = ("method", "dataset", "mask", "metric")
    return dict(zip(zip(*(rows[name] for name in names), strict=True), rows["value"], strict=True))


def _by_image(run: Run, side: int, comparable: Iterable[tuple[Key, str]]) -> dict[tuple[Key, str], pd.Series]:
    """Return the values of each cell and metric by image."""
    rows = run.results[run.results["image"].notna()]
    parts = {at: part for at, part in rows.groupby(["method", "dataset", "mask", "metric"], sort=False)}  # noqa: C416
    empty = rows.iloc[:0]
    return {
        (key, metric): parts.get((*cell_of(key, side), metric), empty).set_index("image")["value"]
        for key, metric in comparable
    }


def _of_sets(key: Key, info: MetricInfo, old: float | None, new: float | None) -> Difference | None:
    """Return the difference of two values of a whole set, which have no paired test."""
    if old is None or new is None:
        return None
    nan = float("nan")
    return Difference(*key, info, float(old), float(new), nan, nan, nan, 0, 0, 0, bool(old == new))


def _of_images(
    keys: list[Key], info: MetricInfo, old: np.ndarray, new: np.ndarray, groups: np.ndarray
) -> list[Difference | None]:
    """Return the uncorrected differences of cells with the same images; values are (images, cells)."""
    finite = [np.isfinite(old), np.isfinite(new)]
    paired = finite[0] & finite[1]
    change = np.where(paired, new - np.where(paired, old, 0.0), np.nan)
    low, high = bootstrap_interval(change, groups)
    p_values = sign_flip_test(change, groups)
    found: list[Difference | None] = []
    for at, key in enumerate(keys):
        rows = paired[:, at]
        if not rows.any():
            found.append(None)
            continue
        identical = bool((change[rows, at] == 0).all())
        found.append(
            Difference(
                *key,
                info=info,
                old=float(old[rows, at].mean()),
                new=float(new[rows, at].mean()),
                low=float(low[at]),
                high=float(high[at]),
                p_value=float("nan") if identical else float(p_values[at]),
                n_images=int(rows.sum()),
                n_groups=len(np.unique(groups[rows])),
                n_unpaired=int((finite[0] ^ finite[1])[:, at].sum()),
                identical=identical,
            )
        )
    return found


def _corrected(differences: list[Difference]) -> list[Difference]:
    """Replace the p-values by Holm's adjusted ones over the cells of each metric."""
    corrected = list(differences)
    for metric in dict.fromkeys(each.info.name for each in differences):
        at = [index for index, each in enumerate(differences) if each.info.name == metric]
        for index, p_value in zip(at, holm([differences[index].p_value for index in at]), strict=True):
            corrected[index] = replace(differences[index], p_value=float(p_value))
    return corrected


def _text(value: float, digits: int) -> str:
    return DASH if np.isnan(value) else decimal(value, digits)
