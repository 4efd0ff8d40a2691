"""Write report.html: one self-contained file, from the template, style sheet and scripts beside this module."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

from jinja2 import Template
from markupsafe import Markup, escape

from inpaint_zoo.benchmark.breakdown import seconds_line
from inpaint_zoo.benchmark.report import notes
from inpaint_zoo.benchmark.report.charts import swatch
from inpaint_zoo.benchmark.report.costs import cell_costs, cost_notes, method_costs, pass_costs
from inpaint_zoo.benchmark.report.curves import curves
from inpaint_zoo.benchmark.report.files import environment, resource
from inpaint_zoo.benchmark.report.findings import SHOWN_FINDINGS, findings
from inpaint_zoo.benchmark.report.gallery import (
    DIFFERENCE_COLORS,
    DIFFERENCE_STEPS,
    LONGEST_SIDE,
    QUALITY,
    Gallery,
    build_gallery,
)
from inpaint_zoo.benchmark.report.paper import Comparison
from inpaint_zoo.benchmark.report.plots import Plot, hole_plots, time_plots
from inpaint_zoo.benchmark.report.run_folder import Run, flat
from inpaint_zoo.benchmark.report.spectra import profiles, spectrum_strips
from inpaint_zoo.benchmark.report.strips import Strip, stage_strips
from inpaint_zoo.benchmark.report.tables import Column, Entry, Matrix, ScoreTable, short_title
from inpaint_zoo.benchmark.report.typography import DASH
from inpaint_zoo.benchmark.report.wins import win_matrices
from inpaint_zoo.metrics import MetricInfo

__all__ = ["page"]

PACKAGE = "inpaint_zoo.benchmark.report"
SCRIPTS = ("page.js", "gallery.js")
WHISKER = 92  # width of the small interval plots in table cells, in pixels


def page(run: Run, tables: Sequence[ScoreTable], overview: Sequence[Matrix], comparison: Comparison | None) -> str:
    """Return the whole report as one HTML file."""
    gallery = build_gallery(run)
    found = findings(tables)
    shared, cells = _cells(run)
    return _template().render(
        run=run,
        suite=run.suite,
        style=resource(PACKAGE, "style.css"),
        scripts=[resource(PACKAGE, name) for name in SCRIPTS],
        index={method: index for index, method in enumerate(run.methods)},
        headline=notes.headline(run),
        facts=_facts(run),
        findings=found[:SHOWN_FINDINGS],
        more_findings=len(found) > SHOWN_FINDINGS,
        problems=_problems(run),
        comparison=comparison,
        scored=bool(run.tables),
        tables=tables,
        wins=[win_matrices(run, table) for table in tables],
        overview=overview,
        ranked={matrix.info.name: _ranked(matrix) for matrix in overview},
        plots=_paired(run, hole_plots(run), time_plots(run)),
        curves=curves(run),
        stages=stage_strips(run),
        spectra=spectrum_strips(run),
        profiles=profiles(run),
        costs=method_costs(run),
        cell_costs=cell_costs(run),
        pass_costs=pass_costs(run),
        cost_notes=cost_notes(run),
        gallery=_gallery_data(run, gallery, overview),
        gallery_note=_gallery_note(gallery),
        legend=_legend(),
        how_to_read=notes.how_to_read(),
        environment=sorted(flat(run.provenance.get("environment", {}))),
        time=seconds_line(run.provenance.get("seconds", {})),
        shared=shared,
        cells=cells,
        implementations=[(info.title, info) for info in run.infos.values()],
    )


@functools.cache
def _template() -> Template:
    """Return the template, which is compiled once in a process."""
    templates = environment(PACKAGE)
    templates.globals |= {"swatch": swatch, "whisker": whisker, "shade": _shade}
    templates.filters |= {
        "metric_option": _metric_option,
        "twice": _twice,
        "breakable": breakable,
        "place": _place,
    }
    templates.tests["matching"] = lambda text, pattern: re.fullmatch(pattern, text) is not None
    return templates.get_template("report.html")


def whisker(column: Column, entry: Entry) -> Markup:
    """Draw the interval as a line and the mean as a dot, on the scale that all methods of the column share."""
    low, high = column.span
    if not entry.has_interval or high <= low:
        return Markup("")

    def at(value: float) -> float:
        return round(3 + (value - low) / (high - low) * (WHISKER - 6), 1)

    return Markup(
        f'<svg class="whisker" viewBox="0 0 {WHISKER} 8" width="{WHISKER}" height="8" aria-hidden="true">'
        f'<path d="M0 4H{WHISKER}" class="track"/><path d="M{at(entry.low):g} 4H{at(entry.high):g}"/>'
        f'<circle cx="{at(entry.mean):g}" cy="4" r="2.6"/></svg>'
    )


def breakable(label: str) -> Markup:
    """Return a label that may wrap after `_`, `:`, `/` and `.`.

    Example:
        >>> print(breakable("progressive:isnet_tiny"))
        progressive:<wbr>isnet_<wbr>tiny
    """
    return Markup(re.sub(r"([_:/.])(?=.)", r"\1<wbr>", str(escape(label))))


def _metric_option(info: MetricInfo) -> tuple[str, str]:
    """Return value and text of an option."""
    return info.name, short_title(info)


def _place(strip: Strip) -> str:
    """Return dataset and mask set of a row of images."""
    return f"{strip.dataset} · {strip.mask}"


def _twice(label: str) -> tuple[str, str]:
    return label, label


def _facts(run: Run) -> list[tuple[str, str]]:
    counts = [notes.image_counts(run, name) for name in run.datasets]
    crops, images = sum(n for n, _ in counts), sum(n for _, n in counts)
    cells = len(run.networks) * len(run.tables) - run.not_applicable
    done = cells + run.not_applicable - len(run.problems)
    if not run.tables:  # costs or quoted numbers only
        figures = len(run.suite.get("costs", {}).get("figures", ()))
        counted = [(len(run.methods), "method"), (figures, "figure")]
    else:
        masks = len({mask for _, mask in run.tables})
        counted = [(len(run.methods), "method"), (images, "image"), (masks, "mask set"), (len(run.infos), "metric")]
        if crops != images:
            counted.insert(2, (crops, "crop"))
    facts = [(str(number), notes.count(number, thing).partition(" ")[2]) for number, thing in counted]
    return [*facts, (f"{done}/{cells}", "cells done")] if run.tables else facts


def _problems(run: Run) -> list[tuple[str, list[str]]]:
    every = [
        ("Replaced in the rehearsal", notes.replaced(run)),
        ("Missing, and where it goes", notes.absent(run)),
        ("Cells without numbers", notes.failures(run)),
        ("Metrics skipped", notes.skipped(run)),
        ("Images that could not be read", notes.unreadable(run)),
        ("Caveats and limits", notes.caveats(run)),
    ]
    return [(title, lines) for title, lines in every if lines]


def _paired(run: Run, by_hole: Sequence[Plot], by_time: Sequence[Plot]) -> list[dict[str, Any]]:
    """Return both plots of each (dataset, metric), in suite order."""
    pairs = []
    for dataset in run.datasets:
        for info in run.infos.values():
            both = [
                next((plot for plot in plots if plot.dataset == dataset and plot.info == info), None)
                for plots in (by_hole, by_time)
            ]
            pairs.append({"dataset": dataset, "info": info, "hole": both[0], "time": both[1]})
    return pairs


def _ranked(matrix: Matrix) -> list[int]:
    """Return the number of methods with a rank in each column."""
    columns = zip(*(row.entries for row in matrix.rows), strict=True)
    return [sum(entry is not None and entry.rank is not None for entry in column) for column in columns]


def _shade(entry: Entry, ranked: int) -> int:
    """Return the tint of a matrix cell in percent: strong for rank 1, none for the last rank."""
    return 0 if entry.rank is None or ranked < 2 else round(100 * (ranked - entry.rank) / (ranked - 1))


def _gallery_data(run: Run, gallery: Gallery, overview: Sequence[Matrix]) -> dict[str, Any]:
    """Return the script's data; `first` is the method selected at first: the best by the suite's first metric."""
    first = run.methods.index(overview[0].rows[0].method) if overview else 0
    return {"methods": list(run.methods), "first": first, "scenes": gallery.scenes, "images": gallery.images}


def _gallery_note(gallery: Gallery) -> str:
    parts = [f"Copies for the screen: WebP at quality {QUALITY}, color at half resolution"]
    if gallery.worst_copy_db < float("inf"):
        parts[0] += f" (the worst has a PSNR of {gallery.worst_copy_db:.0f} dB to its PNG)"
    if gallery.reduced:
        parts.append(f"images larger than {LONGEST_SIDE} px are shown smaller")
    if gallery.shown < gallery.available:
        parts.append(
            f"{gallery.shown} of the {gallery.available} images kept in the folder, to limit the size of this file"
        )
    return "; ".join(parts) + ". All numbers and difference maps come from the PNGs."


def _legend() -> list[tuple[str, str]]:
    """Return (color, label) of the classes of the difference map, in 8-bit steps."""
    ends = [*DIFFERENCE_STEPS[1:], None]
    labels = [
        f"{low}+" if end is None else f"{low}{DASH}{end - 1}" for low, end in zip(DIFFERENCE_STEPS, ends, strict=True)
    ]
    return list(zip(DIFFERENCE_COLORS, labels, strict=True))


def _cells(run: Run) -> tuple[list[tuple[str, str]], list[dict[str, Any]]]:
    """Return the provenance that all cells share, and one row per cell of the suite with the rest."""
    order = [(network, *table) for table in run.tables for network in run.networks]
    made_by = {}
    for cell in order:
        content = run.cells.get(cell, ("", {}))[1].get("provenance") or {}
        made_by[cell] = dict(flat({key: value for key, value in content.items() if key != "metrics"}))
    known = [content for content in made_by.values() if content]
    shared = (
        {key: value for key, value in known[0].items() if all(each.get(key) == value for each in known)}
        if known
        else {}
    )
    rows = [
        {
            "method": run.networks[cell[0]],
            "network": cell[0],
            "dataset": cell[1],
            "mask": cell[2],
            "status": run.problems.get(cell, "done"),
            "made_by": [pair for pair in made_by[cell].items() if pair[0] not in shared],
        }
        for cell in order
    ]
    return sorted(shared.items()), rows
