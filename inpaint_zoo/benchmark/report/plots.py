"""Select the points of the plots: quality against hole ratio, and quality against time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup

from inpaint_zoo.analysis.cost import pool
from inpaint_zoo.benchmark.report.charts import SIZES, Mark, Series, scatter, trend
from inpaint_zoo.benchmark.report.run_folder import Run
from inpaint_zoo.benchmark.report.typography import DASH, decimal
from inpaint_zoo.metrics import MetricInfo

__all__ = ["HoleTrend", "Plot", "hole_plots", "hole_trends", "median_milliseconds", "time_plots"]

DOTS = 600  # maximum number of dots in one plot over all methods; the trend always uses every image
BIN = 0.1  # width of the hole-ratio bins


@dataclass(frozen=True)
class Plot:
    """One figure.

    Attributes:
        dataset: Label of the dataset.
        info: The metric on the y axis.
        drawings: The SVG for a wide and a narrow screen; empty if there is nothing to draw.
        notes: What the plot does not show, and why.
        header, numbers: The same content as an accessible table; numbers[0] is a method's label.
    """

    dataset: str
    info: MetricInfo
    drawings: tuple[Markup, ...]
    notes: tuple[str, ...]
    header: tuple[str, ...]
    numbers: tuple[tuple[str, ...], ...]


class HoleTrend(NamedTuple):
    """The values of one metric on one dataset, by hole ratio.

    Attributes:
        dataset: Label of the dataset.
        info: The metric.
        rows: Rows of the results with a finite value, and the column `bin`, the number of the hole ratio's bin.
    """

    dataset: str
    info: MetricInfo
    rows: pd.DataFrame

    def means(self, method: str) -> pd.DataFrame:
        """Return the mean `hole_ratio` and `value` of a method in each bin that contains some of its images."""
        mine = self.rows[self.rows["method"] == method]
        return mine.groupby("bin")[["hole_ratio", "value"]].mean()


def hole_trends(run: Run) -> Iterator[HoleTrend]:
    """Yield the values of every per-image metric on every dataset; the deblurring mask sets are excluded."""
    results = run.results
    shown = ~results["mask"].isin(run.deblurring) & results["image"].notna() & np.isfinite(results["value"])
    rows = results.loc[shown & results["hole_ratio"].notna(), ["dataset", "metric", "method", "value", "hole_ratio"]]
    rows["bin"] = (rows["hole_ratio"] / BIN + 1e-9).astype(int).clip(upper=round(1 / BIN) - 1)
    parts = dict(list(rows.groupby(["dataset", "metric"], sort=False)))
    for dataset in run.datasets:
        for name, info in run.infos.items():
            if info.per_image and (dataset, name) in parts:
                yield HoleTrend(dataset, info, parts[dataset, name])


def hole_plots(run: Run) -> list[Plot]:
    """Plot the value of each image against its hole ratio, with the mean of each bin, for every per-image metric.

    The deblurring mask sets are excluded.
    """
    return [_hole_plot(run, found) for found in hole_trends(run)]


def _hole_plot(run: Run, found: HoleTrend) -> Plot:
    dataset, info, rows = found
    bins = sorted(rows["bin"].unique())
    stride = -(-len(rows) // DOTS)
    parts = dict(list(rows.groupby("method", sort=False)[["bin", "hole_ratio", "value"]]))
    series, numbers = [], []
    for index, method in enumerate(run.methods):
        mine = parts.get(method)
        if mine is None:
            continue
        means = found.means(method)
        dots = mine.iloc[::stride]
        series.append(
            Series(
                name=method,
                index=index,
                dots=list(zip(dots["hole_ratio"], dots["value"], strict=True)),
                line=list(zip(means["hole_ratio"], means["value"], strict=True)),
            )
        )
        texts = (decimal(means["value"][at], info.digits) if at in means.index else DASH for at in bins)
        numbers.append((method, *texts))
    label = f"{info.title}{f', {info.unit}' if info.unit else ''}"
    title = f"{info.title} against hole ratio on {dataset}; the same numbers are in the table below."
    return Plot(
        dataset=dataset,
        info=info,
        drawings=tuple(trend(series, size, x_label="hole ratio", y_label=label, title=title) for size in SIZES),
        notes=(f"Dots: every {stride}th image.",) if stride > 1 else (),
        header=("hole ratio", *(f"{100 * BIN * at:.0f}{DASH}{100 * BIN * (at + 1):.0f} %" for at in bins)),
        numbers=tuple(numbers),
    )


def median_milliseconds(run: Run, dataset: str) -> dict[str, float]:
    """Return the median milliseconds per image of each method on a dataset, over all mask sets, if it has times."""
    rows = run.timings[(run.timings["dataset"] == dataset) & (run.timings["seconds"] > 0)]
    return {str(method): 1000 * float(value) for method, value in rows.groupby("method")["seconds"].median().items()}


def latencies(run: Run, dataset: str) -> dict[str, float]:
    """Return the mean milliseconds for one image of a dataset, completed alone, for methods that have a latency.

    The mean is over the cells that `time_plots` averages and that ran on the device of the last run.
    """
    device = run.provenance.get("environment", {}).get("device")
    cells: dict[str, list[dict[str, Any]]] = {}
    for (method, place, mask), costs in run.costs.items():
        if place == dataset and mask not in run.deblurring and costs["device"] == device:
            cells.setdefault(method, []).append(costs)
    return {method: pool(costs)["latency_ms"] for method, costs in cells.items()}


def time_plots(run: Run) -> list[Plot]:
    """Plot the mean over the mask sets, without the deblurring ones, against the time per image, for every metric.

    The time is the latency measured alone or, if no method has one, the median in the run.
    """
    plots = []
    for dataset in run.datasets:
        alone = latencies(run, dataset)
        times = alone or median_milliseconds(run, dataset)
        x_label = "mean latency of one image, ms" if alone else "median time per image in this run, ms"
        for name, info in run.infos.items():
            plot = _time_plot(run, dataset, name, info, times, x_label)
            if plot is not None:
                plots.append(plot)
    return plots


def _time_plot(
    run: Run, dataset: str, name: str, info: MetricInfo, times: dict[str, float], x_label: str
) -> Plot | None:
    found: dict[str, list[float]] = {}
    masks = [mask for place, mask in run.tables if place == dataset and mask not in run.deblurring]
    scored = [
        [row for row in run.summary_rows.get((dataset, mask, name), ()) if not pd.isna(row["mean"])] for mask in masks
    ]
    for row in chain.from_iterable(scored):
        found.setdefault(row["method"], []).append(row["mean"])
    wanted = max(sum(map(bool, scored)), 1)
    marks, partial, untimed = [], [], []
    for index, method in enumerate(run.methods):
        means = found.get(method, [])
        if len(means) < wanted:
            partial.append(method)
        elif method not in times:
            untimed.append(method)
        else:
            marks.append(Mark(method, index, times[method], fmean(means)))
    if not marks:
        return None
    notes = []
    if partial:
        notes.append(f"Not shown, because a mask set is missing: {', '.join(partial)}.")
    if untimed:
        notes.append(f"Not shown, because no time was measured: {', '.join(untimed)}.")
    y_label = f"{info.title}{f', {info.unit}' if info.unit else ''}"
    title = f"{info.title} against time per image on {dataset}; the same numbers are in the table below."
    better = info.higher_is_better
    return Plot(
        dataset=dataset,
        info=info,
        drawings=tuple(
            scatter(marks, size, x_label=x_label, y_label=y_label, title=title, higher_is_better=better)
            for size in SIZES
        ),
        notes=tuple(notes),
        header=("method", x_label, info.title),
        numbers=tuple((mark.name, f"{mark.x:.3g}", decimal(mark.y, info.digits)) for mark in marks),
    )
