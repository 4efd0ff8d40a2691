"""Totals over the cells of a run, for `provenance.json`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from inpaint_zoo.analysis.cost import pool
from inpaint_zoo.benchmark.breakdown import added

__all__ = ["totals"]


def totals(records: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Return the costs of each method on each device, the number of capped values, and the time of each stage.

    The keys are `complexity`, `capped` and `seconds`.

    Args:
        records: Label of the method and content of `cell.json`, for each cell.
    """
    costs: dict[tuple[str, str], list[dict[str, Any]]] = {}  # by method and device, which are never mixed
    capped: dict[str, int] = {}
    laps: list[dict[str, float]] = []
    for method, record in records:
        if record.get("costs"):
            costs.setdefault((method, record["costs"]["device"]), []).append(record["costs"])
        laps.append(record.get("seconds", {}))
        for metric, count in record.get("capped", {}).items():
            capped[metric] = capped.get(metric, 0) + count
    complexity = [{"method": method, **pool(each)} for (method, _), each in costs.items()]
    return {"complexity": complexity, "capped": capped, "seconds": added(laps)}
