"""Rank the ready models of a finished benchmark that fit limits of latency and memory, with the evidence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from inpaint_zoo.benchmark.recommend.resemblance import HoleShape, MaskSet, resembling
from inpaint_zoo.benchmark.report.run_folder import Cell, Run
from inpaint_zoo.benchmark.report.verdicts import best_against_others, joined
from inpaint_zoo.benchmark.statistics import ALPHA, holm, sign_flip_test
from inpaint_zoo.benchmark.summary import summarize
from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.metrics import MetricInfo
from inpaint_zoo.registry import model_info, weights_path

__all__ = ["Evidence", "Left", "Limits", "Ranked", "evidence_for", "recommend", "verdict"]

FLOAT32 = 4  # bytes
POOLED = "all"  # name of the one table into which the results with all resembling masks are pooled


class Limits(NamedTuple):
    """What a model must not exceed.

    Attributes:
        device: Kind of device on which latency and memory must have been measured, such as "cpu"; None for any.
        latency_ms: Maximum mean time of an image in milliseconds; None for no limit.
        memory_mb: Maximum of weights and peak memory in MiB; None for no limit.
    """

    device: str | None = None
    latency_ms: float | None = None
    memory_mb: float | None = None


class Left(NamedTuple):
    """A method of the benchmark that is not recommended."""

    method: str
    reason: str


class Ranked(NamedTuple):
    """A model that fits, with its evidence.

    Attributes:
        method: Its label in the benchmark.
        model: Its name in the registry.
        weights: Its argument ``weights`` of `create_model`; None for a model that needs none.
        n_images, n_groups: Numbers of results and of source images.
        means: Mean of each metric.
        interval: 95 % interval of the mean of the chosen metric.
        p_value: Holm-adjusted p-value of the difference from the best model; NaN for the best one.
        tied_with_best: Whether it is the best, or does not differ significantly from it.
        difference: Difference of the chosen metric from the next model; NaN for the last one.
        difference_p: Its p-value. For the best model, it is that of the verdict on the best model; the others are
            Holm-adjusted together.
        latency_ms: Mean time of an image, completed alone; None if it was not measured.
        memory_mb: Weights and peak memory in MiB; None if it was not measured.
        provenance: Version and commit of the code, and SHA-256 of the weights.
    """

    method: str
    model: str
    weights: str | None
    n_images: int
    n_groups: int
    means: dict[str, float]
    interval: tuple[float, float]
    p_value: float
    tied_with_best: bool
    difference: float
    difference_p: float
    latency_ms: float | None
    memory_mb: float | None
    provenance: dict[str, Any]

    @property
    def differs_from_next(self) -> bool:
        """Whether the tests reject that the chosen metric is the same as the next model's."""
        return self.difference_p <= ALPHA


@dataclass(frozen=True)
class Evidence:
    """The results of a run with masks that resemble the given ones.

    Attributes:
        run: The benchmark.
        masks: The mask sets, the most similar one first.
        info: The metric by which models are ranked.
        rows: Rows of results.parquet with these mask sets.
        devices: Where latency and memory were measured.
        sizes: (width, height) of the images.
    """

    run: Run
    masks: list[MaskSet]
    info: MetricInfo
    rows: pd.DataFrame
    devices: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]

    def costs(self, method: str) -> list[dict[str, Any]]:
        """Return the measured costs of a method with these mask sets."""
        return [self.run.costs[cell] for cell in self.cells(method) if cell in self.run.costs]

    def cells(self, method: str) -> list[Cell]:
        """Return the cells of a method with these mask sets."""
        return [(method, each.dataset, each.mask) for each in self.masks]


