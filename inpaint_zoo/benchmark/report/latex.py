r"""Write tables.tex for \input: one booktabs table per (dataset, mask set). It needs \usepackage{booktabs}."""

from __future__ import annotations

from collections.abc import Sequence

from inpaint_zoo.benchmark.report.notes import absent, how_to_read, set_warnings, stand_ins
from inpaint_zoo.benchmark.report.paper import Comparison, Panel, groups
from inpaint_zoo.benchmark.report.paper_cells import Compared
from inpaint_zoo.benchmark.report.run_folder import Run
from inpaint_zoo.benchmark.report.tables import Entry, ScoreTable, short_title

__all__ = ["escape", "latex"]

_SUPERSCRIPTS = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"  # pdfLaTeX knows only three of them
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
    "\u00b1": r"$\pm$",
    **{letter: rf"\textsuperscript{{{digit}}}" for digit, letter in enumerate(_SUPERSCRIPTS)},
}


def latex(run: Run, tables: Sequence[ScoreTable], comparison: Comparison | None) -> str:
    """Return all tables of a run."""
    comments = [
        *([run.stamp] if run.stamp else []),
        rf"Tables of the benchmark {run.suite['name']!r}; \usepackage{{booktabs}}, UTF-8 labels as they are.",
        *(f"Missing: {line}" for line in absent(run)),
        *stand_ins(run),
        *how_to_read(),
    ]
    parts = ["\n".join(f"% {' '.join(line.split())}" for line in comments)]
    parts += [
        _table(table, number, run.stamp, set_warnings(run, [(table.dataset, table.mask)]))
        for number, table in enumerate(tables, start=1)
    ]
    if comparison:
        shown = [(panel, at) for panel in comparison.panels for at in groups(panel)]
        parts += [_comparison(comparison, panel, at, number, run) for number, (panel, at) in enumerate(shown, start=1)]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    r"""Escape text so that LaTeX prints it literally, on one line.

    Example:
        >>> print(escape("50%_fill"))
        50\%\_fill
    """
    return "".join(_SPECIAL.get(letter, letter) for letter in " ".join(text.split()))


def _table(table: ScoreTable, number: int, stamp: str, warnings: Sequence[str]) -> str:
    header = " & ".join(
        ["Method", *(f"{escape(short_title(column.info))} {escape(column.arrow)}" for column in table.columns)]
    )
    caption = f"{table.dataset}, {table.mask}: {table.images}; means and 95 % intervals."
    verdicts = " ".join([*(f"{titles}: {verdict}" for titles, verdict in table.verdicts), *warnings])
    stamped = f"{stamp}. " if stamp else ""
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(f'{stamped}{caption} {verdicts}')}}}",
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


def _comparison(comparison: Comparison, panel: Panel, at: range, number: int, run: Run) -> str:
    """Return a part of the comparison with a paper; rows with only the paper's numbers are in italics."""
    title = ", ".join(filter(None, (comparison.title, panel.title)))
    legend = "Italics: only the paper has numbers." if comparison.has_quoted else ""
    kinds = " ".join(f"{name}: {meaning}." for name, meaning in comparison.kinds)
    shown = f"{title}: paper, ours and difference; {comparison.coverage}."
    warnings = " ".join(set_warnings(run, run.tables))
    caption = " ".join(filter(None, (f"{run.stamp}." if run.stamp else "", shown, legend, kinds, warnings)))
    heads = [", ".join(filter(None, panel.columns[k])) for k in at]
    spans = " & ".join(rf"\multicolumn{{3}}{{c}}{{{escape(head)}}}" for head in heads)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(caption)}}}",
        rf"\label{{tab:benchmark-paper-{number}}}",
        rf"\begin{{tabular}}{{l{'rrr' * len(at)}}}",
        r"\toprule",
        rf" & {spans} \\",
        rf"Method{' & paper & ours & diff.' * len(at)} \\",
        r"\midrule",
    ]
    for label, quoted, cells in panel.rows:
        name = rf"\emph{{{escape(label)}}}" if quoted else f"{{}}{escape(label)}"
        lines.append(rf"{' & '.join([name, *(_compared(cells[k], quoted) for k in at)])} \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"])


def _compared(cell: Compared | None, quoted: bool) -> str:
    if cell is None:
        return "& &"
    paper = rf"\emph{{{escape(cell.paper_text)}}}" if quoted else escape(cell.paper_text)
    kind = rf" {{\scriptsize {escape(cell.kind_text)}}}" if cell.kind_text else ""
    return f"{paper} & {escape(cell.ours_text)}{kind} & {escape(cell.difference_text)}"


def _cell(entry: Entry | None) -> str:
    if entry is None:
        return "--"
    mean = rf"\textbf{{{escape(entry.text)}}}" if entry.bold else escape(entry.text)
    return rf"{mean} {{\scriptsize {escape(entry.interval)}}}" if entry.has_interval else mean
