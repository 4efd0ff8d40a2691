"""`inpaint-zoo sweep`: train what the rows of a suite need, and put the weights where `benchmark` finds them."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from inpaint_zoo.cli.bundled import bundled_file
from inpaint_zoo.cli.common import command_parser, console, err_console, note_console, split_pairs
from inpaint_zoo.config import checked, whole
from inpaint_zoo.errors import ZooError
from inpaint_zoo.weights import weights_folder

if TYPE_CHECKING:
    from inpaint_zoo.benchmark.missing import Missing
    from inpaint_zoo.cli.sweep_check import Checked
    from inpaint_zoo.cli.sweep_jobs import Result, Submit
    from inpaint_zoo.cli.sweep_run import Run

__all__ = ["run"]

MISSING = 3  # exit code: complete except for what is missing
RESERVED = ("data.train", "data.val", "data.test", "data.root", "out", "ckpt_path", "config", "model.network")
SLURM_AT_ONCE = 1000  # jobs in the queue at a time, unless --jobs limits them


def _parser() -> ArgumentParser:
    parser = command_parser(
        "sweep",
        "Train the networks that a suite scores: list, check and start one run of `fit` for each weight file. Runs "
        "that are done are skipped, and interrupted ones are resumed. `benchmark` with the same --weights-root then "
        "uses the weights.",
    )
    parser.add_argument(
        "suite",
        metavar="SUITE",
        help="a file or a suite of the package; its methods state their training configurations",
    )
    parser.add_argument(
        "--out", metavar="DIR", required=True, help="folder of the runs; may be shared by several suites"
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--dry-run", action="store_true", help="check everything and list the runs, but train nothing")
    what.add_argument(
        "--submit",
        choices=["local", "slurm"],
        help="start the runs on this machine or as jobs of SLURM, and wait for them (pip install 'inpaint-zoo[slurm]')",
    )
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="folder of a dataset (default: its folder in INPAINT_ZOO_DATA); may be repeated",
    )
    parser.add_argument(
        "--weights-root",
        metavar="DIR",
        help="folder for the weight files (default: the folder set in INPAINT_ZOO_WEIGHTS, then `weights` in --out)",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="AXIS=GLOB",
        help="only these runs: method= or dataset= with a shell pattern; may be repeated",
    )
    parser.add_argument(
        "--config", action="append", default=[], metavar="FILE", help="a configuration to add to all runs, as for fit"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of fit for all runs, such as trainer.max_steps=200; weight files and reports state it",
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="runs at a time (default: 1 for local, all for slurm)")
    parser.add_argument(
        "--slurm",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of sbatch: time (in minutes; required), partition, gpus_per_node, mem, ...; may be repeated",
    )
    return parser


def _selected(runs: Sequence[Run], only: Sequence[str]) -> list[Run]:
    """Return the runs that `--only` selects."""
    from inpaint_zoo.benchmark.missing import MissingCell
    from inpaint_zoo.benchmark.plan import select

    for word in only:
        if word.startswith("mask="):
            raise ZooError(f"--only {word}: a training is selected by method= or dataset=, not by its mask set.")
    labels = [MissingCell(label, run.tested.label, "", ()) for run in runs for label in run.labels]
    wanted = {(cell.method, cell.dataset) for cell in select(labels, only) if isinstance(cell, MissingCell)}
    return [run for run in runs if any((label, run.tested.label) in wanted for label in run.labels)]


def _given(words: Sequence[str]) -> dict[str, Any]:
    """Return the options of `--set`.

    Raises:
        ZooError: If one of them belongs to the sweep itself.
    """
    from inpaint_zoo.cli.sweep_run import parse_value

    given = split_pairs("--set", "KEY=VALUE, such as trainer.max_steps=200", words)
    for key in given:
        if key.replace("init_args.", "") in RESERVED:
            raise ZooError(f"--set {key}: the sweep sets it itself, from the suite and its own options.")
    return {key: parse_value(text) for key, text in given.items()}


def _state(each: Checked) -> str:
    if each.over:
        return (
            f"done, {each.step:,} steps" if each.state == "done" else f"kept: {each.detail or 'weights from elsewhere'}"
        )
    if each.missing:
        return "missing"
    if each.state == "running":
        return "running in another process"
    start = f"resumable at step {each.step:,}" if each.state == "resumable" else "not started"
    return f"{start}; waits for {', '.join(each.waits)}" if each.waits else start


def _show(runs: Sequence[Checked]) -> None:
    """Print each run with its state, its command, and what is missing."""
    from inpaint_zoo.cli.sweep_run import shown_path

    colors = {"done": "green", "kept": "green", "running": "yellow", "resumable": "yellow", "new": "bold"}
    for each in runs:
        run = each.run
        color = "red" if each.missing else colors[each.state]
        console.print(f"[bold]{escape(run.name)}[/bold] [{color}]{escape(_state(each))}[/{color}]", soft_wrap=True)
        images = "no images found" if each.images is None else f"{each.images:,} images"
        few = (run.splits["train"] or {}).get("select", {}).get("few_shot")
        images += f" ({few}-shot)" if few else ""
        images += f" ({each.difference})" if each.difference else ""
        steps = "steps unknown" if each.steps is None else f"{each.steps:,} steps"
        if each.steps != each.steps_of_recipe:
            steps += f" of {each.steps_of_recipe or 0:,}"
        parts = (", ".join(run.labels), run.config, f"{run.data}: {images}", steps, f"to {shown_path(run.target)}")
        console.print(f"  {escape('; '.join(parts))}", soft_wrap=True)
        first = {argument: f"<the newest checkpoint of {name}>" for argument, name in run.start.items()}
        command = shlex.join(["inpaint-zoo", "fit", *run.words(first, short=True), "--ckpt_path", "last"])
        console.print(f"  [dim]{escape(command)}[/dim]", soft_wrap=True)
    _show_missing(runs)


def _show_missing(runs: Sequence[Checked]) -> None:
    parts: dict[Missing, int] = {}
    for part in (part for each in runs for part in each.missing):
        parts[part] = parts.get(part, 0) + 1
    for part, count in parts.items():
        text = f"{part.what} ({count} run{'' if count == 1 else 's'}): {part.where}"
        err_console.print(f"[yellow]missing:[/yellow] {escape(text)}", soft_wrap=True)


def _count(runs: Sequence[Checked]) -> str:
    missing = [each for each in runs if each.missing]
    counts = {
        "done": sum(each.state == "done" for each in runs),
        "with weights from elsewhere": sum(each.state == "kept" for each in runs),
        "running": sum(each.state == "running" and not each.missing for each in runs),
        "resumable": sum(each.state == "resumable" and not each.missing for each in runs),
        "not started": sum(each.state == "new" and not each.missing for each in runs),
        "missing something": len(missing),
    }
    parts = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{len(runs)} run{'' if len(runs) == 1 else 's'}: {parts}"


def _submitter(options: Namespace, runs: Sequence[Checked]) -> tuple[Submit, int]:
    """Return the function that starts jobs, and their largest number at a time."""
    from inpaint_zoo.cli.sweep_jobs import local_submitter, slurm_submitter
    from inpaint_zoo.cli.sweep_run import parse_value

    folders = {each.run.name: each.run.folder for each in runs}
    at_once = checked("--jobs", options.jobs, whole(1)) if options.jobs is not None else None
    slurm = {key: parse_value(text) for key, text in split_pairs("--slurm", "KEY=VALUE", options.slurm).items()}
    try:
        import submitit  # noqa: F401 - the extra may not be installed
    except ModuleNotFoundError:
        raise ZooError("--submit needs the package submitit: pip install 'inpaint-zoo[slurm]'.") from None
    if options.submit == "local":
        if slurm:
            raise ZooError("--slurm applies only to --submit slurm.")
        return local_submitter(folders, at_once or 1), at_once or 1
    checked("--slurm time (minutes of a job)", slurm.get("time"), whole(1))
    _check_batches(runs, slurm)
    return slurm_submitter(folders, slurm), at_once or SLURM_AT_ONCE


def _check_batches(runs: Sequence[Checked], slurm: Mapping[str, Any]) -> None:
    """Check that the processes of each job can divide its batches.

    Raises:
        ZooError: If they cannot; the message names the run.
    """
    from inpaint_zoo.data.module import BATCH_SIZE
    from inpaint_zoo.data.sampling import divided

    count = 1
    for key in ("nodes", "tasks_per_node"):
        count *= checked(f"--slurm {key}", slurm.get(key, 1), whole(1))
    for each in runs:
        try:
            divided(int(each.run.final_settings["data"]["init_args"].get("batch_size", BATCH_SIZE)), count)
        except ZooError as error:
            raise ZooError(f"{each.run.name}, --slurm tasks_per_node and nodes: {error}") from None


def _conclude(results: Mapping[str, Result], runs: Sequence[Checked]) -> int:
    """Print how the runs ended, and return the exit code."""
    failed = {name: result for name, result in results.items() if result.code}
    for name, result in failed.items():
        err_console.print(f"[red]failed:[/red] {escape(name)}", soft_wrap=True)
        for line in result.log.splitlines():
            err_console.print(f"  {escape(line)}", soft_wrap=True)
    over = sum(each.over for each in runs)
    missing = [each for each in runs if each.missing and not each.over]
    running = [each for each in runs if each.state == "running" and not each.missing]
    waiting = len(runs) - len(results) - over - len(missing) - len(running)
    parts = [f"{len(results) - len(failed)} trained", f"{over} done before"]
    parts += [f"{len(failed)} failed"] if failed else []
    parts += [f"{len(missing)} missing something"] if missing else []
    parts += [f"{len(running)} running in other processes"] if running else []
    parts += [f"{waiting} waiting for them"] if waiting else []
    console.print(f"runs: {', '.join(parts)}")
    if failed:
        return 1
    return MISSING if missing or running else 0


def run(args: list[str]) -> int:
    """Run the command; return 1 if runs failed, 3 if something is missing, else 0."""
    options = _parser().parse_args(args)
    if options.dry_run and (options.slurm or options.jobs is not None):
        raise ZooError("--slurm and --jobs apply only to --submit.")
    from inpaint_zoo.benchmark import Places, load_suite  # and below Lightning, which takes seconds
    from inpaint_zoo.cli.sweep_check import check_runs
    from inpaint_zoo.cli.sweep_jobs import LOGS, run_jobs
    from inpaint_zoo.cli.sweep_plan import plan_runs
    from inpaint_zoo.cli.sweep_run import shown_path

    data = split_pairs("--data", "NAME=DIR", options.data)
    out = Path(options.out)
    suite = load_suite(bundled_file("suite", options.suite), Places(data))
    root = Path(options.weights_root).expanduser() if options.weights_root else weights_folder() or out / "weights"
    added = [bundled_file("configuration", file) for file in options.config]
    runs = _selected(plan_runs(suite, out, root, data, _given(options.set), added), options.only)
    found = check_runs(runs, download=not options.dry_run)
    if options.dry_run:
        _show(found)
        console.print(_count(found))
        return MISSING if any(each.missing for each in found) else 0
    submit, at_once = _submitter(options, found)
    _show_missing(found)
    console.print(_count(found))
    todo = [each for each in found if not each.over and not each.missing and each.state != "running"]
    todo = _startable(todo)
    results = run_jobs(todo, submit, at_once, lambda line: note_console.print(escape(line), soft_wrap=True))
    code = _conclude(results, found)
    console.print(f"weights: {escape(shown_path(root))}; logs: {LOGS} in the folders of the runs", soft_wrap=True)
    return code


def _startable(todo: Sequence[Checked]) -> list[Checked]:
    """Return the runs without those that wait for a run that is not among them."""
    names = {each.run.name for each in todo}
    kept = [each for each in todo if names.issuperset(each.waits)]
    return kept if len(kept) == len(todo) else _startable(kept)
