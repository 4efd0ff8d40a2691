"""The interface that every kind of method keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.benchmark.entries import MethodEntry

if TYPE_CHECKING:
    import torch

__all__ = ["Answer", "BoolMask", "Floats", "Method", "Pixels", "Question", "Task"]

Pixels = NDArray[np.uint8]
BoolMask = NDArray[np.bool_]
Floats = NDArray[np.float32]


class Question(NamedTuple):
    """A photograph to complete.

    Attributes:
        key: Its relative stem in the dataset.
        image: (H, W, 3), 0 in the hole.
        mask: (H, W), true in the hole.
        filling: (3, H, W) in [0, 1], what a network finds in the hole; None where there is nothing.
    """

    key: str
    image: Pixels
    mask: BoolMask
    filling: Floats | None = None


class Answer(NamedTuple):
    """A completed photograph.

    Attributes:
        picture: (H, W, 3).
        seconds: That it took; None where it was only read.
        passes: How often a `RepeatingNetwork` ran its network for it; None for every other method.
        unrounded: (3, H, W) in [0, 1], what ``picture`` was rounded from; None for a method that gives bytes alone.
    """

    picture: Pixels
    seconds: float | None
    passes: int | None = None
    unrounded: Floats | None = None


class Task(NamedTuple):
    """A cell as a method sees it.

    Attributes:
        dataset: Its label.
        mask: Label of the mask set.
        keys: Of the photographs, in order.
        mosaic: Whether a mosaic of the truth stands in the holes.
    """

    dataset: str
    mask: str
    keys: tuple[str, ...]
    mosaic: bool = False


class Method(ABC):
    """What is compared. `start` comes before the questions of a cell, `close` frees what `start` loaded.

    Attributes:
        computes: Whether the results are computed here, so that they have a cost.
        repeats: Whether the number of passes depends on the photograph: each one is then completed and timed by itself.
            Known once the method is started.
    """

    computes: bool = True
    repeats: bool = False

    def __init__(self, entry: MethodEntry) -> None:
        self.entry = entry
        self.label = entry.label

    def refusal(self, task: Task) -> str | None:
        """Why a cell makes no sense for the method; None where it does."""
        return "only networks of the registry are shown a mosaic" if task.mosaic else None

    @abstractmethod
    def identity(self, task: Task) -> dict[str, Any]:
        """Everything that the method's pictures for this cell depend on, as plain values."""

    @abstractmethod
    def start(self, task: Task, device: torch.device, precision: str) -> None:
        """Load what the cell needs."""

    @abstractmethod
    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Complete photographs, in order; sizes may differ."""

    @abstractmethod
    def close(self) -> None:
        """Free what `start` loaded."""
