"""Everything that a run needs, made and checked before the first number: methods, photographs, masks, metrics."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from inpaint_zoo.benchmark.identity import cell_id
from inpaint_zoo.benchmark.methods import Method, Task, create_methods
from inpaint_zoo.benchmark.photographs import MaskSet, Memory, Photographs, Unreadable
from inpaint_zoo.benchmark.scoring import Scorer
from inpaint_zoo.benchmark.store import CellKey
from inpaint_zoo.benchmark.suite import Suite
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.listing import refuse_own_masks

if TYPE_CHECKING:
    import torch

__all__ = ["Cell", "NotApplicable", "Plan", "Sources", "make_plan", "open_sources", "select"]

AXES = ("method", "dataset", "mask")


@dataclass(frozen=True)
class Sources:
    """The photographs and masks of a suite."""

    photographs: tuple[Photographs, ...]
    masks: tuple[MaskSet, ...]

    @property
    def unreadable(self) -> list[Unreadable]:
        """Files of all datasets that hold no photograph."""
        return [problem for photographs in self.photographs for problem in photographs.unreadable]


@dataclass(frozen=True)
class Cell:
    """One method on one dataset under one mask set.

    Attributes:
        key: Labels and identity.
        task: What the method is told.
        method: What is scored.
        photographs: On what.
        masks: Under which masks.
        identity: The method's part of the identity, for the record.
        problem: Why it cannot be computed, None where nothing is known against it.
    """

    key: CellKey
    task: Task
    method: Method
    photographs: Photographs
    masks: MaskSet
    identity: dict[str, Any]
    problem: str | None


class NotApplicable(NamedTuple):
    """A cell that makes no sense, by its labels, and why."""

    method: str
    dataset: str
    mask: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """A suite, ready to run.

    Attributes:
        suite: What was read.
        sources: Its photographs and masks.
        scorer: Its metrics.
        cells: In suite order: method, dataset, mask set.
        not_applicable: Those left out of them.
    """

    suite: Suite
    sources: Sources
    scorer: Scorer
    cells: tuple[Cell, ...]
    not_applicable: tuple[NotApplicable, ...]


def open_sources(suite: Suite, workers: int, cache: Path) -> Sources:
    """List and check the photographs of a suite, build its mask generators and check their files.

    Args:
        suite: What to open.
        workers: Threads that decode.
        cache: Where earlier verdicts on the files lie; nothing is written.

    Raises:
        ZooError: A mask set or dataset is wrong (file and line), no photograph of a dataset can be read, or images are
            given as masks.
    """
    masks = tuple(MaskSet(entry, suite) for entry in suite.masks)
    memory = Memory()
    photographs = tuple(Photographs(entry, workers, cache, memory) for entry in suite.datasets)
    for mask_set in masks:
        for dataset in photographs:
            refuse_own_masks(dataset.files, mask_set.files())
        mask_set.check(cache)
    return Sources(photographs, masks)


def make_plan(suite: Suite, sources: Sources, device: torch.device, precision: str) -> Plan:
    """Name every cell of a suite by its content.

    Raises:
        ZooError: A method cannot be found, no metric can be computed, or two cells are the same.
    """
    methods = create_methods(suite)
    scorer = Scorer(suite.metrics, device)
    metrics = scorer.identity()
    cells: list[Cell] = []
    refused: list[NotApplicable] = []
    for method in methods:
        for photographs in sources.photographs:
            for masks in sources.masks:
                task = Task(photographs.label, masks.label, photographs.keys, masks.mosaic is not None)
                refusal = method.refusal(task)
                if refusal is not None:
                    refused.append(NotApplicable(method.label, task.dataset, task.mask, refusal))
                    continue
                problem = None
                try:
                    identity = method.identity(task)
                except ZooError as error:  # results of this cell are missing; the other cells go on
                    problem = str(error)
                    identity = {"problem": problem}
                name = cell_id(
                    seed=suite.seed,
                    method=identity,
                    dataset=photographs.identity(),
                    mask=masks.identity(),
                    metrics=metrics,
                    precision=precision,
                )
                key = CellKey(method.label, photographs.label, masks.label, name)
                cells.append(Cell(key, task, method, photographs, masks, identity, problem))
    _refuse_twins(cells)
    return Plan(suite, sources, scorer, tuple(cells), tuple(refused))


def _refuse_twins(cells: Iterable[Cell]) -> None:
    seen: dict[str, CellKey] = {}
    for cell in cells:
        twin = seen.setdefault(cell.key.id, cell.key)
        if twin is not cell.key and cell.problem is None:
            raise ZooError(f"'{twin}' and '{cell.key}' are the same by their content; remove one from the suite.")


def select(cells: Sequence[Cell], only: Sequence[str]) -> list[Cell]:
    """The cells that `--only` names.

    Args:
        cells: All.
        only: `method=GLOB`, `dataset=GLOB`, `mask=GLOB`, or a plain GLOB over methods; several of one kind add up,
            those of different kinds restrict each other.

    Raises:
        ZooError: A pattern is malformed or matches nothing.
    """
    patterns: dict[str, list[str]] = {}
    for word in only:
        axis, equals, pattern = word.partition("=") if word.partition("=")[0] in AXES else ("method", "=", word)
        if not equals or not pattern:
            raise ZooError(f"--only wants method=GLOB, dataset=GLOB or mask=GLOB, got '{word}'.")
        labels = list(dict.fromkeys(str(getattr(cell.key, axis)) for cell in cells))
        if not fnmatch.filter(labels, pattern):
            raise ZooError(f"--only {word}: no {axis} matches; there are {', '.join(labels)}.")
        patterns.setdefault(axis, []).append(pattern)
    return [
        cell
        for cell in cells
        if all(
            any(fnmatch.fnmatchcase(getattr(cell.key, axis), pattern) for pattern in wanted)
            for axis, wanted in patterns.items()
        )
    ]
