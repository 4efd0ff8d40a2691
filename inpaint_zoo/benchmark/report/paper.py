"""The comparison with a printed table: for each of its cells the paper's number, ours and the difference.

Ours is the mean that the other tables of the report show, in the unit of the paper. Nothing here is ranked or bold,
because the paper's numbers have no images that a test could use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from inpaint_zoo.benchmark.cost_keys import FIGURES
from inpaint_zoo.benchmark.paper import PaperRow, metric_title, paper_title
from inpaint_zoo.benchmark.report.files import csv_text
from inpaint_zoo.benchmark.report.notes import count
from inpaint_zoo.benchmark.report.paper_cells import KINDS, Compared, compared_cells
from inpaint_zoo.benchmark.report.run_folder import Run
from inpaint_zoo.metrics import metric_info

__all__ = ["Comparison", "Panel", "compare", "comparison_csv", "groups"]

COLUMNS = (
    "paper",
    "table",
    "dataset",
    "setting",
    "mask",
    "method",
    "metric",
    "paper_value",
    "status",
    "ours",
    "difference",
    "kind",
    "our_methods",
    "our_datasets",
    "our_masks",
    "our_metric",
    "factor",
    "reason",
    "warning",
)
ON_PAGE = 3  # columns side by side in Markdown and LaTeX


@dataclass(frozen=True)
class Panel:
    """A part of the comparison with the same methods.

    Attributes:
        title: What all columns have in common; may be empty.
        columns: (upper, lower) heading of each column.
        rows: (label, whether only quoted, the cells).
    """

    title: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, bool, tuple[Compared | None, ...]], ...]


@dataclass(frozen=True)
class Comparison:
    """The comparison with one table.

    Attributes:
        title: Such as "lgnet, Table IV".
        coverage: Such as "38 of 120 cells computed".
        panels: One for each metric, or a single one if the table has one dataset and one mask set.
        kinds: (kind of ours, what it means) for the kinds that occur.
        conventions: How ours corresponds to each metric of the table.
        notes: Remarks; number i is at position i - 1.
        cells: All cells, in the order of the table.
    """

    title: str
    coverage: str
    panels: tuple[Panel, ...]
    kinds: tuple[tuple[str, str], ...]
    conventions: tuple[str, ...]
    notes: tuple[str, ...]
    cells: tuple[Compared, ...]

    @property
    def has_quoted(self) -> bool:
        """Whether a row has only the paper's numbers."""
        return any(quoted for panel in self.panels for _, quoted, _ in panel.rows)


def groups(panel: Panel, size: int = ON_PAGE) -> list[range]:
    """Return the columns of a panel in groups of at most ``size``."""
    return [range(at, min(at + size, len(panel.columns))) for at in range(0, len(panel.columns), size)]


def compare(run: Run) -> Comparison | None:
    """Return the comparison with the table that the suite names; None if it names none."""
    plain = run.suite.get("paper")
    if plain is None:
        return None
    compared = compared_cells(run, plain)
    done = sum(each.status == "computed" for each in compared)
    kinds = [kind for kind in KINDS if any(each.kind == kind for each in compared)]
    return Comparison(
        title=paper_title(plain["paper"], plain["table"]),
        coverage=f"{done} of {len(compared)} cells {'rehearsed' if run.stamp else 'computed'}",
        panels=tuple(_panels(plain, compared)),
        kinds=tuple((KINDS[kind][0] or "no mark", KINDS[kind][1]) for kind in kinds),
        conventions=tuple(_conventions(run, plain)),
        notes=tuple(note["text"] for note in plain["notes"]),
        cells=compared,
    )


def comparison_csv(comparison: Comparison, run: Run) -> str:
    """Return the comparison as CSV, one row for each cell of the table."""
    rows = []
    for each in comparison.cells:
        cell, difference = each.cell, None if each.ours is None else each.ours - each.cell.value
        rows.append(
            [
                run.suite["paper"]["paper"],
                run.suite["paper"]["table"],
                *cell[:-1],
                cell.text,
                each.status,
                "" if each.ours is None else repr(each.ours),
                "" if difference is None else repr(difference),
                each.kind,
                *("; ".join(names) for names in each.labels),
                each.metric,
                f"{each.times:g}",
                each.reason,
                "; ".join(_warnings(run, each)),
                *([run.stamp] if run.stamp else []),
            ]
        )
    return csv_text([*COLUMNS, "rehearsal"] if run.stamp else COLUMNS, rows)


def _warnings(run: Run, cell: Compared) -> list[str]:
    """Return what limits our number if its metric has one value for a whole set, such as the bias of FID."""
    if cell.status != "computed" or cell.metric not in run.infos:
        return []
    texts = [text for table in product(*cell.labels[1:]) for text in run.set_warnings(cell.metric, *table)]
    return list(dict.fromkeys(texts))


def _panels(plain: dict[str, Any], compared: Sequence[Compared]) -> Iterator[Panel]:
    cells = [each.cell for each in compared]
    places = list(dict.fromkeys((cell.dataset, cell.mask) for cell in cells))
    metrics = list(dict.fromkeys(cell.metric for cell in cells))
    found = {(each.cell.row, each.cell.dataset, each.cell.mask, each.cell.metric): each for each in compared}
    mapped = [PaperRow(row["method"], row["setting"]) for row in plain["rows"]]
    quoted = [PaperRow(row["method"], row["setting"]) for row in plain["quoted"]]
    rows = [row for row in dict.fromkeys(cell.row for cell in cells) if row in mapped or row in quoted]
    several = {method for method, _ in rows if sum(row.method == method for row in rows) > 1}
    labels = [f"{row.method}, {row.setting}" if row.method in several and row.setting else row.method for row in rows]

    def panel(title: str, keys: Sequence[tuple[str, str, str]], heads: Sequence[tuple[str, str]]) -> Panel:
        return Panel(
            title,
            tuple(heads),
            tuple(
                (label, row not in mapped, tuple(found.get((row, *key)) for key in keys))
                for label, row in zip(labels, rows, strict=True)
            ),
        )

    if len(places) == 1:
        place = places[0]
        yield panel(
            ", ".join(filter(None, place)),
            [(*place, name) for name in metrics],
            [("", metric_title(name)) for name in metrics],
        )
        return
    for metric in metrics:
        yield panel(metric_title(metric), [(*place, metric) for place in places], places)


def _conventions(run: Run, plain: dict[str, Any]) -> Iterator[str]:
    for match in plain["metrics"]:
        name, factor = match["ours"], f"{match['times']:g} times " if match["times"] != 1 else ""
        if match["figure"]:
            text = FIGURES[name].definition
            hardware = match["hardware"]
            if hardware:
                environment = run.provenance.get("environment", {})
                threads = count(environment.get("torch_threads", 0), "thread")
                here = f"{run.figures.get('device', '')}, {environment.get('processor', '')}, {threads}"
                text += f"; paper: {hardware}; here: {here}"
        else:
            text = metric_info(name).definition.rstrip(".")
        rows = f" ({', '.join(match['rows'])})" if match["rows"] else ""
        yield f"{metric_title(match['paper'])}{rows}: ours is {factor}{name}: {text}."
    for axis, named in (("methods", plain["rows"]), ("datasets", plain["datasets"]), ("masks", plain["masks"])):
        if axis in plain["average"]:
            sizes = {len(row["ours"]) for row in named} if isinstance(named, list) else {len(n) for n in named.values()}
            counts = " or ".join(str(size) for size in sorted(sizes))
            yield f"Ours is the mean over {counts} {axis if axis != 'masks' else 'mask sets'} of the suite."
