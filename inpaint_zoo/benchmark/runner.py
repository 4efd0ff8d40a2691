"""Run a suite: compute the missing cells, and write the tables of all cells that are done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from inpaint_zoo.analysis.machine import exact
from inpaint_zoo.benchmark.compute import worker_threads
from inpaint_zoo.benchmark.cost_keys import COSTS_FILE
from inpaint_zoo.benchmark.costs import measure_costs
from inpaint_zoo.benchmark.execution import Execution
from inpaint_zoo.benchmark.families import one_of_each
from inpaint_zoo.benchmark.images import Unreadable
from inpaint_zoo.benchmark.missing import MissingCell, by_part, missing_line
from inpaint_zoo.benchmark.options import Failure, LeftOut, Listener, Options
from inpaint_zoo.benchmark.plan import Cell, Sources, make_plan, open_sources, refuse_one_file, select
from inpaint_zoo.benchmark.ranks.group import Ranks
from inpaint_zoo.benchmark.stages import store_stages
from inpaint_zoo.benchmark.stamp import STAMP
from inpaint_zoo.benchmark.store import open_store, read_json, refuse_foreign
from inpaint_zoo.benchmark.suite import Suite
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import write_bytes

if TYPE_CHECKING:
    from inpaint_zoo.benchmark.report.run_folder import Run

__all__ = ["Outcome", "mention_unreadable", "run_suite"]


@dataclass(frozen=True)
class Outcome:
    """Outcome of a run.

    Attributes:
        computed: Number of newly computed cells.
        skipped: Number of selected cells that were already done.
        failed: Selected cells that failed.
        missing: Selected cells that lack a dataset, mask files, weights, or the backbones of all metrics.
        not_applicable: Number of cells that do not apply, such as a mosaic for a method that does not see it.
        unreadable: Files that are not readable images.
        left_out: Images of the selected cells that lack values of some or all metrics.
        skipped_metrics: Metrics whose weights are missing -> a line that says which file to put where.
        report: Path of the report; None if no cell is done and the suite states no costs and no printed table.
        run: The content of the folder that the report shows; None if there is no report.
        seconds: Time of each stage (`breakdown.STAGES`) of this run's cells.
    """

    computed: int
    skipped: int
    failed: tuple[Failure, ...]
    missing: tuple[MissingCell, ...]
    not_applicable: int
    unreadable: tuple[Unreadable, ...]
    left_out: tuple[LeftOut, ...]
    skipped_metrics: Mapping[str, str]
    report: Path | None
    run: Run | None
    seconds: Mapping[str, float]


def run_suite(
    suite: Suite,
    out: str | Path,
    options: Options | None = None,
    listener: Listener | None = None,
    ranks: Ranks | None = None,
) -> Outcome:
    """Compute the missing cells of a suite in the folder ``out``, and write its tables and report.

    A cell that fails is recorded with its error and computed again by the next run; the other cells continue. Cells
    whose dataset, mask files or weights are not there are left out, and the next run computes those whose parts have
    been added.

    Args:
        suite: The suite.
        out: The folder of results.
        options: Options of the run.
        listener: Receives the events of the run.
        ranks: The processes of the run, of which this one is rank 0 (see `join_ranks`); None for this one alone. The
            others call `follow`.

    Raises:
        ZooError: If the suite is invalid, images are unreadable and ``allow_missing`` is False, or the folder contains
            something else. Nothing is changed in these cases.
    """
    from inpaint_zoo.benchmark.report import write_report
    from inpaint_zoo.benchmark.report.run_folder import read_run
    from inpaint_zoo.inference.device import choose_device

    out, options, listener, ranks = Path(out), options or Options(), listener or Listener(), ranks or Ranks()
    options = replace(options, workers=ranks.workers(options.workers))
    refuse_foreign(out, suite)
    if suite.rehearsal:
        listener.note(STAMP)
    device = ranks.device or choose_device(options.device)
    sources = open_sources(suite, options.num_workers, out / "cache")
    mention_unreadable(sources, options.allow_missing, listener)
    plan = make_plan(suite, sources, device, options.precision)
    every: list[Cell | MissingCell] = [*plan.cells, *plan.missing]
    chosen = select(every, options.only) if every else []
    selected = [cell for cell in chosen if isinstance(cell, Cell)]
    missing = tuple(cell for cell in chosen if isinstance(cell, MissingCell))
    refuse_one_file(selected)
    for part, cells in by_part(missing).items():
        listener.note(f"missing: {missing_line(part, len(cells))}")
    without: dict[str, list[str]] = {}  # FID, KID and U-IDS lack the same file
    for metric, reason in plan.scorer.skipped.items():
        without.setdefault(reason, []).append(metric)
    for reason, metrics in without.items():
        listener.note(f"metric{'s' if len(metrics) > 1 else ''} {', '.join(metrics)} skipped: {reason}")
    with open_store(out, suite) as store, worker_threads(options.num_workers) as pool, exact(device):
        for image_set in sources.image_sets:
            image_set.remember()
        for masks in sources.masks:
            masks.remember()
            write_bytes(out / "masks" / f"{masks.label}.yaml", masks.to_yaml().encode())
        for cell in plan.cells:
            store.rename(cell.key)
        todo = [cell for cell in selected if options.fresh or not store.is_done(cell.key)]
        run = Execution(plan, store, pool, device, options, listener, ranks)
        if todo:
            run.mention_other_code()
            run.check_ranks()
        listener.begin(len(todo), sum(len(cell.task.keys) for cell in todo))
        try:
            failed = run.compute(todo)
        except KeyboardInterrupt:
            run.assemble()
            raise
        with run.clock.stage("write"):
            run.assemble()
        seconds = run.clock.total()
        if suite.gallery is not None:
            store_stages(selected, suite.gallery.stages, options.gallery, store, device, options.precision)
        if suite.costs is not None:
            networks = one_of_each(suite.methods)
            measure_costs(
                suite.rehearsal.networks if suite.rehearsal else networks,
                [entry.spec["name"] for entry in suite.datasets],
                suite.costs,
                () if suite.datasets else sources.masks,
                out,
                device,
                precision=options.precision,
                fresh=options.fresh,
                known=read_json(out / COSTS_FILE) or {},
                stamp=store.stamp,
                timed={entry.label: entry for entry in networks} if suite.rehearsal else {},
            )
        left_out = tuple(run.left_out(selected))
        done = any(store.is_done(cell.key) for cell in plan.cells)
        shown = read_run(out) if done or suite.costs or suite.paper else None
        report = write_report(shown) if shown else None
    return Outcome(
        computed=len(todo) - len(failed),
        skipped=len(selected) - len(todo),
        failed=tuple(failed),
        missing=missing,
        not_applicable=len(plan.not_applicable),
        unreadable=tuple(sources.unreadable),
        left_out=left_out,
        skipped_metrics=plan.scorer.skipped,
        report=report,
        run=shown,
        seconds=seconds,
    )


def mention_unreadable(sources: Sources, allow_missing: bool, listener: Listener) -> None:
    """Notify the listener about unreadable files and about probable mistakes in mask files.

    Raises:
        ZooError: If there are unreadable files and ``allow_missing`` is False, or if a dataset has no readable image.
    """
    for problem in sources.unreadable:
        listener.note(f"{problem.path}: {problem.reason}")
    for masks in sources.masks:
        for line in masks.doubts:
            listener.note(f"mask set '{masks.label}': {line}")
    for image_set in sources.image_sets:
        if not image_set.indices:
            raise ZooError(f"No image of the dataset '{image_set.label}' can be read.")
    if sources.unreadable and not allow_missing:
        count, first = len(sources.unreadable), sources.unreadable[0]
        raise ZooError(
            f"{count} of the suite's images cannot be read, the first is {first.path} ({first.reason}); "
            "--allow-missing scores the others."
        )
