"""Write report.md: the same tables as Markdown for GitHub, an editor or a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from inpaint_zoo.benchmark.report.findings import SHOWN_FINDINGS, findings
from inpaint_zoo.benchmark.report.notes import (
    absent,
    caveats,
    failures,
    headline,
    how_to_read,
    replaced,
    skipped,
    unreadable,
)
from inpaint_zoo.benchmark.report.paper import Comparison, Panel, groups
from inpaint_zoo.benchmark.report.paper_cells import Compared
from inpaint_zoo.benchmark.report.run_folder import Run
from inpaint_zoo.benchmark.report.tables import Entry, Matrix, ScoreTable, short_title
from inpaint_zoo.benchmark.report.typography import DASH

__all__ = ["bullets", "escape", "markdown", "pipe_table", "section"]


def markdown(run: Run, tables: Sequence[ScoreTable], overview: Sequence[Matrix], comparison: Comparison | None) -> str:
    """Return the whole report as GitHub-flavored Markdown."""
    parts = [f"# {escape(run.suite['name'])}", *([f"**{run.stamp}.**"] if run.stamp else []), escape(headline(run))]
    found = findings(tables)
    if found:
        more = ["More verdicts are with each table."] * (len(found) > SHOWN_FINDINGS)
        parts += ["**Findings**", bullets([*(each.line for each in found[:SHOWN_FINDINGS]), *more])]
    for title, lines in (
        ("Replaced in the rehearsal", replaced(run)),
        ("Missing", absent(run)),
        ("Without numbers", failures(run)),
        ("Metrics skipped", skipped(run)),
        ("Unreadable images", unreadable(run)),
        ("Caveats and limits", caveats(run)),
    ):
        if lines:
            parts += [f"**{title}**", bullets(lines)]
    if comparison:
        parts += _comparison(comparison)
    if len(tables) > 1:
        parts.append("## Overview")
        parts += [part for matrix in overview for part in _matrix(matrix)]
    parts += [section(table, "##") for table in tables]
    if tables:
        parts += ["## How to read this", bullets(how_to_read())]
    return "\n\n".join(part for part in parts if part) + "\n"


def section(table: ScoreTable, heading: str) -> str:
    """Return one table with its heading and its verdicts.

    Args:
        table: The scores of a dataset and a mask set.
        heading: Beginning of the heading, such as "##".
    """
    verdicts = [f"{titles}: {verdict}" for titles, verdict in table.verdicts] + list(table.notes)
    title = f"{heading} {escape(table.dataset)}, {escape(table.mask)}"
    parts = [title, f"{table.images}.", _scores(table), bullets(verdicts)]
    return "\n\n".join(part for part in parts if part)


def escape(text: str) -> str:
    r"""Escape text so that Markdown, tables and HTML show it literally, on one line.

    Example:
        >>> escape("a|b <i>*c*")
        'a\\|b &lt;i&gt;\\*c\\*'
    """
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]#|~$])", r"\\\1", text)


def bullets(lines: Iterable[str]) -> str:
    """Return escaped lines as a list; empty without lines."""
    return "\n".join(f"- {escape(line)}" for line in lines)


def pipe_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table from cells that are escaped where necessary; the first column is aligned to the left."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))


def _number(entry: Entry) -> str:
    return f"**{entry.text}**" if entry.bold else entry.text


def _scores(table: ScoreTable) -> str:
    header = ["method", *(f"{escape(short_title(column.info))} {column.arrow}" for column in table.columns)]
    rows = []
    for row in table.rows:
        missing = escape(row.missing) if row.missing else DASH
        cells = [
            missing if entry is None else " ".join(filter(None, (_number(entry), entry.interval)))
            for entry in row.entries
        ]
        rows.append([escape(row.method), *cells])
    return pipe_table(header, rows)


def _comparison(comparison: Comparison) -> list[str]:
    parts = [f"## {escape(comparison.title)} of the paper", f"{comparison.coverage}."]
    for panel in comparison.panels:
        if panel.title:
            parts.append(f"### {escape(panel.title)}")
        parts += [_compared(panel, at) for at in groups(panel)]
    kinds = [f"{name}: {meaning}." for name, meaning in comparison.kinds]
    notes = [f"({number}) {note}" for number, note in enumerate(comparison.notes, start=1)]
    quoted = ["Rows marked (quoted) have only the paper's numbers. They are never ranked."] * comparison.has_quoted
    return [*parts, bullets([*quoted, *kinds, *comparison.conventions, *notes])]


def _compared(panel: Panel, at: range) -> str:
    header = ["method"]
    for k in at:
        name = escape(", ".join(filter(None, panel.columns[k])))
        header += [f"{name}: paper", "ours", "difference"]
    rows = []
    for label, quoted, cells in panel.rows:
        row = [escape(label) + " (quoted)" * quoted]
        for k in at:
            row += _three(cells[k])
        rows.append(row)
    return pipe_table(header, rows)


def _three(cell: Compared | None) -> list[str]:
    if cell is None:
        return ["", "", ""]
    notes = "".join(f" ({number})" for number in cell.notes)
    kind = f" ({cell.kind_text})" if cell.kind_text else ""
    ours = "missing" if cell.status == "missing" else escape(cell.ours_text + kind)
    return [cell.paper_text, ours, escape(cell.difference_text) + notes]


def _matrix(matrix: Matrix) -> list[str]:
    arrow = "↑" if matrix.info.higher_is_better else "↓"
    header = ["method", *(escape(f"{dataset}, {mask}") for dataset, mask in matrix.tables), "mean rank"]
    rows = [
        [
            escape(row.method),
            *(
                escape(missing.split(":")[0] if missing else DASH) if entry is None else _number(entry)
                for entry, missing in zip(row.entries, row.missing, strict=True)
            ),
            _mean_rank(row.mean_rank, row.n_ranks, matrix.counted),
        ]
        for row in matrix.rows
    ]
    return [f"### {escape(short_title(matrix.info))} {arrow}", pipe_table(header, rows)]


def _mean_rank(mean_rank: float | None, known: int, tables: int) -> str:
    if mean_rank is None:
        return DASH
    return f"{mean_rank:.1f}" if known == tables else f"{mean_rank:.1f} (of {known})"