def evidence_for(run: Run, shape: HoleShape, metric: str | None = None) -> Evidence:
    """Return the results of a run with masks that resemble those of a shape.

    Args:
        run: A finished benchmark.
        shape: What the holes of the given masks are like.
        metric: A metric with a value for each image; None for the first one of the suite.

    Raises:
        ZooError: The run is a rehearsal or has no results, or there is no such metric.
    """
    if run.stamp:
        raise ZooError(f"{run.folder} is a rehearsal, whose numbers mean nothing.")
    infos = {name: info for name, info in run.infos.items() if info.per_image}
    if not infos:
        raise ZooError(f"{run.folder} has no metric with a value for each image, which the paired tests need.")
    if metric is not None and metric not in infos:
        raise unknown_name("metric of this benchmark:", metric, infos)
    masks = resembling(run, shape)
    wanted = {(each.dataset, each.mask) for each in masks}
    table = pd.MultiIndex.from_frame(run.results[["dataset", "mask"]])
    costs = [costs for (_, *cell), costs in run.costs.items() if tuple(cell) in wanted]
    return Evidence(
        run,
        masks,
        infos[metric or next(iter(infos))],
        run.results[table.isin(wanted) & run.results["metric"].isin(list(infos)).to_numpy()],
        tuple(sorted({str(each["device"]) for each in costs})),
        tuple(sorted({(int(each["width"][1]), int(each["height"][1])) for each in costs})),
    )


def recommend(evidence: Evidence, limits: Limits) -> tuple[list[Ranked], list[Left]]:
    """Return the models that fit, the best mean first, and the others with the reasons, the smallest excess first.

    All models are compared on the same images with the same masks. The tests take only models that fit into account.

    Raises:
        ZooError: Nothing was measured on the device of ``limits``.
    """
    if limits.device and not any(_kind(device) == limits.device for device in evidence.devices):
        there = " and ".join(evidence.devices) or "no device"
        raise ZooError(
            f"The latencies of this benchmark were measured on {there}, not on {limits.device}. Run "
            f"`inpaint-zoo benchmark recommend --device {limits.device} --out DIR` on your machine, and give "
            "--from DIR."
        )
    fitting: dict[str, dict[str, Any]] = {}
    excess: dict[Left, float] = {}
    for method in evidence.run.methods:
        entry = _entry(evidence.run, method)
        reason, factor = _not_ready(entry) or _incomplete(evidence, method), math.inf
        if not reason:
            reason, factor = _too_costly(evidence, method, limits)
        if reason:
            excess[Left(method, reason)] = factor
        else:
            fitting[method] = entry
    left = sorted(excess, key=excess.__getitem__)
    if not fitting:
        return [], left
    return list(_ranked(evidence, fitting, limits.device)), left


def verdict(ranked: Sequence[Ranked]) -> str:
    """Return what the tests of the best model against the others say, in one sentence."""
    best, *others = ranked
    if not others:
        return f"{best.method} is the only model that fits."
    worse = {each.method: each.p_value for each in others if not each.tied_with_best}
    alike = [each.method for each in others if each.tied_with_best]
    return joined([best_against_others(best.method, worse, alike, best.n_groups)])


def _entry(run: Run, method: str) -> dict[str, Any]:
    """Return the entry of a method in the suite; an empty one for a method that is several networks."""
    found = [entry for entry in run.suite["methods"] if run.networks.get(entry["label"], entry["label"]) == method]
    return found[0] if len(found) == 1 else {}


def _not_ready(entry: dict[str, Any]) -> str:
    """Return why a method is not a registered model with ready weights; empty if it is."""
    if not entry:
        return "is several networks"
    if entry["kind"] != "model":
        return f"is no registered model ({entry['kind']})"
    try:
        info = model_info(entry["model"], **entry["options"])
        path = weights_path(entry["model"], entry["weights"])
    except ZooError as error:
        return str(error)
    if info.learned and path is None:
        return "has no weights"
    return f"its weights {path} are not here" if path is not None and not Path(path).is_file() else ""


def _incomplete(evidence: Evidence, method: str) -> str:
    missing = [cell for cell in evidence.cells(method) if cell in evidence.run.missing]
    return f"has no results with {', '.join(cell[2] for cell in missing)}" if missing else ""


