"""`inpaint-zoo report DIR`: rebuild the report of a benchmark folder."""

from __future__ import annotations

from pathlib import Path

from inpaint_zoo.cli.common import command_parser, console

__all__ = ["run"]


def run(args: list[str]) -> int:
    """Run the command."""
    parser = command_parser(
        "report", "Rebuild report.html, report.md, tables.tex and summary.csv from the folder of a benchmark."
    )
    parser.add_argument("folder", metavar="DIR", help="the folder given as --out to `inpaint-zoo benchmark`")
    options = parser.parse_args(args)

    from inpaint_zoo.benchmark.report import write_report

    console.print(str(write_report(Path(options.folder))), markup=False, soft_wrap=True)
    return 0
