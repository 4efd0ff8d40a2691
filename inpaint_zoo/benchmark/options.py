"""Options of a run, and the interface for following it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from inpaint_zoo.analysis.machine import cores
from inpaint_zoo.benchmark.store import CellKey
from inpaint_zoo.config import checked, whole

__all__ = ["MOST_WORKERS", "Failure", "LeftOut", "Listener", "Options"]

MOST_WORKERS = 16  # more threads wait for each other


@dataclass(frozen=True)
class Options:
    """Options of a run. Only ``precision`` changes the numbers.

    Attributes:
        device: "auto" selects CUDA, else MPS, else the CPU.
        precision: Precision of networks; metrics are always computed in float32 or better.
        workers: Threads that decode and score; 0 means one per core, at most MOST_WORKERS.
        batch_size: Number of images in one call of a method.
        only: Patterns that select cells, as in `plan.select`.
        fresh: Compute the selected cells again.
        allow_missing: Score the other images if some cannot be read. On the command line, a run that lacks datasets,
            weights or backbones then also ends with status 0.
        gallery: Number of images per dataset whose results are kept as images.
    """

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    workers: int = 0
    batch_size: int = 1
    only: Sequence[str] = ()
    fresh: bool = False
    allow_missing: bool = False
    gallery: int = 6

    def __post_init__(self) -> None:
        for name, least in (("workers", 0), ("batch_size", 1), ("gallery", 0)):
            checked(f"--{name.replace('_', '-')}", getattr(self, name), whole(least))

    @property
    def num_workers(self) -> int:
        """Number of threads to start."""
        return self.workers or min(cores(), MOST_WORKERS)


class Failure(NamedTuple):
    """A cell that could not be computed, and the reason in one line."""

    key: CellKey
    error: str


class LeftOut(NamedTuple):
    """An image that lacks values of some or all metrics under a mask set, and the reason."""

    dataset: str
    mask: str
    image: str
    reason: str


class Listener:
    """Receives the events of a run; this base class ignores them."""

    def note(self, text: str) -> None:
        """Receive a message for the user, in one line."""

    def begin(self, cells: int, images: int) -> None:
        """Receive the total numbers of cells and of images to compute."""

    def cell(self, key: CellKey) -> None:
        """Receive the start of a cell."""

    def image(self) -> None:
        """Receive that one image of the current cell was scored."""

    def finish(self, key: CellKey, error: str | None) -> None:
        """Receive that a cell is done, or that it failed with ``error``."""
