"""`inpaint-zoo report DIR`: rebuild the report of a benchmark folder."""

from __future__ import annotations

from pathlib import Path

from inpaint_zoo.cli.common import auto, console

__all__ = ["run"]


def report(folder: Path) -> int:
    """Rebuild report.html, report.md, tables.tex and summary.csv from a benchmark's output folder.

    Args:
        folder: The --out of `inpaint-zoo benchmark`.
    """
    from inpaint_zoo.benchmark.report import write_report

    console.print(str(write_report(folder)), markup=False, soft_wrap=True)
    return 0


def run(args: list[str]) -> int:
    """Run the command."""
    return auto(report, args, "inpaint-zoo report")