def _too_costly(evidence: Evidence, method: str, limits: Limits) -> tuple[str, float]:
    """Return which limits a method exceeds, and by how much, empty if none, and the largest factor."""
    found, largest = [], 0.0
    wanted = (
        ("latency", _latency(evidence, method, limits.device), limits.latency_ms, "ms"),
        ("memory", _memory(evidence, method, limits.device), limits.memory_mb, "MiB"),
    )
    for name, value, most, unit in wanted:
        if most is None:
            continue
        if value is None:
            found.append(f"{name} was not measured")
            largest = math.inf
        elif value > most:
            found.append(f"{name} {value:,.0f} {unit}, {value / most:.3g} times the maximum of {most:,.0f} {unit}")
            largest = max(largest, value / most)
    return "; ".join(found), largest


def _kind(device: str) -> str:
    return device.partition(":")[0]


def _on(evidence: Evidence, method: str, device: str | None) -> list[dict[str, Any]]:
    return [each for each in evidence.costs(method) if device is None or _kind(str(each["device"])) == device]


def _latency(evidence: Evidence, method: str, device: str | None) -> float | None:
    """Return the mean time of an image in milliseconds, over all images."""
    parts = [each["latency_ms"] for each in _on(evidence, method, device)]
    count = sum(part["n"] for part in parts)
    return sum(part["n"] * part["mean"] for part in parts) / count if count else None


def _memory(evidence: Evidence, method: str, device: str | None) -> float | None:
    """Return weights and peak memory in MiB: on a CPU, the recorded peak does not contain the weights."""
    found = [
        float(each["peak_memory_mb"])
        + (FLOAT32 * (each["parameters"] or 0) / 2**20 if _kind(str(each["device"])) == "cpu" else 0)
        for each in _on(evidence, method, device)
        if each["peak_memory_mb"] is not None
    ]
    return max(found, default=None)


def _ranked(evidence: Evidence, fitting: dict[str, dict[str, Any]], device: str | None) -> Iterator[Ranked]:
    pooled = _pooled(evidence, list(fitting))
    directions = {name: info.higher_is_better for name, info in evidence.run.infos.items()}
    table = summarize(pooled, directions).table
    rows = table[table["metric"] == evidence.info.name].sort_values("rank", kind="stable")
    order = [str(method) for method in rows["method"]]
    means: dict[str, dict[str, float]] = {method: {} for method in order}
    for row in table.to_dict("records"):
        means[row["method"]][row["metric"]] = float(row["mean"])
    p_values = [*rows["p_value"][1:2], *_steps(pooled[pooled["metric"] == evidence.info.name], order[1:])]
    for at, row in enumerate(rows.to_dict("records")):
        method = order[at]
        following = order[at + 1] if at + 1 < len(order) else None
        name = evidence.info.name
        records = [evidence.run.cells[cell][1]["provenance"] for cell in evidence.cells(method)]
        yield Ranked(
            method,
            str(fitting[method]["model"]),
            fitting[method]["weights"],
            int(row["n_images"]),
            int(row["n_groups"]),
            means[method],
            (float(row["ci_low"]), float(row["ci_high"])),
            float(row["p_value"]),
            row["tied_with_best"] is True,
            means[method][name] - means[following][name] if following else math.nan,
            float(p_values[at]) if following else math.nan,
            _latency(evidence, method, device),
            _memory(evidence, method, device),
            {key: records[0].get(key) for key in ("code_version", "git_commit", "weights_sha256")},
        )


def _steps(rows: pd.DataFrame, order: list[str]) -> NDArray[np.float64]:
    """Return the Holm-adjusted p-value of the difference between each method and the next one, of one metric."""
    if len(order) < 2:
        return np.empty(0)
    wide = rows.pivot_table(index=["group", "image"], columns="method", values="value")
    values = wide[order].to_numpy()
    return holm(sign_flip_test(values[:, :-1] - values[:, 1:], wide.index.get_level_values("group")))


def _pooled(evidence: Evidence, methods: list[str]) -> pd.DataFrame:
    """Return the results with all resembling masks as one table, with the source image as the sampling unit."""
    rows = evidence.rows[evidence.rows["method"].isin(methods) & evidence.rows["image"].notna()]
    place = rows["dataset"] + "/" + rows["mask"] + "/" + rows["image"]
    groups = rows["dataset"] + "/" + rows["group"].astype(str)
    return rows.assign(dataset=POOLED, mask=POOLED, image=place, group=groups)
