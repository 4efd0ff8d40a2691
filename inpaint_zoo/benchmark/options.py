"""How a run is asked for and followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from inpaint_zoo.benchmark.machine import cores
from inpaint_zoo.benchmark.store import CellKey
from inpaint_zoo.errors import ZooError

__all__ = ["MOST_WORKERS", "Failure", "LeftOut", "Listener", "Options"]

MOST_WORKERS = 16  # beyond, they wait for each other


@dataclass(frozen=True)
class Options:
    """How to run; nothing of it but ``precision`` changes a number.

    Attributes:
        device: "auto" takes CUDA, then MPS, then the CPU.
        precision: Of networks; metrics are always float32 or better.
        workers: Threads that decode and score; 0 means one for each core, at most MOST_WORKERS.
        batch_size: Photographs that a network is asked for at once.
        only: As `plan.select`.
        fresh: Compute the selected cells again.
        allow_missing: Score the rest where photographs cannot be read.
        gallery: Photographs of each dataset whose results are kept as pictures.
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
            if getattr(self, name) < least:
                raise ZooError(f"--{name.replace('_', '-')} must be {least} or more, got {getattr(self, name)}.")

    @property
    def num_workers(self) -> int:
        """Threads to start."""
        return self.workers or min(cores(), MOST_WORKERS)


class Failure(NamedTuple):
    """A cell that could not be computed, and why in one line."""

    key: CellKey
    error: str


class LeftOut(NamedTuple):
    """An image without values under a mask set, or without those of some metrics, and why."""

    dataset: str
    mask: str
    image: str
    reason: str


class Listener:
    """Who follows a run; this one does nothing."""

    def note(self, text: str) -> None:
        """Something that the user should know, in one line."""

    def begin(self, cells: int, images: int) -> None:
        """So many cells with so many images in all are to be computed."""

    def cell(self, key: CellKey) -> None:
        """A cell begins."""

    def image(self) -> None:
        """An image of it is scored."""

    def finish(self, key: CellKey, error: str | None) -> None:
        """The cell is done, or failed."""
