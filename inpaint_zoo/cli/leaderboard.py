"""`inpaint-zoo leaderboard`: merge finished runs of one suite into one run with its own report."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from inpaint_zoo.cli.common import command_parser, console, note_console, print_table, split_pairs

__all__ = ["run"]


def run(args: list[str]) -> int:
    """Run the command."""
    parser = command_parser(
        "leaderboard",
        "Merge finished runs of one suite into one folder with its own report. Nothing is computed again. Runs with "
        "other images, masks or metrics are refused by name.",
    )
    parser.add_argument("folders", nargs="+", metavar="DIR", help="folders given as --out to `inpaint-zoo benchmark`")
    parser.add_argument("--out", required=True, metavar="DIR", help="a new folder, or a leaderboard, which is replaced")
    parser.add_argument(
        "--label",
        action="append",
        default=[],
        metavar="DIR=NAME",
        help="append (NAME) to those labels of a run that another run uses for another method; may be repeated",
    )
    options = parser.parse_args(args)

    from inpaint_zoo.benchmark.across_runs import merge_runs
    from inpaint_zoo.benchmark.report.run_folder import read_run
    from inpaint_zoo.cli.ranking import print_findings, ranking

    merged = merge_runs(options.folders, options.out, split_pairs("--label", "DIR=NAME", options.label))
    for line in merged.notes:
        note_console.print(f"[yellow]note:[/yellow] {escape(line)}", soft_wrap=True)
    print_table(ranking(Path(options.out)))
    print_findings(read_run(options.out))
    console.print(f"{merged.methods} methods of {len(options.folders)} runs, {merged.cells} cells")
    console.print(f"report: {escape(str(merged.report))}", soft_wrap=True)
    return 0
