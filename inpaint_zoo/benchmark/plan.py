"""Create and check everything that a run needs before it computes: methods, images, masks, metrics."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from inpaint_zoo.benchmark.identity import cell_id
from inpaint_zoo.benchmark.images import DecodedImages, ImageSet, MaskSet, Unreadable
from inpaint_zoo.benchmark.methods import Method, Task, create_methods
from inpaint_zoo.benchmark.scoring import Scorer
from inpaint_zoo.benchmark.store import CellKey
from inpaint_zoo.benchmark.suite import Suite
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.listing import refuse_own_masks

if TYPE_CHECKING:
    import torch

__all__ = ["Cell", "NotApplicable", "Plan", "Sources", "make_plan", "open_sources", "select"]

AXES = ("method", "dataset", "mask")
CACHE_BYTES = 1 << 30  # of decoded images; further ones are decoded again for every method


@dataclass(frozen=True)
class Sources:
    """The datasets and mask sets of a suite."""

    image_sets: tuple[ImageSet, ...]
    masks: tuple[MaskSet, ...]

    @property
    def unreadable(self) -> list[Unreadable]:
        """Files of all datasets that are not readable images."""
        return [problem for image_set in self.image_sets for problem in image_set.unreadable]


@dataclass(frozen=True)
class Cell:
    """One method on one dataset with one mask set.

    Attributes:
        key: Labels and identity.
        task: Description of the cell for the method.
        method: The method to score.
        images: The dataset.
        masks: The mask set.
        identity: The method's part of the identity, for the record.
        problem: Why the cell cannot be computed; None if no problem is known.
    """

    key: CellKey
    task: Task
    method: Method
    image_set: ImageSet
    masks: MaskSet
    identity: dict[str, Any]
    problem: str | None


class NotApplicable(NamedTuple):
    """A cell that does not apply, by its labels, and the reason."""

    method: str
    dataset: str
    mask: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """A suite that is ready to run.

    Attributes:
        suite: The suite as read.
        sources: Its datasets and mask sets.
        scorer: Its metrics.
        cells: The cells in suite order: method, dataset, mask set.
        not_applicable: The cells that do not apply.
    """

    suite: Suite
    sources: Sources
    scorer: Scorer
    cells: tuple[Cell, ...]
    not_applicable: tuple[NotApplicable, ...]


def open_sources(suite: Suite, workers: int, cache: Path) -> Sources:
    """List and check the images of a suite, create its mask generators and check their files.

    Args:
        suite: The suite.
        workers: Number of threads that decode.
        cache: Folder with the results of earlier checks; nothing is written.

    Raises:
        ZooError: If a mask set or dataset is invalid (with file and line), no image of a dataset can be read, or images
            are given as masks.
    """
    masks = tuple(MaskSet(entry, suite) for entry in suite.masks)
    decoded = DecodedImages(CACHE_BYTES)
    image_sets = tuple(ImageSet(entry, workers, cache, decoded) for entry in suite.datasets)
    for mask_set in masks:
        for dataset in image_sets:
            refuse_own_masks(dataset.files, mask_set.files())
        mask_set.check(cache)
    return Sources(image_sets, masks)


def make_plan(suite: Suite, sources: Sources, device: torch.device, precision: str) -> Plan:
    """Create every cell of a suite, named by the hash of its content.

    Raises:
        ZooError: If a method is not found, no metric can be computed, or two cells are equal.
    """
    methods = create_methods(suite)
    scorer = Scorer(suite.metrics, device)
    metrics = scorer.identity()
    cells: list[Cell] = []
    refused: list[NotApplicable] = []
    for method in methods:
        for image_set in sources.image_sets:
            for masks in sources.masks:
                task = Task(image_set.label, masks.label, image_set.keys, masks.mosaic is not None)
                refusal = method.refusal(task)
                if refusal is not None:
                    refused.append(NotApplicable(method.label, task.dataset, task.mask, refusal))
                    continue
                problem = None
                try:
                    identity = method.identity(task)
                except ZooError as error:  # results of this cell are missing; the other cells continue
                    problem = str(error)
                    identity = {"problem": problem}
                name = cell_id(
                    seed=suite.seed,
                    method=identity,
                    dataset=image_set.identity(),
                    mask=masks.identity(),
                    metrics=metrics,
                    precision=precision,
                )
                key = CellKey(method.label, image_set.label, masks.label, name)
                cells.append(Cell(key, task, method, image_set, masks, identity, problem))
    _refuse_twins(cells)
    return Plan(suite, sources, scorer, tuple(cells), tuple(refused))


def _refuse_twins(cells: Iterable[Cell]) -> None:
    seen: dict[str, CellKey] = {}
    for cell in cells:
        twin = seen.setdefault(cell.key.id, cell.key)
        if twin is not cell.key and cell.problem is None:
            raise ZooError(f"'{twin}' and '{cell.key}' have the same content; remove one of them from the suite.")


def select(cells: Sequence[Cell], only: Sequence[str]) -> list[Cell]:
    """Return the cells that `--only` selects.

    Args:
        cells: All cells.
        only: `method=GLOB`, `dataset=GLOB`, `mask=GLOB`, or a plain GLOB for methods. A cell must match one pattern of
            each given axis.

    Raises:
        ZooError: If a pattern is malformed or matches nothing.
    """
    patterns: dict[str, list[str]] = {}
    for word in only:
        axis, equals, pattern = word.partition("=") if word.partition("=")[0] in AXES else ("method", "=", word)
        if not equals or not pattern:
            raise ZooError(f"--only must be method=GLOB, dataset=GLOB or mask=GLOB, got '{word}'.")
        labels = list(dict.fromkeys(str(getattr(cell.key, axis)) for cell in cells))
        if not fnmatch.filter(labels, pattern):
            raise ZooError(f"--only {word}: no {axis} matches; available: {', '.join(labels)}.")
        patterns.setdefault(axis, []).append(pattern)
    return [
        cell
        for cell in cells
        if all(
            any(fnmatch.fnmatchcase(getattr(cell.key, axis), pattern) for pattern in wanted)
            for axis, wanted in patterns.items()
        )
    ]
