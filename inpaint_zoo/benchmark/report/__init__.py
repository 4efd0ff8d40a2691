"""The report of a benchmark, made from its output folder alone: a page, Markdown, LaTeX, CSV, a sheet of pictures."""

from __future__ import annotations

from pathlib import Path

from inpaint_zoo.benchmark.report.latex import latex
from inpaint_zoo.benchmark.report.markdown import markdown
from inpaint_zoo.benchmark.report.page import page
from inpaint_zoo.benchmark.report.run_folder import read_run
from inpaint_zoo.benchmark.report.sheet import sheet
from inpaint_zoo.benchmark.report.tables import matrices, tables
from inpaint_zoo.io.atomic import write_bytes

__all__ = ["write_report"]


def write_report(out_dir: str | Path) -> Path:
    """Write summary.csv, report.md, tables.tex, gallery.png and report.html into a benchmark's output folder.

    Reads that folder only, and writes the same bytes for the same folder.

    Returns:
        The path of report.html.

    Raises:
        ZooError: The folder is none of ours, or a file in it is damaged.
    """
    run = read_run(out_dir)
    scores = tables(run)
    overview = matrices(run, scores)
    write_bytes(run.folder / "summary.csv", run.summary.to_csv(index=False, lineterminator="\n").encode())
    write_bytes(run.folder / "report.md", markdown(run, scores, overview).encode())
    write_bytes(run.folder / "tables.tex", latex(run, scores).encode())
    if pictures := sheet(run):
        write_bytes(run.folder / "gallery.png", pictures)
    write_bytes(run.folder / "report.html", page(run, scores, overview).encode())
    return run.folder / "report.html"
