"""The content of a run folder that is published, one record for each method.

A record depends on its own method only, so that it stays the same when methods are added. It contains what the report
contains: means with intervals, the trend of each metric over the hole ratio, costs, and the images that were kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import stdev
from typing import Any, NamedTuple

import pandas as pd

from inpaint_zoo.benchmark.publish.config import method_config, networks_of
from inpaint_zoo.benchmark.publish.images import ImageRow, image_rows
from inpaint_zoo.benchmark.publish.names import legal_names
from inpaint_zoo.benchmark.report.costs import method_costs
from inpaint_zoo.benchmark.report.notes import doubts
from inpaint_zoo.benchmark.report.plots import hole_trends
from inpaint_zoo.benchmark.report.run_folder import Run
from inpaint_zoo.io.atomic import sha256_json

__all__ = ["CHECKPOINTS", "CURVES", "IMAGES", "RESULTS", "Content", "Curve", "Record", "read_content"]

CURVES, CHECKPOINTS, COST, FIGURES, IMAGES, RESULTS = "curves", "checkpoints", "cost", "figures", "images", "results"
SECTIONS = (CURVES, CHECKPOINTS, COST, FIGURES)
"""First parts of names that are not those of datasets."""
COSTS = {
    "parameters": "parameters",
    "passes": "passes",
    "macs": "macs",
    "macs_thop": "macs_thop",
    "latency": "latency_ms",
    "memory": "peak_memory_mb",
}
"""Columns of `method_costs` -> name of the published number."""
RESULT_COLUMNS = ("dataset", "mask", "metric", "mean", "ci_low", "ci_high", "n_images", "n_groups", "draws_std")


class Curve(NamedTuple):
    """A metric as a function of something else.

    Attributes:
        name: `curves/<dataset>/<metric>` or `checkpoints/<dataset>/<mask>/<metric>`.
        title: Text for readers.
        x: "hole_ratio" or "training_step".
        y: Name of the metric.
        points: The (x, y) pairs, in order.
    """

    name: str
    title: str
    x: str
    y: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Record:
    """What is published about one method.

    Attributes:
        label: Label of the method.
        name: Its name in file names.
        tags: Short words to filter by.
        notes: Sentences about what is missing.
        config: How the numbers were computed, as plain values; the keys are the same for every method.
        numbers: Name -> number. The mean of a cell is `<dataset>/<mask>/<metric>`; the first two are `legal_names`.
        results: Rows of RESULT_COLUMNS: the means with their intervals.
        curves: Curves over the hole ratio and over the training step.
        images: The images that were kept, at most `images.MOST_ROWS`.
    """

    label: str
    name: str
    tags: tuple[str, ...]
    notes: tuple[str, ...]
    config: dict[str, Any]
    numbers: dict[str, float]
    results: tuple[tuple[Any, ...], ...]
    curves: tuple[Curve, ...]
    images: tuple[ImageRow, ...]

    @cached_property
    def digest(self) -> str:
        """Hash of the whole content."""
        images = [[row.dataset, row.mask, row.image, row.cell, row.scores] for row in self.images]
        return sha256_json(
            [self.label, self.tags, self.notes, self.config, self.numbers, self.results, self.curves, images]
        )


@dataclass(frozen=True)
class Content:
    """What is published about a run.

    Attributes:
        suite: Name of the suite; it says so if the run is a rehearsal.
        records: The methods of which a cell was run or a cost was measured.
        left_out: Labels of the other methods.
        image_metrics: Names of the metrics in `ImageRow.scores`, in suite order.
    """

    suite: str
    records: tuple[Record, ...]
    left_out: tuple[str, ...]
    image_metrics: tuple[str, ...]


def read_content(run: Run) -> Content:
    """Return what is published about a run."""
    data = legal_names(run.datasets, "data_", SECTIONS)
    masks = legal_names(dict.fromkeys(mask for _, mask in run.tables))
    methods = legal_names(run.methods)
    images = image_rows(run)
    curves: dict[str, list[Curve]] = {label: [] for label in run.methods}
    for label, curve in (*_hole_curves(run, data), *_checkpoint_curves(run, data, masks)):
        curves[label].append(curve)
    tried = {cell[0] for cell in run.cells} | set(run.figures.get("methods", ()))
    published = [label for label in run.methods if not tried.isdisjoint({label, *networks_of(run, label)})]
    records = []
    for label in published:
        numbers, results = _means(run, label, data, masks)
        records.append(
            Record(
                label=label,
                name=methods[label],
                tags=_tags(run, label),
                notes=tuple(_notes(run, label, len(images.rows[label]), images.kept)),
                config=method_config(run, label, data, masks),
                numbers=numbers | _costs(run, label),
                results=results,
                curves=tuple(curves[label]),
                images=images.rows[label],
            )
        )
    return Content(
        suite=f"{run.suite['name']} (rehearsal)" if run.stamp else str(run.suite["name"]),
        records=tuple(records),
        left_out=tuple(label for label in run.methods if label not in published),
        image_metrics=tuple(name for name, info in run.infos.items() if info.per_image),
    )


def _tags(run: Run, label: str) -> tuple[str, ...]:
    lacking = [reason for cell, reason in run.missing.items() if cell[0] == label]
    complete = all(reason.startswith("not applicable") for reason in lacking)
    marks = [("rehearsal", bool(run.stamp)), ("incomplete", not complete)]
    return ("benchmark", *(mark for mark, holds in marks if holds))


def _notes(run: Run, label: str, shown: int, kept: int) -> Iterator[str]:
    if run.stamp:
        yield run.stamp
    yield f"{label} in the suite {run.suite['name']}, seed {run.suite['seed']}."
    for (method, dataset, mask), reason in run.missing.items():
        if method == label:
            yield f"No numbers on {dataset}, {mask}: {reason}."
    for cell, sentence in run.incomplete.items():
        if cell[0] == label:
            yield f"{cell[1]}, {cell[2]}: {sentence}."
    for note in doubts(run).get(label, ()):
        yield f"{note}."
    if shown < kept:
        yield f"{shown} of the {kept} kept images are shown."


def _means(
    run: Run, label: str, data: Mapping[str, str], masks: Mapping[str, str]
) -> tuple[dict[str, float], tuple[tuple[Any, ...], ...]]:
    """Return the means of all cells by name, and the rows of the table of results."""
    rows = run.summary[(run.summary["method"] == label) & run.summary["mean"].notna()]
    numbers, results = {}, []
    for row in rows.to_dict("records"):
        dataset, mask, metric = row["dataset"], row["mask"], row["metric"]
        numbers[f"{data[dataset]}/{masks[mask]}/{metric}"] = float(row["mean"])
        draws = run.draws_of(label, dataset, mask, metric)
        values = [row[column] for column in RESULT_COLUMNS[3:-1]]
        spread = stdev(draws) if len(draws) > 1 else None
        results.append(
            (dataset, mask, metric, *(None if pd.isna(value) else value for value in values), spread),
        )
    return numbers, tuple(results)


def _costs(run: Run, label: str) -> dict[str, float]:
    """Return the costs of a method on the device of the last run, and the figures of the suite's `costs`."""
    rows = [row for row in method_costs(run) if row["method"] == label]
    here = run.provenance.get("environment", {}).get("device")
    row = next((row for row in rows if row["device"] == here), rows[0])
    costs = {f"{COST}/{name}": row[column].value for column, name in COSTS.items()}
    figures = run.figures.get("methods", {}).get(label, {}).get("figures", {})
    costs |= {f"{FIGURES}/{name}": value for name, value in figures.items()}
    return {name: float(value) for name, value in costs.items() if value is not None and math.isfinite(value)}


def _hole_curves(run: Run, data: Mapping[str, str]) -> Iterator[tuple[str, Curve]]:
    for trend in hole_trends(run):
        title = f"{trend.info.title} against hole ratio on {trend.dataset}"
        for label in run.methods:
            means = trend.means(label)
            if len(means):
                points = tuple(zip(means["hole_ratio"].tolist(), means["value"].tolist(), strict=True))
                name = f"{CURVES}/{data[trend.dataset]}/{trend.info.name}"
                yield label, Curve(name, title, "hole_ratio", trend.info.name, points)


def _checkpoint_curves(run: Run, data: Mapping[str, str], masks: Mapping[str, str]) -> Iterator[tuple[str, Curve]]:
    for (label, dataset, mask, metric), means in run.values.items():
        if run.families[label].kind == "checkpoints":
            title = f"{run.infos[metric].title} against training step on {dataset}, {mask}"
            name = f"{CHECKPOINTS}/{data[dataset]}/{masks[mask]}/{metric}"
            yield label, Curve(name, title, "training_step", metric, tuple(sorted(means.items())))
