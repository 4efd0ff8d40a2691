"""The interface of all kinds of methods."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.benchmark.entries import MethodEntry
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.images import DecodedImage

if TYPE_CHECKING:
    import torch

__all__ = [
    "BoolMask",
    "Floats",
    "Method",
    "MethodInput",
    "MethodOutput",
    "Pixels",
    "Task",
    "colors_of_result",
    "composited",
    "pasted",
]

Pixels = NDArray[np.uint8]
BoolMask = NDArray[np.bool_]
Floats = NDArray[np.float32]


class MethodInput(NamedTuple):
    """An image to complete.

    Attributes:
        key: Its relative stem in the dataset.
        image: (H, W, 3) uint8, 0 in the hole.
        mask: (H, W), True in the hole.
        hole_fill: (3, H, W) in [0, 1], what a network sees in the hole; None for an empty hole.
    """

    key: str
    image: Pixels
    mask: BoolMask
    hole_fill: Floats | None = None


class MethodOutput(NamedTuple):
    """A completed image.

    Attributes:
        image: (H, W, 3) uint8, with the known pixels of the input; see `composited`.
        seconds: Time to compute it; None if it was only read.
        passes: Number of times that a `RepeatingNetwork` ran its network for it; None for every other method.
        unrounded: (3, H, W) in [0, 1], ``image`` before rounding; None for methods that return only 8-bit results.
    """

    image: Pixels
    seconds: float | None
    passes: int | None = None
    unrounded: Floats | None = None


def composited(image: Pixels, item: MethodInput) -> Pixels:
    """Return a result from outside the package with the known pixels of the input, as every network returns it."""
    return pasted(image, item.mask, item.image.copy())


def pasted(image: Pixels, mask: BoolMask, onto: Pixels) -> Pixels:
    """Copy the pixels of an image (H, W, 3) where ``mask`` is True to ``onto``, which is changed and returned.

    OpenCV takes a tenth of the time of `np.where`, which works on three values at a time.
    """
    import cv2

    # contiguous, because a user's function may return a mirrored view
    cv2.copyTo(np.ascontiguousarray(image), mask.view(np.uint8), onto)
    return onto


def colors_of_result(image: DecodedImage, hole: BoolMask) -> Pixels:
    """Return the colors of a result that another program has written.

    Args:
        image: The result.
        hole: (H, W), True in the hole. The result may have another size.

    Raises:
        ZooError: If the whole hole is transparent, so that it has no colors.
    """
    if image.alpha is not None and image.alpha.shape == hole.shape and hole.any() and not image.alpha[hole].any():
        raise ZooError("the result is transparent in the whole hole, so the hole is not filled; write it without alpha")
    return image.rgb


class Task(NamedTuple):
    """Description of a cell for a method.

    Attributes:
        dataset: Label of the dataset.
        mask: Label of the mask set.
        keys: Keys of the images, in order.
        mosaic: Whether the holes show a mosaic of the ground truth.
    """

    dataset: str
    mask: str
    keys: tuple[str, ...]
    mosaic: bool = False


class Method(ABC):
    """Base class of methods. `start` is called before the images of a cell, `close` frees what `start` loaded.

    Attributes:
        computes: Whether the results are computed in the run, so that they have a cost.
        repeats: Whether the number of passes depends on the image. Each image is then completed and timed alone. The
            value is known after `start`.
        takes_all: Whether the method needs all images of a cell that its process completes before the first one; see
            `prepare`.
    """

    computes: bool = True
    repeats: bool = False
    takes_all: bool = False

    def __init__(self, entry: MethodEntry) -> None:
        self.entry = entry
        self.label = entry.label

    def refusal(self, task: Task) -> str | None:
        """Return why a cell does not apply to the method; None if it applies."""
        return "only networks of the registry are shown a mosaic" if task.mosaic else None

    @abstractmethod
    def identity(self, task: Task) -> dict[str, Any]:
        """Return everything that the method's results for this cell depend on, as plain values."""

    def origin(self) -> dict[str, str] | None:
        """Return the origin of the weights for the record, as `weights.Origin`; None if it is no registered model."""
        return None

    @abstractmethod
    def start(self, task: Task, device: torch.device, precision: str) -> None:
        """Load what the cell needs."""

    def prepare(self, items: Iterable[MethodInput]) -> None:
        """Receive all images of a cell that this process completes.

        Called between `start` and the first `fill`, if ``takes_all`` is set.
        """
        raise NotImplementedError

    def notes(self) -> list[str]:
        """Return doubts about the results of the cell, for its record and the report."""
        return []

    @abstractmethod
    def fill(self, items: Sequence[MethodInput]) -> list[MethodOutput]:
        """Complete images and return them in order; sizes may differ."""

    @abstractmethod
    def close(self) -> None:
        """Free what `start` loaded."""
