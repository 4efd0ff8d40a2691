"""Write the comparison of two runs: comparison.html (self-contained), comparison.md and comparison.csv."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from inpaint_zoo._version import __version__
from inpaint_zoo.benchmark.across_runs.differences import Difference, RunDifferences
from inpaint_zoo.benchmark.across_runs.names import distinct_names
from inpaint_zoo.benchmark.across_runs.obstacles import cell_name
from inpaint_zoo.benchmark.report.files import csv_text, environment, resource
from inpaint_zoo.benchmark.report.markdown import bullets, escape, pipe_table
from inpaint_zoo.benchmark.report.notes import count
from inpaint_zoo.benchmark.report.page import breakable
from inpaint_zoo.benchmark.report.tables import count_images, short_title
from inpaint_zoo.benchmark.report.typography import NBSP
from inpaint_zoo.io.atomic import write_bytes
from inpaint_zoo.metrics import MetricInfo

__all__ = ["HEADER", "metric_summary", "metric_title", "notes", "write_differences"]

HEADER = ("method", "dataset", "mask", "old", "new", "difference", f"95{NBSP}% interval", "p", "result")
COLUMNS = (
    "metric",
    "old_method",
    "new_method",
    "dataset",
    "mask",
    "old",
    "new",
    "difference",
    "ci_low",
    "ci_high",
    "p_value",
    "result",
    "n_images",
    "n_groups",
    "n_unpaired",
)
VERDICTS = ("worse", "better", "not significant", "not tested", "identical")


def write_differences(found: RunDifferences, out: str | Path) -> Path:
    """Write the three files to the folder ``out`` and return the path of comparison.html."""
    out = Path(out)
    write_bytes(out / "comparison.csv", csv_text(COLUMNS, _rows(found)).encode())
    write_bytes(out / "comparison.md", _markdown(found).encode())
    write_bytes(out / "comparison.html", _page(found).encode())
    return out / "comparison.html"


def metric_title(info: MetricInfo) -> str:
    """Return the title of a metric with the direction of better values."""
    return f"{short_title(info)} {'↑' if info.higher_is_better else '↓'}"


def metric_summary(found: RunDifferences, name: str) -> str:
    """Return how many cells have which result, and whether there are enough images for any."""
    cells = found.of_metric(name)
    counts = {verdict: sum(each.verdict == verdict for each in cells) for verdict in VERDICTS}
    text = ", ".join(f"{number} {verdict}" for verdict, number in counts.items() if number)
    if few := found.too_few(name):
        text += (
            f"; {count(few.images, 'source image')} too few for {count(few.tests, 'test')}, at least {few.needed} are "
            "needed"
        )
    return text


def notes(found: RunDifferences) -> list[str]:
    """Return how the numbers were computed, and what is incomplete."""
    lines = [
        "Differences are new minus old on the same images with the same masks. Brackets are "
        f"95{NBSP}% bootstrap intervals of the mean difference, which resample source images. p is that of a paired "
        "sign-flip test, corrected by Holm's method over the cells of a metric that are not identical. A cell is "
        f"better or worse if p is at most 5{NBSP}%."
    ]
    if any(not info.per_image for info in found.infos.values()):
        lines.append("Metrics of a whole set of images, such as FID, have one number per run. There is no paired test.")
    unpaired = [each for each in found.differences if each.n_unpaired]
    lines += [
        f"{each.method} on {each.dataset}, {each.mask}, {short_title(each.info)}: {count(each.n_unpaired, 'image')} "
        "with a value in only one of the runs left out."
        for each in unpaired
    ]
    return lines


def _row(each: Difference) -> tuple[str, ...]:
    return each.method, each.dataset, each.mask, *each.texts(), each.verdict


def _not_compared(found: RunDifferences) -> list[str]:
    return [f"{cell_name(key)}: {reason}" for key, reason in found.not_compared.items()]


def _rows(found: RunDifferences) -> Iterator[list[object]]:
    """Yield the rows of comparison.csv."""
    for each in found.differences:
        labels = (each.info.name, each.old_method, each.new_method, each.dataset, each.mask)
        numbers = (each.old, each.new, each.change, each.low, each.high, each.p_value)
        counts = (each.n_images, each.n_groups, each.n_unpaired)
        yield [*labels, *("" if x != x else repr(float(x)) for x in numbers), each.verdict, *counts]


def _markdown(found: RunDifferences) -> str:
    parts = [f"# {' and '.join(map(escape, distinct_names([found.old.folder, found.new.folder])))}", "## What changed"]
    rows = [[escape(each.what), escape(each.old), escape(each.new)] for each in found.changes]
    parts.append(pipe_table(("", "old", "new"), rows) if rows else "Nothing that the runs record.")
    if found.not_compared:
        parts += ["## Not compared", bullets(_not_compared(found))]
    for name, info in found.infos.items():
        parts += [f"## {escape(metric_title(info))}", escape(metric_summary(found, name)) + "."]
        cells = []
        for each in found.of_metric(name):
            row = [escape(cell) for cell in _row(each)]
            cells.append([*row[:-1], f"**{row[-1]}**" if each.significant else row[-1]])
        parts.append(pipe_table(HEADER, cells))
    parts += ["## How to read this", bullets(notes(found))]
    return "\n\n".join(parts) + "\n"


def _page(found: RunDifferences) -> str:
    templates = environment("inpaint_zoo.benchmark.across_runs")
    return templates.get_template("comparison.html").render(
        style=resource("inpaint_zoo.benchmark.report", "style.css"),
        version=__version__,
        titles=distinct_names([found.old.folder, found.new.folder]),
        changes=found.changes,
        not_compared=_not_compared(found),
        header=HEADER,
        tables=[
            {
                "title": metric_title(info),
                "summary": metric_summary(found, name),
                "rows": [
                    {
                        "cells": [breakable(each.method), each.dataset, each.mask, *each.texts()],
                        "verdict": each.verdict,
                        "images": count_images(each.n_images, each.n_groups) if each.n_images else "",
                    }
                    for each in found.of_metric(name)
                ],
            }
            for name, info in found.infos.items()
        ],
        notes=notes(found),
    )
