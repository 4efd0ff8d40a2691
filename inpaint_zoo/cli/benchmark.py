"""`inpaint-zoo benchmark`: score methods on datasets and mask sets; an interrupted run can be resumed."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich import box
from rich.markup import escape
from rich.table import Column, Table

from inpaint_zoo.benchmark import CellKey, Listener
from inpaint_zoo.cli.bundled import bundled_file, bundled_folder
from inpaint_zoo.cli.common import (
    command_parser,
    console,
    err_console,
    note_console,
    print_table,
    progress_bar,
    split_pairs,
)
from inpaint_zoo.cli.publish import add_publish_arguments, checked_publishers, publish, refuse_to_publish
from inpaint_zoo.config import checked, whole

if TYPE_CHECKING:
    from inpaint_zoo.benchmark import Outcome, Suite
    from inpaint_zoo.benchmark.report.paper import Comparison
    from inpaint_zoo.benchmark.report.paper_cells import Compared

__all__ = ["run"]

MISSING = 3  # exit code: complete except for what is missing
NAMED = 8  # missing things that the last lines name; the notes name all of them
COLUMN = 44  # letters that the three numbers of a comparison need on a terminal


def _parser() -> ArgumentParser:
    parser = command_parser(
        "benchmark",
        "Score methods on datasets and mask sets. Cells that are done are not computed again, and an interrupted run "
        "is resumed where it stopped.",
    )
    parser.add_argument(
        "suite",
        nargs="?",
        metavar="SUITE",
        help="what to compare: a YAML file with methods, datasets, masks and metrics, or a suite of the package, such "
        "as quickstart",
    )
    parser.add_argument("--out", metavar="DIR", help="folder of the results, new or of this suite; required")
    parser.add_argument(
        "--list",
        nargs="?",
        const="",
        metavar="FOLDER",
        help="list the suites in a folder (default: those of the package) and what of them is missing here, and stop",
    )
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="folder of a dataset of the suite, or of mask files such as nvidia_irregular; may be repeated",
    )
    parser.add_argument(
        "--weights",
        action="append",
        default=[],
        metavar="LABEL=FILE",
        help="weight file of a method of the suite; {dataset} in it stands for the dataset's name; may be repeated",
    )
    parser.add_argument(
        "--weights-root",
        metavar="DIR",
        help="folder of the suite's relative weight files (default: the folder set in INPAINT_ZOO_WEIGHTS, then the "
        "suite's folder)",
    )
    parser.add_argument(
        "--device",
        "--accelerator",
        choices=["auto", "cpu", "cuda", "mps"],
        default="auto",
        help="kind of device on which networks run; Lightning calls this option --accelerator",
    )
    parser.add_argument(
        "--devices",
        type=int,
        metavar="N",
        help="number of processes on this machine, which share the images of every cell, each with its own GPU; on a "
        "CPU they share the cores (default: 1, or those that torchrun or srun has started)",
    )
    parser.add_argument(
        "--num-nodes",
        type=int,
        metavar="N",
        help="number of machines with --devices processes each; the same command runs on every machine, started by "
        "torchrun or srun, or by hand with MASTER_ADDR, MASTER_PORT and NODE_RANK in the environment (default: 1)",
    )
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="of networks, not of metrics")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="threads to decode and score; 0: all cores")
    parser.add_argument("--batch-size", type=int, default=1, metavar="N", help="images in one forward pass")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="AXIS=GLOB",
        help="compute only these cells: method=, dataset= or mask= with a shell pattern; may be repeated",
    )
    parser.add_argument("--fresh", action="store_true", help="compute cells again that are already done")
    parser.add_argument(
        "--allow-missing",
        action="store_true",
        help="score the other images if some are unreadable or have no mask, and exit with status 0 in this case and "
        "if datasets, weights or backbones are missing",
    )
    parser.add_argument(
        "--rehearse",
        action="store_true",
        help="run the whole suite in seconds with sample images, stand-in masks, small networks and random backbones, "
        "to see the form of its tables; the numbers mean nothing, and every file says so",
    )
    parser.add_argument("--gallery", type=int, default=6, metavar="N", help="images shown for each dataset")
    parser.add_argument(
        "--export-inputs",
        metavar="FOLDER",
        help="write the masked images and the masks for another program, and stop",
    )
    add_publish_arguments(parser)
    return parser


class _Display(Listener):
    """Shows two progress bars on a terminal, and otherwise prints a line for each cell."""

    def __init__(self) -> None:
        self._progress = progress_bar()
        self._cells = self._progress.add_task("cells", total=None)
        self._images = self._progress.add_task("images", total=None)
        self._planned = 0
        self._finished = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def note(self, text: str) -> None:
        note_console.print(f"[yellow]note:[/yellow] {escape(text)}", soft_wrap=True)

    def begin(self, cells: int, images: int) -> None:
        self._planned = cells
        self._progress.update(self._cells, total=cells)
        self._progress.update(self._images, total=images)

    def cell(self, key: CellKey) -> None:
        self._progress.update(self._cells, description=escape(str(key)))

    def image(self) -> None:
        self._progress.advance(self._images)

    def finish(self, key: CellKey, error: str | None) -> None:
        self._finished += 1
        self._progress.advance(self._cells)
        if self._progress.disable:
            failed = " failed" if error is not None else ""
            note_console.print(f"{self._finished}/{self._planned} {escape(str(key))}{failed}", soft_wrap=True)


def _beside_the_paper(comparison: Comparison) -> Iterator[Table | str]:
    """Yield a table for each part of the comparison, with as many columns as a terminal shows, and the coverage."""
    from inpaint_zoo.benchmark.report.paper import groups
    from inpaint_zoo.cli.ranking import SHOWN_TABLES

    for panel in comparison.panels[:SHOWN_TABLES]:
        for at in groups(panel, max(1, (console.width - 20) // COLUMN)):
            title = ", ".join(filter(None, (comparison.title, panel.title)))
            table = Table(
                Column("method", overflow="fold"),
                box=box.SIMPLE_HEAD,
                pad_edge=False,
                title=escape(title),
                title_justify="left",
            )
            for k in at:
                head = escape(", ".join(filter(None, panel.columns[k])))
                for name in (f"{head}\npaper", "\nours", "\ndifference"):
                    table.add_column(name, justify="right", overflow="fold")
            for label, quoted, cells in panel.rows:
                row = [part for k in at for part in _three(cells[k])]
                table.add_row(escape(label), *row, style="dim" if quoted else None)
            yield table
    yield f"{comparison.coverage}; dim: only the paper has numbers"


def _three(cell: Compared | None) -> tuple[str, str, str]:
    if cell is None:
        return "", "", ""
    kind = f" ({cell.kind_text})" if cell.kind_text else ""
    return cell.paper_text, "missing" if cell.status == "missing" else cell.ours_text + kind, cell.difference_text


def _list(folder: str) -> int:
    """Print the suites of a folder: the table that each reproduces, its title, what can run and what it lacks."""
    from inpaint_zoo.benchmark import list_suites

    for listed in list_suites(folder or bundled_folder("suite")):
        if not listed.missing:
            state = "[green]ready[/green]"
        elif listed.cells:
            state = f"[yellow]{listed.ready} of {listed.cells} cells can run[/yellow]"
        else:
            state = "[red]invalid[/red]"
        title = (
            f"{listed.paper}: {listed.title.removeprefix(listed.paper).lstrip(': ')}" if listed.paper else listed.title
        )
        console.print(f"[bold]{escape(str(listed.path))}[/bold] {state}", soft_wrap=True)
        console.print(f"  {escape(title)}", soft_wrap=True)
        for line in listed.missing:
            console.print(f"  [dim]{'missing' if listed.cells else 'error'}:[/dim] {escape(line)}", soft_wrap=True)
        for line in listed.stand_ins:
            console.print(f"  [dim]stand-in:[/dim] {escape(line)}", soft_wrap=True)
    return 0


def _conclude(outcome: Outcome, out: Path, allow_missing: bool, rehearsal: bool) -> int:
    from inpaint_zoo.benchmark.breakdown import seconds_line
    from inpaint_zoo.benchmark.report.paper import compare
    from inpaint_zoo.benchmark.stamp import STAMP
    from inpaint_zoo.cli.ranking import print_findings, ranking

    stamp = f"[bold yellow]{STAMP}[/bold yellow]" if rehearsal else ""
    if outcome.run is not None:
        if stamp:
            console.print(stamp, soft_wrap=True)
        if len(outcome.run.summary):
            print_table(ranking(out))
        if comparison := compare(outcome.run):
            for part in _beside_the_paper(comparison):
                console.print(part)
    parts = [f"{outcome.computed} computed", f"{outcome.skipped} done before"]
    parts += [f"{len(outcome.failed)} failed"] if outcome.failed else []
    parts += [f"{len(outcome.missing)} missing"] if outcome.missing else []
    parts += [f"{outcome.not_applicable} not applicable"] if outcome.not_applicable else []
    console.print(f"cells: {', '.join(parts)}")
    if outcome.computed:
        console.print(f"time: {seconds_line(outcome.seconds)}", soft_wrap=True)
    if outcome.missing:
        whats = list(dict.fromkeys(part.what for cell in outcome.missing for part in cell.parts))
        more = f" and {len(whats) - NAMED} more" if len(whats) > NAMED else ""
        named = escape(", ".join(whats[:NAMED]) + more)
        console.print(f"missing: {named}; the notes above say where they go", soft_wrap=True)
    if outcome.missing and not (outcome.computed or outcome.skipped or outcome.failed):
        report = "there is no report" if outcome.report is None else "the report has no scores of ours"
        console.print(f"no cell could be computed, so {report}")
    if outcome.skipped_metrics:
        console.print(f"metrics skipped because weights are missing: {', '.join(outcome.skipped_metrics)}")
    if outcome.unreadable:
        console.print(f"unreadable images, left out: {len(outcome.unreadable)}")
    for image in outcome.left_out:
        where = f"{image.dataset}, {image.mask}: {image.image}"
        err_console.print(f"[yellow]left out:[/yellow] {escape(f'{where}: {image.reason}')}", soft_wrap=True)
    if outcome.run is not None:
        print_findings(outcome.run)
    if outcome.report is not None:
        console.print(f"report: {escape(str(outcome.report))}", soft_wrap=True)
    if stamp:
        console.print(stamp, soft_wrap=True)
    for failure in outcome.failed:
        err_console.print(f"[red]failed:[/red] {escape(str(failure.key))}: {escape(failure.error)}", soft_wrap=True)
    if outcome.failed or (outcome.left_out and not allow_missing):
        return 1
    return MISSING if (outcome.missing or outcome.skipped_metrics) and not allow_missing else 0


def _refuse_places(parser: ArgumentParser, options: Namespace) -> None:
    """End with an error if an option that names inputs of a real run is given with `--rehearse`."""
    given = [name for name in ("data", "weights", "weights_root", "export_inputs") if getattr(options, name)]
    if given:
        parser.error(
            "--rehearse uses the sample images and small networks in place of the suite's data and weights, so it "
            f"takes no --{given[0].replace('_', '-')}. Leave out --rehearse for a real run."
        )


def run(args: list[str]) -> int:
    """Run the command; return 1 if cells failed or images were left out, 3 if something is missing, else 0."""
    parser = _parser()
    options = parser.parse_args(args)
    if options.list is not None:
        if options.suite or options.out or options.data or options.weights or options.weights_root or options.rehearse:
            parser.error("--list takes a folder, and no suite, --out, --data, --weights, --weights-root or --rehearse.")
        refuse_to_publish(parser, options, "--list")
        return _list(options.list)
    if options.suite is None or options.out is None:
        parser.error(f"{'SUITE' if options.suite is None else '--out DIR'} is required.")
    if options.rehearse:
        _refuse_places(parser, options)
    for name in ("devices", "num_nodes"):
        if getattr(options, name) is not None:
            checked(f"--{name.replace('_', '-')}", getattr(options, name), whole(1))
    from inpaint_zoo.benchmark import Options, Places, export_inputs, load_suite, rehearsed, run_suite
    from inpaint_zoo.benchmark.ranks import ManyRanks, find_launcher, follow, join_ranks

    places = Places(
        split_pairs("--data", "NAME=DIR", options.data),
        split_pairs("--weights", "LABEL=FILE", options.weights),
        options.weights_root,
    )
    settings = Options(
        device=options.device,
        precision=options.precision,
        workers=options.workers,
        batch_size=options.batch_size,
        only=tuple(options.only),
        fresh=options.fresh,
        allow_missing=options.allow_missing,
        gallery=options.gallery,
    )
    out = Path(options.out)

    def load() -> Suite:
        suite = load_suite(bundled_file("suite", options.suite), places)
        return rehearsed(suite) if options.rehearse else suite

    if options.export_inputs is not None:
        refuse_to_publish(parser, options, "--export-inputs")
        with _Display() as display:
            count = export_inputs(load(), options.export_inputs, settings, display)
        folder = escape(options.export_inputs)
        console.print(f"{count} inputs in {folder}/images and {folder}/masks", soft_wrap=True)
        return 0
    devices, num_nodes = options.devices or 1, options.num_nodes or 1
    if devices * num_nodes > 1 and find_launcher() is None:
        from inpaint_zoo.cli.ranks import launch_ranks

        return launch_ranks(
            run, args, suite=load(), out=out, device=options.device, devices=devices, num_nodes=num_nodes
        )
    with join_ranks(options.device, options.devices, options.num_nodes) as ranks:
        if isinstance(ranks, ManyRanks) and ranks.rank:
            follow(load, out, settings, ranks)
            return 0
        publishers = checked_publishers(parser, options)
        with _Display() as display:
            outcome = run_suite(load(), out, settings, display, ranks)
    code = _conclude(outcome, out, settings.allow_missing, options.rehearse)
    publish(outcome.run, publishers)
    return code
