"""The part of a run that the ranks other than 0 do: they follow the orders of rank 0 until there are no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from inpaint_zoo.analysis.machine import exact
from inpaint_zoo.benchmark.compute import worker_threads
from inpaint_zoo.benchmark.identity import code_sha256
from inpaint_zoo.benchmark.methods import Method
from inpaint_zoo.benchmark.options import Options
from inpaint_zoo.benchmark.plan import Plan, make_plan, open_sources
from inpaint_zoo.benchmark.ranks.group import ManyRanks
from inpaint_zoo.benchmark.ranks.orders import CheckPlan, ComputeCell, ComputeFeatures
from inpaint_zoo.benchmark.ranks.shares import Shares
from inpaint_zoo.benchmark.suite import Suite
from inpaint_zoo.errors import ZooError

__all__ = ["follow"]


def follow(load: Callable[[], Suite], out: Path, options: Options, ranks: ManyRanks) -> None:
    """Compute what rank 0 orders. Only finished parts of cells are written; rank 0 writes everything else.

    Args:
        load: Reads the suite as rank 0 has done.
        out: The folder of results, which rank 0 has locked.
        options: Options of the run.
        ranks: The ranks.
    """
    order = ranks.next_order()
    if not isinstance(order, CheckPlan):  # rank 0 has refused the run, or has found nothing to do
        return
    options = replace(options, workers=ranks.workers(options.workers))
    plan: Plan | None = None
    try:
        suite = load()
        # rank 0 has stored which images can be read
        sources = open_sources(suite, options.num_workers, out / "cache")
        plan = make_plan(suite, sources, ranks.device, options.precision)
        problem = _difference(order, plan, ranks)
    except ZooError as error:
        problem = str(error)
    ranks.collect(problem)
    if plan is None or problem is not None:
        ranks.next_order()  # the last one, because rank 0 refuses to continue
        return
    with worker_threads(options.num_workers) as pool, exact(ranks.device):
        _obey(plan, Shares(plan, pool, ranks.device, options, ranks, out, lambda: None), ranks)


def _difference(order: CheckPlan, plan: Plan, ranks: ManyRanks) -> str | None:
    """Return how the plan of this rank differs from that of rank 0; None if it is the same."""
    import torch

    if order.code != code_sha256():
        return "it runs other code of inpaint-zoo than rank 0; install the same version on all machines"
    for cell, expected in zip(plan.cells, order.cells, strict=False):
        if cell.key.id != expected:
            return f"it has other images, masks or weights than rank 0 for '{cell.key}'"
    if len(plan.cells) != len(order.cells):
        return f"it can compute {len(plan.cells)} cells of the suite, but rank 0 can compute {len(order.cells)}"
    if ranks.device.type == "cpu" and torch.get_num_threads() != order.threads:
        return (
            f"torch uses {torch.get_num_threads()} threads there and {order.threads} on rank 0, on which the last "
            "digits of the numbers can depend; set OMP_NUM_THREADS to one number on all machines"
        )
    return None


def _obey(plan: Plan, shares: Shares, ranks: ManyRanks) -> None:
    running: Method | None = None
    try:
        while (order := ranks.next_order()) is not None:
            if isinstance(order, ComputeFeatures):
                shares.features(plan.sources.image_sets[order.number])
            elif isinstance(order, ComputeCell):
                cell = plan.cells[order.number]
                if running is not None and running is not cell.method:
                    running.close()
                running = cell.method
                shares.compute(cell, order.positions.tolist(), None, alone=False)
    finally:
        if running is not None:
            running.close()
