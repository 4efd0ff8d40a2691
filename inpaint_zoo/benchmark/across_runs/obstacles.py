"""Why a cell of two runs, or one of its metrics, cannot be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inpaint_zoo.benchmark.report.run_folder import Cell, Run
from inpaint_zoo.metrics import MetricInfo

__all__ = ["Key", "cell_name", "cell_of", "metric_obstacle", "obstacle", "record_of"]

Key = tuple[str, str, str, str]
"""A cell of two runs: old label, new label, dataset, mask set."""


def cell_of(key: Key, side: int) -> Cell:
    """Return the labels of a cell in the old run (side 0) or the new run (side 1)."""
    return key[side], key[2], key[3]


def record_of(run: Run, key: Key, side: int) -> dict[str, Any]:
    """Return the content of `cell.json`."""
    return run.cells[cell_of(key, side)][1]


def cell_name(key: tuple[str, str, str, str, str]) -> str:
    """Return a key of `RunDifferences.not_compared` in words."""
    old, new, dataset, mask, metric = key
    method = old if old == new else f"{old} → {new}"
    return f"{method} on {dataset}, {mask}" + (f", {metric}" if metric else "")


def obstacle(old: Run, new: Run, key: Key) -> str:
    """Return why a cell cannot be compared; empty if it can."""
    for run, side, name in ((old, 0, "old"), (new, 1, "new")):
        cell = cell_of(key, side)
        if cell in run.missing:
            return f"no numbers in the {name} run ({run.missing[cell]})"
    before, after = (record_of(run, key, side)["provenance"] for run, side in ((old, 0), (new, 1)))
    if before["dataset_identity"] != after["dataset_identity"]:
        return "the images differ"
    if before["mask_identity"] != after["mask_identity"]:
        return "the masks differ"
    if before["suite_seed"] != after["suite_seed"]:
        return f"the masks differ, because the seeds are {before['suite_seed']} and {after['suite_seed']}"
    return ""


def metric_obstacle(before: Mapping[str, Any], after: Mapping[str, Any], info: MetricInfo) -> str:
    """Return why a metric of a cell cannot be compared; empty if it can."""
    how = [record["provenance"]["metrics"].get(info.name) for record in (before, after)]
    backbones = [record["provenance"].get("backbones", {}).get(info.name) for record in (before, after)]
    if how[1] is None:
        return "the new run lacks this metric"
    if how[0] != how[1]:
        return f"computed by {how[0]} and by {how[1]}"
    if backbones[0] != backbones[1]:
        return "the weights of the metric's backbone differ"
    if (info.name in before.get("from_bytes", ())) != (info.name in after.get("from_bytes", ())):
        return "one run measured 8-bit results, the other one unrounded results"
    if not info.per_image and before.get("left_out", {}).keys() != after.get("left_out", {}).keys():
        return "the values are of different sets, because one run left out images"
    return ""
