"""Count and measure the figures that the key `costs` of a suite states; `cost_keys` describes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inpaint_zoo.analysis.machine import describe_device
from inpaint_zoo.benchmark.cost_keys import COSTS_FILE, FIGURES, CostKeys
from inpaint_zoo.benchmark.entries import ModelEntry
from inpaint_zoo.benchmark.identity import code_sha256
from inpaint_zoo.benchmark.stamp import REHEARSAL_SIDE
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import sha256_file, write_json

if TYPE_CHECKING:
    import torch

    from inpaint_zoo.benchmark.images import MaskSet
    from inpaint_zoo.benchmark.methods import MethodInput, NetworkMethod
    from inpaint_zoo.registry import ModelInfo

__all__ = ["count", "measure_costs"]


def count(entry: ModelEntry, keys: CostKeys) -> dict[str, float]:
    """Return the figures of a method that are counted and not measured, by name.

    Raises:
        ZooError: If the method's weight file or options do not fit the model.
    """
    info = _info(entry)
    macs = _random(entry, info).count_macs(*keys.size) if info.learned else None
    counted = {name: FIGURES[name].counted for name in keys.figures}
    values = {name: get(info, macs) for name, get in counted.items() if get is not None}
    return {name: value for name, value in values.items() if value is not None}


def measure_costs(
    methods: Sequence[ModelEntry],
    datasets: Sequence[str],
    keys: CostKeys,
    masks: Sequence[MaskSet],
    out: Path,
    device: torch.device,
    *,
    precision: str,
    fresh: bool,
    known: Mapping[str, Any],
    stamp: Mapping[str, str],
    timed: Mapping[str, ModelEntry],
) -> None:
    """Write `costs.json` with the figures of each method; figures that are known and still valid are kept.

    Args:
        methods: The registered models of the suite.
        datasets: Names of the suite's datasets, which weight files may depend on.
        keys: The figures, and the size and number of images.
        masks: Mask sets for the latency; empty for a centered square.
        out: The folder of results.
        device: Device on which the latency is measured.
        precision: Precision of the networks.
        fresh: Measure again what is known.
        known: Content of an earlier `costs.json`.
        stamp: Further content of `costs.json`: the mark of a rehearsal.
        timed: Small networks of a rehearsal, which are measured on small images in place of the method with the same
            label; empty for other runs.
    """
    measured = replace(keys, size=(REHEARSAL_SIDE, REHEARSAL_SIDE)) if timed else keys
    before = {} if fresh else known.get("methods", {})
    found: dict[str, Any] = {}
    content = {**stamp, **keys.plain(), "device": describe_device(device), "precision": precision, "methods": found}
    for stated in methods:
        entry = _with_file(stated, datasets)
        identity = {
            "model": entry.model,
            "weights": sha256_file(Path(entry.file)) if entry.file else entry.weights,
            "options": entry.options,
            "masks": [mask.identity() for mask in masks],
            "code_sha256": code_sha256(),
            **{key: value for key, value in content.items() if key != "methods"},
        }
        record = before.get(entry.label, {})
        if record.get("identity") != identity or record.get("error"):
            record = {"identity": identity, "figures": {}, "error": None}
            try:
                figures, spread = _measure(timed.get(entry.label, entry), measured, masks, device, precision)
                record |= {"figures": count(entry, keys) | figures, "distribution": spread}
            except (ZooError, RuntimeError) as error:
                record["error"] = " ".join(str(error).split())
        found[entry.label] = record
        write_json(out / COSTS_FILE, content)


def _with_file(entry: ModelEntry, datasets: Sequence[str]) -> ModelEntry:
    """Return a method with its first weight file that is there, because a file may state options; else without."""
    found = (entry.find(name) for name in datasets or ("",))
    return next((each for each in found if each is not None), replace(entry, weights="random", given=False))


def _info(entry: ModelEntry) -> ModelInfo:
    from inpaint_zoo.benchmark.methods import NetworkMethod

    return NetworkMethod(entry, seed=0).info


def _random(entry: ModelEntry, info: ModelInfo) -> NetworkMethod:
    """Return the method with random weights and the options that it has from all sources."""
    from inpaint_zoo.benchmark.methods import NetworkMethod

    return NetworkMethod(replace(entry, weights="random" if info.learned else None, options=info.options), seed=0)


def _measure(
    entry: ModelEntry, keys: CostKeys, masks: Sequence[MaskSet], device: torch.device, precision: str
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Return the figures that can be measured on the device, and the distributions of latency and passes."""
    from inpaint_zoo.analysis.cost import distribution, measure_alone
    from inpaint_zoo.benchmark.methods import Task

    names = [name for name in keys.figures if FIGURES[name].counted is None]
    names = [name for name in names if FIGURES[name].device in (None, device.type)]
    if not names:
        return {}, {}
    method = _random(entry, _info(entry))
    method.start(Task("costs", "costs", ()), device, precision)
    items = list(_inputs(keys, masks))
    passes: list[int] = []

    def seconds(item: MethodInput) -> float | None:
        output = method.fill([item])[0]
        passes.append(output.passes or 1)
        return output.seconds

    seconds(items[0])
    passes.clear()
    alone = measure_alone(seconds, items, device)
    method.close()
    found = {"latency_ms": distribution(1000 * each for each in alone.seconds), "passes": distribution(passes)}
    return {name: found["passes" if name == "passes" else "latency_ms"]["mean"] for name in names}, found


def _inputs(keys: CostKeys, masks: Sequence[MaskSet]) -> Iterator[MethodInput]:
    """Yield noise images; image i has the mask i of each mask set."""
    from inpaint_zoo.benchmark.methods import MethodInput

    height, width = keys.size
    for index in range(keys.images):
        noise = np.random.default_rng(index).integers(0, 256, (height, width, 3), np.uint8)
        holes = [each.load(index, keys.size) for each in masks]
        if not holes:
            center = np.zeros(keys.size, bool)
            center[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
            holes = [center]
        for hole in holes:
            yield MethodInput(f"noise {index}", np.where(hole[..., None], np.uint8(0), noise), hole)
