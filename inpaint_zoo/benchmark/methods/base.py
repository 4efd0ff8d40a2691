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

__all__ = ["Answer", "BoolMask", "Method", "Pixels", "Question", "Task"]

Pixels = NDArray[np.uint8]
BoolMask = NDArray[np.bool_]


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
    filling: NDArray[np.float32] | None = None


class Answer(NamedTuple):
    """A completed photograph (H, W, 3), and the seconds it took; None where it was only read."""

    picture: Pixels
    seconds: float | None


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
    """What is compared. `start` comes before the questions of a cell, `close` frees what `start` loaded."""

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
