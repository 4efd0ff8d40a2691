"""Cost of a method on images: parameters, passes, MACs, latency and memory, each with its convention.

The cost of one image may depend on its size, on its mask (`progressive:NAME` repeats its network while much of the
image is hole, the time of OpenCV's methods depends on the hole's border, some fast forms compute only around the hole)
and on its content. Each figure is therefore a distribution over the images of a cell, and a method's figure is the mean
over the images of all its cells, which does not depend on the order of images or mask sets.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from inpaint_zoo.analysis.machine import describe_device, release_freed_memory, resident_growth_mib
from inpaint_zoo.analysis.macs import MACS_CONVENTION, THOP_CONVENTION, Macs

if TYPE_CHECKING:
    import torch

__all__ = [
    "IN_THE_RUN",
    "MEMORY_CONVENTION",
    "OUTSIDE_THE_RUN",
    "SPREAD",
    "Alone",
    "Counted",
    "ImageCost",
    "cell_cost",
    "distribution",
    "measure_alone",
    "pool",
    "timed_in_the_run",
    "watch_memory",
]

T = TypeVar("T")

MEMORY_CONVENTION = {
    "cuda": "largest allocation on the device, weights included; the largest of the images measured",
    "cpu": "growth of the process's peak resident memory over its size before the call, weights excluded; the largest "
    "of the images measured",
}
IN_THE_RUN = "each image alone, in the run itself"
SPREAD = 8
OUTSIDE_THE_RUN = f"{SPREAD} images of each cell, evenly spread, each alone and outside the run"
COUNTS = ("passes", "macs", "macs_thop")


class ImageCost(NamedTuple):
    """Cost of one image.

    Attributes:
        image: Key of the image.
        seconds: Time of the method; for a batch, the image's share of it.
        passes: Number of passes of a network that repeats; None for other methods.
        width, height: Size in pixels.
    """

    image: str
    seconds: float
    passes: int | None
    width: int
    height: int


class Alone(NamedTuple):
    """Measurements of images that were completed one at a time with nothing running in parallel.

    Attributes:
        seconds: Time of each image.
        peak_memory: Largest memory peak in MiB by `MEMORY_CONVENTION`; None if it cannot be measured.
        how: `IN_THE_RUN` or `OUTSIDE_THE_RUN`.
    """

    seconds: tuple[float, ...]
    peak_memory: float | None
    how: str


class Counted(Protocol):
    """A network whose parameters and MACs are known.

    Attributes:
        parameters: Number of parameters; None before the network is built.
    """

    parameters: int | None

    def count_macs(self, height: int, width: int) -> Macs | None:
        """Return the MACs for one image of this size, with a single pass; None if they cannot be counted."""


def timed_in_the_run(repeats: bool, device: torch.device, batch_size: int) -> bool:
    """Return whether a run completes images one at a time with nothing in parallel, so that its times are latencies.

    This is the case on a CPU with a batch size of 1, and on every device for a method that repeats its network.
    Otherwise images are completed in batches, or other images are scored on the same GPU at the same time.
    """
    return repeats or (device.type == "cpu" and batch_size == 1)


def measure_alone(fill: Callable[[T], float | None], items: Iterable[T], device: torch.device) -> Alone:
    """Complete images one at a time and measure them.

    Args:
        fill: Completes an image, discards the result, and returns the seconds it took. It must be warmed up.
        items: The images.
        device: Device on which the method runs.
    """
    seconds: list[float] = []
    peaks: list[float] = []
    for item in items:
        took, peak = watch_memory(partial(fill, item), device, fresh=not seconds)
        seconds.append(float(took or 0.0))
        peaks += [] if peak is None else [peak]
    return Alone(tuple(seconds), max(peaks, default=None), OUTSIDE_THE_RUN)


def watch_memory(call: Callable[[], T], device: torch.device, *, fresh: bool = False) -> tuple[T, float | None]:
    """Return the result of ``call`` and its memory peak in MiB by `MEMORY_CONVENTION`; None if it is unknown.

    Args:
        call: What is measured.
        device: Device on which it runs.
        fresh: Release freed memory first, so that all memory of the call counts. This makes the call a little slower,
            because it requests this memory again.
    """
    import torch

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return call(), torch.cuda.max_memory_allocated(device) / 2**20
    if fresh:
        release_freed_memory()
    result, grown = resident_growth_mib(call)
    return result, grown if grown is not None and grown >= 1 else None  # below 1 MiB: served from allocator reserves


def distribution(values: Iterable[float]) -> dict[str, float]:
    """Return the number of values, their mean, median, 90th percentile, minimum and maximum.

    The percentile is the smallest value that at least 90 % of the values do not exceed. The result is bit-identical
    for every order of the values.

    Example:
        >>> distribution([1, 4, 1, 2])
        {'n': 4, 'mean': 2.0, 'median': 1.5, 'p90': 4, 'min': 1, 'max': 4}
    """
    ordered = sorted(values)
    return {
        "n": len(ordered),
        "mean": math.fsum(ordered) / len(ordered),
        "median": statistics.median(ordered),
        "p90": ordered[math.ceil(0.9 * len(ordered)) - 1],
        "min": ordered[0],
        "max": ordered[-1],
    }


def cell_cost(
    network: Counted | None, images: Sequence[ImageCost], alone: Alone, device: torch.device
) -> dict[str, Any]:
    """Return the cost of a method on a cell of a benchmark, as stored in the cell's record under `costs`.

    Args:
        network: The network of the method; None if it has none.
        images: All images of the cell.
        alone: The measurements of the images that were completed one at a time.
        device: Device on which the method ran.
    """
    counted: dict[str, list[float]] = {count: [] for count in COUNTS}
    for image in images:
        macs = network.count_macs(image.height, image.width) if network else None
        if macs is not None:
            macs = macs.with_passes(image.passes)
            counted["macs"].append(macs.true)
            counted["macs_thop"].append(macs.thop)
        if image.passes is not None:
            counted["passes"].append(image.passes)
    return {
        "n_images": len(images),
        "parameters": network.parameters if network else None,
        **{count: distribution(values) if values else None for count, values in counted.items()},
        "macs_convention": MACS_CONVENTION,
        "macs_thop_convention": THOP_CONVENTION,
        "latency_ms": distribution(1000 * seconds for seconds in alone.seconds),
        "latency_convention": alone.how,
        "peak_memory_mb": alone.peak_memory,
        "memory_convention": MEMORY_CONVENTION.get(device.type),
        "width": [min(image.width for image in images), max(image.width for image in images)],
        "height": [min(image.height for image in images), max(image.height for image in images)],
        "device": describe_device(device),
    }


def pool(costs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the cost of a method over several cells of one device: means over all their images.

    Args:
        costs: Results of `cell_cost`, at least one.

    Returns:
        The entry of `provenance.json` under `complexity`: `passes`, `macs`, `macs_thop` and `latency_ms` are means over
        all images, `<name>_range` is [minimum, maximum], and memory is the maximum over the images.
    """
    pooled: dict[str, Any] = {
        "n_images": sum(cost["n_images"] for cost in costs),
        "n_cells": len(costs),
        "parameters": costs[0]["parameters"],
    }
    for name in (*COUNTS, "latency_ms"):
        known = [(cost["n_images"], cost[name]) for cost in costs if cost[name] is not None]
        total = sum(images for images, _ in known)
        pooled[name] = math.fsum(images * each["mean"] for images, each in known) / total if known else None
        pooled[f"{name}_range"] = _span(each[end] for _, each in known for end in ("min", "max"))
    pooled["peak_memory_mb"] = max(
        (cost["peak_memory_mb"] for cost in costs if cost["peak_memory_mb"] is not None), default=None
    )
    for side in ("width", "height"):
        pooled[side] = _span(end for cost in costs for end in cost[side])
    for name in ("macs_convention", "macs_thop_convention", "latency_convention", "memory_convention"):
        pooled[name] = "; ".join(sorted({cost[name] for cost in costs if cost[name]})) or None
    return {**pooled, "device": costs[0]["device"]}


def _span(values: Iterable[float]) -> list[float] | None:
    known = list(values)
    return [min(known), max(known)] if known else None
