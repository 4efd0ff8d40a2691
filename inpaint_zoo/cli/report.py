"""`inpaint-zoo report`: rebuild the report of a benchmark folder, or compare two of them."""

from __future__ import annotations

from argparse import Namespace
from itertools import groupby

from rich import box
from rich.markup import escape
from rich.table import Column, Table

from inpaint_zoo.cli.common import command_parser, console, err_console, note_console, print_table, split_pairs
from inpaint_zoo.cli.publish import add_publish_arguments, checked_publishers, publish, refuse_to_publish
from inpaint_zoo.errors import ZooError

__all__ = ["run"]

NOT_COMPARED = 3  # exit code: no cell is worse, but some could not be compared
NUMBERS = ("old", "new", "difference", "interval", "p")
WIDE = 100  # columns of a terminal that shows the interval
STYLES = {"worse": "bold red", "better": "bold green"}


def run(args: list[str]) -> int:
    """Run the command; return 1 if a cell is worse or a run could not be published, 3 if not compared, else 0."""
    parser = command_parser(
        "report",
        "Rebuild report.html, report.md, tables.tex and summary.csv from the folder of a benchmark. With two folders, "
        "print what changed between the runs, and which differences are significant. With --wandb or --tensorboard, "
        "publish the run.",
    )
    parser.add_argument("folder", metavar="DIR", help="the folder given as --out to `inpaint-zoo benchmark`")
    parser.add_argument("new", nargs="?", metavar="NEW", help="the folder of another run, to compare it with DIR")
    parser.add_argument("--out", metavar="FOLDER", help="write comparison.html, comparison.md and comparison.csv here")
    parser.add_argument(
        "--method",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="compare methods with different labels; methods with equal labels are always compared; may be repeated",
    )
    parser.add_argument(
        "--fail-if-worse",
        action="append",
        default=[],
        metavar="METRIC",
        help="exit with 1 if a cell is significantly worse by this metric, and with 3 if a cell could not be compared; "
        "may be repeated",
    )
    parser.add_argument(
        "--tolerance",
        action="append",
        default=[],
        metavar="METRIC=NUMBER",
        help="accept a mean that is worse by at most this much; may be repeated; required for metrics without a test, "
        "such as fid",
    )
    add_publish_arguments(parser)
    options = parser.parse_args(args)
    if options.new is not None:
        refuse_to_publish(parser, options, "the comparison of two folders")
        return _compare(options)
    for name in ("out", "method", "fail_if_worse", "tolerance"):
        if getattr(options, name):
            parser.error(f"--{name.replace('_', '-')} needs two folders: inpaint-zoo report OLD NEW")

    from inpaint_zoo.benchmark.report import write_report
    from inpaint_zoo.benchmark.report.run_folder import read_run

    publishers = checked_publishers(parser, options)
    found = read_run(options.folder)
    console.print(str(write_report(found)), markup=False, soft_wrap=True)
    return 0 if publish(found, publishers) else 1


def _compare(options: Namespace) -> int:
    from inpaint_zoo.benchmark.across_runs import compare_runs, failing_cells, write_differences
    from inpaint_zoo.benchmark.across_runs.obstacles import cell_name
    from inpaint_zoo.benchmark.across_runs.pages import metric_summary, metric_title, notes
    from inpaint_zoo.benchmark.report.run_folder import read_run

    methods = split_pairs("--method", "OLD=NEW, two labels", options.method)
    tolerances = _numbers(split_pairs("--tolerance", "METRIC=NUMBER, such as psnr=0.05", options.tolerance))
    found = compare_runs(read_run(options.folder), read_run(options.new), methods)
    failing = failing_cells(found, options.fail_if_worse, tolerances)
    if found.changes:
        table = Table("what changed", "old", "new", box=box.SIMPLE_HEAD, pad_edge=False)
        for change in found.changes:
            table.add_row(*map(escape, change))
        print_table(table)
    else:
        console.print("nothing changed that the runs record\n")
    for key, reason in found.not_compared.items():
        err_console.print(f"[yellow]not compared:[/yellow] {escape(f'{cell_name(key)}: {reason}')}", soft_wrap=True)
    for name, info in found.infos.items():
        console.print(f"[bold]{escape(f'{metric_title(info)}: {metric_summary(found, name)}')}[/bold]", soft_wrap=True)
        columns = [at for at, head in enumerate(NUMBERS) if head != "interval" or console.width >= WIDE]
        table = Table(Column("method", overflow="fold"), box=box.SIMPLE_HEAD, pad_edge=False)
        for at in columns:
            table.add_column(NUMBERS[at], justify="right", no_wrap=True)
        table.add_column("result", no_wrap=True)
        for (dataset, mask), cells in groupby(found.of_metric(name), key=lambda each: (each.dataset, each.mask)):
            table.add_row(f"[dim]{escape(f'{dataset}, {mask}')}[/dim]")
            for each in cells:
                row = (each.method, *(each.texts()[at] for at in columns), each.verdict)
                table.add_row(*map(escape, row), style=STYLES.get(each.verdict))
            table.add_section()
        print_table(table)
    for line in notes(found)[1:]:
        console.print(f"[dim]{escape(line)}[/dim]", soft_wrap=True)
    if options.out is not None:
        console.print(f"comparison: {escape(str(write_differences(found, options.out)))}", soft_wrap=True)
    for line in failing.too_few:
        note_console.print(f"[yellow]note:[/yellow] {escape(line)}", soft_wrap=True)
    for each in failing.worse:
        where = f"{each.method} on {each.dataset}, {each.mask}"
        line = f"{where}: {metric_title(each.info)} {each.texts()[0]} -> {each.texts()[1]}"
        err_console.print(f"[red]worse:[/red] {escape(line)}", soft_wrap=True)
    if failing.worse:
        return 1
    return NOT_COMPARED if options.fail_if_worse and failing.not_compared else 0


def _numbers(pairs: dict[str, str]) -> dict[str, float]:
    numbers = {}
    for name, text in pairs.items():
        try:
            numbers[name] = float(text)
        except ValueError:
            raise ZooError(f"--tolerance {name}={text}: must be a number, such as psnr=0.05.") from None
    return numbers
