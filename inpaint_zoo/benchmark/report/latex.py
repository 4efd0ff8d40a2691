r"""Write tables.tex for \input: one booktabs table per (dataset, mask set). It needs \usepackage{booktabs}."""

from __future__ import annotations

from collections.abc import Sequence

from inpaint_zoo.benchmark.report.notes import absent, how_to_read, stand_ins
from inpaint_zoo.benchmark.report.run_folder import Run
from inpaint_zoo.benchmark.report.tables import Entry, ScoreTable, short_title

__all__ = ["escape", "latex"]

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\u2212": "$-$",
    "\u2191": r"$\uparrow$",
    "\u2193": r"$\downarrow$",
    "\u2013": "--",
    "\u00a0": "~",
}


def latex(run: Run, tables: Sequence[ScoreTable]) -> str:
    """Return all tables of a run."""
    comments = [
        rf"Tables of the benchmark {run.suite['name']!r}; \usepackage{{booktabs}}, UTF-8 labels as they are.",
        *(f"Missing: {line}" for line in absent(run)),
        *stand_ins(run),
        *how_to_read(),
    ]
    parts = ["\n".join(f"% {' '.join(line.split())}" for line in comments)]
    parts += [_table(table, number) for number, table in enumerate(tables, start=1)]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    r"""Escape text so that LaTeX prints it literally, on one line.

    Example:
        >>> print(escape("50%_fill"))
        50\%\_fill
    """
    return "".join(_SPECIAL.get(letter, letter) for letter in " ".join(text.split()))


def _table(table: ScoreTable, number: int) -> str:
    header = " & ".join(
        ["Method", *(f"{escape(short_title(column.info))} {escape(column.arrow)}" for column in table.columns)]
    )
    caption = f"{table.dataset}, {table.mask}: {table.images}; means and 95 % bootstrap intervals."
    verdicts = " ".join(f"{titles}: {verdict}" for titles, verdict in table.verdicts)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(f'{caption} {verdicts}')}}}",
        rf"\label{{tab:benchmark-{number}}}",
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"\toprule",
        rf"{header} \\",
        r"\midrule",
    ]
    for row in table.rows:
        cells = [_cell(entry) for entry in row.entries]
        if row.missing and table.columns:
            cells = [rf"\multicolumn{{{len(table.columns)}}}{{l}}{{\emph{{{escape(row.missing)}}}}}"]
        guard = "{}" if row.method[:1] in ("[", "*") else ""  # after \\, LaTeX would parse these as arguments
        lines.append(rf"{guard}{' & '.join([escape(row.method), *cells])} \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"])


def _cell(entry: Entry | None) -> str:
    if entry is None:
        return "--"
    mean = rf"\textbf{{{escape(entry.text)}}}" if entry.bold else escape(entry.text)
    return rf"{mean} {{\scriptsize {escape(entry.interval)}}}" if entry.has_interval else mean
