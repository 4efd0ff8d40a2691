"""The configuration of a published method: what its numbers depend on, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inpaint_zoo.benchmark.report.run_folder import Run
from inpaint_zoo.io.atomic import sha256_json

__all__ = ["method_config", "networks_of"]

ELSEWHERE = ("label", "family", "paper")
"""Keys of an entry of the suite that are not part of the configuration, or have another key there."""
SHARED = ("weights_sha256", "weights_origin", "code_version", "code_sha256", "git_commit", "precision", "device")
FIGURES = ("size", "images", "device", "precision")
"""What the figures of a suite's `costs` depend on."""
CONVENTIONS = ("macs_convention", "macs_thop_convention", "latency_convention", "memory_convention")


def networks_of(run: Run, label: str) -> list[str]:
    """Return the labels of the networks of a method; it has several if it has draws or checkpoints."""
    return [network for network, method in run.networks.items() if method == label]


def method_config(run: Run, label: str, data: Mapping[str, str], masks: Mapping[str, str]) -> dict[str, Any]:
    """Return the configuration of a method. Values that differ between its cells are lists.

    W&B drops empty mappings, so that they would not replace earlier values; empty lists and None do.

    Args:
        run: The run.
        label: Label of the method.
        data: Label of each dataset -> its name in the names of metrics.
        masks: The same for the mask sets.
    """
    networks = networks_of(run, label)
    entry = next(entry for entry in run.suite["methods"] if entry["label"] in networks)
    records = {cell: record for cell, (_, record) in run.cells.items() if cell[0] in networks}
    made_by = [record.get("provenance") or {} for record in records.values()]
    identity = _common([content.get("method_identity") for content in made_by])
    options = identity.get("options") if isinstance(identity, dict) else None
    family = run.families.get(label)
    costs = [cost for cost in run.provenance.get("complexity", ()) if cost["method"] == label]
    return {
        "method": label,
        "kind": entry.get("kind"),
        "model": entry.get("model"),
        "options": options or entry.get("options") or None,
        "entry": {key: value for key, value in entry.items() if key not in ELSEWHERE},
        "networks": [] if family is None else [number for number in family.members.values() if number is not None],
        "method_identity": identity,
        **{key: _common([content.get(key) for content in made_by]) for key in SHARED},
        "suite": {key: run.suite.get(key) for key in ("name", "version")},
        "seed": run.suite["seed"],
        "datasets": {
            name: _source(run.suite["datasets"], dataset, "dataset_identity", records, 1)
            for dataset, name in data.items()
        },
        "masks": {name: _source(run.suite["masks"], mask, "mask_identity", records, 2) for mask, name in masks.items()},
        "metrics": {
            name: {
                "implementation": _common([content.get("metrics", {}).get(name) for content in made_by]),
                "backbones": _common([content.get("backbones", {}).get(name) for content in made_by]),
                "higher_is_better": info.higher_is_better,
                "unit": info.unit,
            }
            for name, info in run.infos.items()
        },
        "cost_conventions": {key: _common([cost.get(key) for cost in costs]) for key in CONVENTIONS},
        "figures": {key: run.figures[key] for key in FIGURES} if run.figures else None,
        "cells_without_numbers": [
            f"{data[dataset]}/{masks[mask]}: {reason}"
            for (method, dataset, mask), reason in run.missing.items()
            if method == label
        ],
        "rehearsal": run.stamp,
    }


def _source(
    entries: Sequence[Mapping[str, Any]],
    label: str,
    key: str,
    records: Mapping[tuple[str, str, str], Mapping[str, Any]],
    axis: int,
) -> dict[str, Any]:
    """Return a dataset or mask set: its entry in the suite, and its identity in the cells of the method."""
    entry = next(entry for entry in entries if entry["label"] == label)
    found = [(record.get("provenance") or {}).get(key) for cell, record in records.items() if cell[axis] == label]
    return {**{name: value for name, value in entry.items() if name != "paper"}, "identity": _common(found)}


def _common(values: Sequence[Any]) -> Any:  # noqa: ANN401 - plain values
    """Return the value that all cells have, the list of the different values, or None if there are none."""
    different = {sha256_json(value): value for value in values if value is not None}
    return next(iter(different.values())) if len(different) == 1 else list(different.values()) or None
