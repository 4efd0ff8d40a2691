"""What a method costs: parameters, MACs, latency and memory, each by a convention that is written beside it."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from inpaint_zoo.benchmark.machine import resident_growth_mib
from inpaint_zoo.benchmark.macs import MACS_CONVENTION, THOP_CONVENTION, Macs
from inpaint_zoo.benchmark.methods import Method, NetworkMethod, Question

if TYPE_CHECKING:
    import torch

__all__ = ["MEMORY_CONVENTION", "measure"]

MEMORY_CONVENTION = {
    "cuda": "largest allocation on the device, weights included",
    "cpu": "growth of the process's peak resident memory over its size before the call, weights excluded",
}
RUNS = 5
BUDGET_S = 2.0


def measure(method: Method, question: Question, device: torch.device) -> dict[str, Any] | None:
    """Cost of one photograph, batch 1, after a first call that does not count.

    Args:
        method: Started already.
        question: A photograph of the size to measure at.
        device: Where the method runs.

    Returns:
        As `provenance.json` holds it under `complexity`; None for a method that computes nothing here.
    """
    first = method.answer([question])[0]  # also the warm-up
    if first.seconds is None:
        return None
    memory = _peak_memory(method, question, device)
    seconds = [first.seconds] if first.seconds > BUDGET_S else []
    while len(seconds) < RUNS and sum(seconds) < BUDGET_S:
        seconds.append(float(method.answer([question])[0].seconds or 0.0))
    height, width = question.mask.shape
    network = method if isinstance(method, NetworkMethod) else None
    macs: Macs | None = network.count_macs(height, width) if network else None
    return {
        "method": method.label,
        "parameters": network.parameters if network else None,
        "macs": macs.true if macs else None,
        "macs_convention": MACS_CONVENTION,
        "macs_thop": macs.thop if macs else None,
        "macs_thop_convention": THOP_CONVENTION,
        "latency_ms": 1000 * statistics.median(seconds),
        "latency_runs": len(seconds),
        "peak_memory_mb": memory,
        "memory_convention": MEMORY_CONVENTION.get(device.type),
        "width": width,
        "height": height,
        "device": device.type,
    }


def _peak_memory(method: Method, question: Question, device: torch.device) -> float | None:
    import torch

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        method.answer([question])
        return torch.cuda.max_memory_allocated(device) / 2**20
    grown = resident_growth_mib(lambda: method.answer([question]))
    return grown if grown is not None and grown >= 1 else None  # less than the allocator holds in reserve
