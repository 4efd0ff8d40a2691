"""The cost tables of the report: one row for each method, one row for each cell, and notes on the conventions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from inpaint_zoo.analysis.cost import distribution
from inpaint_zoo.benchmark.report.plots import median_milliseconds
from inpaint_zoo.benchmark.report.run_folder import Run
from inpaint_zoo.benchmark.report.typography import DASH, thousands

__all__ = ["Figure", "cell_costs", "cost_notes", "method_costs", "pass_costs"]


class Figure(NamedTuple):
    """One number of a cost table.

    Attributes:
        value: Value for sorting; None if there is none.
        text: The printed text.
        span: Minimum and maximum as printed; empty if they are equal or unknown.
    """

    value: float | None
    text: str
    span: str = ""


def method_costs(run: Run) -> list[dict[str, Any]]:
    """Return the rows of the method table: means over the images of all cells, and the time per image in this run.

    A method whose cells ran on several devices has a row for each device.
    """
    times = {dataset: median_milliseconds(run, dataset) for dataset in run.datasets}
    counted = run.provenance.get("complexity", ())
    devices = {entry.get("device") for entry in counted}
    rows = []
    for index, method in enumerate(run.methods):
        for entry in [entry for entry in counted if entry["method"] == method] or [{}]:
            rows.append(
                {
                    "index": index,
                    "method": method,
                    "device": entry.get("device") if len(devices) > 1 else None,
                    "parameters": _whole(entry.get("parameters")),
                    "passes": _mean(entry, "passes", _short),
                    "macs": _mean(entry, "macs", _giga),
                    "macs_thop": _mean(entry, "macs_thop", _giga),
                    "latency": _mean(entry, "latency_ms", _short),
                    "memory": _figure(entry.get("peak_memory_mb"), _short),
                    "times": [_figure(times[dataset].get(method), _short) for dataset in run.datasets],
                }
            )
    return rows


def cell_costs(run: Run) -> list[dict[str, Any]]:
    """Return the rows of the cell table, in suite order: means, and the distribution of the latency."""
    rows = []
    for method in run.methods:
        for dataset, mask in run.tables:
            costs = run.costs.get((method, dataset, mask))
            if costs is None:
                continue
            latency = costs["latency_ms"]
            rows.append(
                {
                    "method": method,
                    "dataset": dataset,
                    "mask": mask,
                    "images": _whole(costs["n_images"]),
                    "passes": _distribution(costs["passes"], _short),
                    "macs": _distribution(costs["macs"], _giga),
                    "macs_thop": _distribution(costs["macs_thop"], _giga),
                    "latency": [_figure(latency[name], _short) for name in ("mean", "median", "p90", "min", "max")],
                    "memory": _figure(costs["peak_memory_mb"], _short),
                }
            )
    return rows


def pass_costs(run: Run) -> list[dict[str, Any]]:
    """Return a row for each cell of a method that repeats its network: how many images took how many passes.

    The latency is that of all images with this number of passes, each of which was completed alone.
    """
    rows = []
    passes = run.timings[run.timings["passes"].notna()] if "passes" in run.timings else run.timings[:0]
    for (method, dataset, mask), part in passes.groupby(["method", "dataset", "mask"], sort=False):
        for count in sorted(part["passes"].unique()):
            images = part[part["passes"] == count]
            found = distribution(1000 * images["seconds"])
            rows.append(
                {
                    "method": method,
                    "dataset": dataset,
                    "mask": mask,
                    "passes": Figure(float(count), str(int(count))),
                    "images": Figure(len(images), f"{len(images)} of {len(part)}"),
                    "latency": [_figure(found[name], _short) for name in ("mean", "median", "p90", "min", "max")],
                }
            )
    return rows


def cost_notes(run: Run) -> list[str]:
    """Return how the columns were counted; methods are named if their conventions differ."""
    notes: dict[str, list[str]] = {}
    for entry in run.provenance.get("complexity", ()):
        texts = []
        if entry.get("passes") is not None:
            texts.append("Passes: number of times that a repeating network ran on an image; it depends on the mask.")
        if entry.get("macs") is not None:
            texts.append(f"MACs: {entry['macs_convention']}.")
        if entry.get("macs_thop") is not None:
            texts.append(f"MACs as papers count them: {entry['macs_thop_convention']}.")
        if entry.get("latency_ms") is not None and entry.get("latency_convention"):
            size = " × ".join(_sides(entry[side]) for side in ("width", "height"))  # noqa: RUF001 - times
            texts.append(f"Latency: images of {size} px on {entry['device']}; {entry['latency_convention']}.")
        if entry.get("peak_memory_mb") is not None and entry.get("memory_convention"):
            texts.append(f"Peak memory: {entry['memory_convention']}.")
        for text in texts:
            notes.setdefault(text, []).append(entry["method"])
    kinds = [text.split(":")[0] for text in notes]
    return [
        text if kinds.count(text.split(":")[0]) == 1 else f"{text} ({', '.join(methods)})"
        for text, methods in notes.items()
    ]


def _sides(span: Sequence[int]) -> str:
    return str(span[0]) if span[0] == span[1] else f"{span[0]}{DASH}{span[1]}"


def _figure(value: float | None, write: Callable[[float], str]) -> Figure:
    return Figure(None, DASH) if value is None else Figure(value, write(value))


def _mean(entry: Mapping[str, Any], name: str, write: Callable[[float], str]) -> Figure:
    """Return a pooled mean and its range."""
    return _with_span(_figure(entry.get(name), write), entry.get(f"{name}_range"), write)


def _distribution(found: Mapping[str, float] | None, write: Callable[[float], str]) -> Figure:
    """Return the mean and the range of a cell's distribution."""
    if found is None:
        return Figure(None, DASH)
    return _with_span(Figure(found["mean"], write(found["mean"])), (found["min"], found["max"]), write)


def _with_span(figure: Figure, ends: Sequence[float] | None, write: Callable[[float], str]) -> Figure:
    if not ends or ends[0] == ends[1]:
        return figure
    return figure._replace(span=DASH.join(write(end) for end in ends))


def _whole(value: float | None) -> Figure:
    return _figure(value, thousands)


def _giga(value: float) -> str:
    return f"{value / 1e9:.3g} G"


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else thousands(value)
