"""The report of a benchmark, made from its output folder alone: HTML page, Markdown, LaTeX, CSV, image sheet."""

from __future__ import annotations

from pathlib import Path

from inpaint_zoo.benchmark.report.families import networks_csv
from inpaint_zoo.benchmark.report.latex import latex
from inpaint_zoo.benchmark.report.markdown import markdown
from inpaint_zoo.benchmark.report.page import page
from inpaint_zoo.benchmark.report.paper import compare, comparison_csv
from inpaint_zoo.benchmark.report.run_folder import Run, read_run
from inpaint_zoo.benchmark.report.sheet import sheet
from inpaint_zoo.benchmark.report.tables import matrices, tables
from inpaint_zoo.io.atomic import write_bytes

__all__ = ["write_report"]


def write_report(out: str | Path | Run) -> Path:
    """Write summary.csv, pairs.csv, report.md, tables.tex, gallery.png and report.html to a benchmark's output folder.

    If the suite names a table of a paper, paper_comparison.csv is written, too, and if a method has draws or
    checkpoints, networks.csv with the mean of each of them. All files of a rehearsal say so; the CSV files have the
    column `rehearsal` for this.

    Only that folder is read, and the same folder gives the same bytes.

    Args:
        out: The folder, or its content if it has been read already.

    Returns:
        The path of report.html.

    Raises:
        ZooError: If the folder is not a benchmark folder, or a file in it is damaged.
    """
    run = out if isinstance(out, Run) else read_run(out)
    scores = tables(run)
    overview = matrices(run, scores)
    comparison = compare(run)
    warnings = [
        "; ".join(run.set_warnings(*row)) for row in run.summary[["metric", "dataset", "mask"]].itertuples(index=False)
    ]
    for name, table in (("summary.csv", run.summary.assign(warning=warnings)), ("pairs.csv", run.pairs)):
        stamped = table.assign(rehearsal=run.stamp) if run.stamp else table
        write_bytes(run.folder / name, stamped.to_csv(index=False, lineterminator="\n").encode())
    write_bytes(run.folder / "report.md", markdown(run, scores, overview, comparison).encode())
    write_bytes(run.folder / "tables.tex", latex(run, scores, comparison).encode())
    if comparison:
        text = comparison_csv(comparison, run)
        write_bytes(run.folder / "paper_comparison.csv", text.encode())
    if run.families:
        write_bytes(run.folder / "networks.csv", networks_csv(run.families, run.values, run.stamp).encode())
    if images := sheet(run):
        write_bytes(run.folder / "gallery.png", images)
    write_bytes(run.folder / "report.html", page(run, scores, overview, comparison).encode())
    return run.folder / "report.html"
