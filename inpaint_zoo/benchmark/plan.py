"""Create and check everything that a run needs before it computes: methods, images, masks, metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from inpaint_zoo.benchmark.axes import matching
from inpaint_zoo.benchmark.entries import DATASET, FileModelEntry, ModelEntry, SourceEntry
from inpaint_zoo.benchmark.identity import cell_id, rehearsal_id
from inpaint_zoo.benchmark.images import ImageSet, MaskSet, Unreadable, samples
from inpaint_zoo.benchmark.methods import Method, Prepared, Task, create_methods
from inpaint_zoo.benchmark.missing import Missing, MissingCell, missing_dataset, missing_masks
from inpaint_zoo.benchmark.scoring import Scorer
from inpaint_zoo.benchmark.store import CellKey
from inpaint_zoo.benchmark.suite import Suite
from inpaint_zoo.errors import MissingError, ZooError
from inpaint_zoo.io.listing import refuse_own_masks
from inpaint_zoo.io.names import real_path
from inpaint_zoo.io.scratch import Scratch

if TYPE_CHECKING:
    import torch

__all__ = [
    "Cell",
    "NotApplicable",
    "Plan",
    "Sources",
    "Surveyed",
    "make_plan",
    "open_sources",
    "refuse_one_file",
    "select",
    "survey",
]


@dataclass(frozen=True)
class Sources:
    """The datasets and mask sets of a suite.

    Attributes:
        image_sets: The datasets that are there.
        masks: The mask sets that are there.
        missing_datasets: The other datasets, by label.
        missing_masks: The other mask sets, by label.
    """

    image_sets: tuple[ImageSet, ...]
    masks: tuple[MaskSet, ...]
    missing_datasets: Mapping[str, Missing]
    missing_masks: Mapping[str, Missing]

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
        content: Hash of everything that its numbers depend on. Several cells of a rehearsal may have the same.
        problem: Why the cell cannot be computed; None if no problem is known.
    """

    key: CellKey
    task: Task
    method: Method
    image_set: ImageSet
    masks: MaskSet
    identity: dict[str, Any]
    content: str
    problem: str | None

    @property
    def samples(self) -> list[tuple[int, int]]:
        """(index of the image, draw of the mask) of each sample, in order."""
        return samples(self.image_set, self.masks)


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
        cells: The cells that can be computed, in suite order: method, dataset, mask set.
        missing: The cells that lack a dataset, mask files, weights, or the backbones of all metrics.
        not_applicable: The cells that do not apply.
    """

    suite: Suite
    sources: Sources
    scorer: Scorer
    cells: tuple[Cell, ...]
    missing: tuple[MissingCell, ...]
    not_applicable: tuple[NotApplicable, ...]


class Surveyed(NamedTuple):
    """A combination of method, dataset and mask set of a suite, before its images are opened.

    Attributes:
        method: The method.
        dataset, masks: The entries of the suite.
        refusal: Why it does not apply; None if it applies.
        missing: What it lacks.
    """

    method: Method
    dataset: SourceEntry
    masks: SourceEntry
    refusal: str | None
    missing: tuple[Missing, ...]

    @property
    def missing_cell(self) -> MissingCell:
        """The combination as a cell that cannot be computed."""
        return MissingCell(self.method.label, self.dataset.label, self.masks.label, self.missing)


def survey(
    suite: Suite,
    methods: Iterable[Mapping[str, Prepared]],
    missing_datasets: Mapping[str, Missing],
    missing_masks: Mapping[str, Missing],
    missing_metrics: Sequence[Missing],
) -> Iterator[Surveyed]:
    """Yield every combination of a suite, in its order, and what it lacks.

    Args:
        suite: The suite.
        methods: Its methods, from `create_methods`.
        missing_datasets: The datasets that are absent, by label.
        missing_masks: The mask sets that are absent, by label.
        missing_metrics: The backbones of all metrics, if no metric can be computed; otherwise empty.
    """
    for by_dataset, dataset, masks in product(methods, suite.datasets, suite.masks):
        method, no_weights = by_dataset[dataset.label]
        refusal = method.refusal(Task(dataset.label, masks.label, (), masks.mosaic is not None))
        absent = [missing_datasets.get(dataset.label), missing_masks.get(masks.label), no_weights, *missing_metrics]
        yield Surveyed(method, dataset, masks, refusal, tuple(part for part in absent if part is not None))


def open_sources(suite: Suite, workers: int, cache: Path) -> Sources:
    """List and check the images of a suite, create its mask generators and check their files.

    Args:
        suite: The suite.
        workers: Number of threads that decode.
        cache: Folder with the results of earlier checks. Only temporary files are written on its disk (`Scratch`).

    Raises:
        ZooError: If a mask set or dataset is invalid (with file and line), no image of a dataset can be read, images
            are given as masks, a paper's mask files are incomplete, or several draws give one mask.
    """
    scratch = Scratch(cache)
    masks: list[MaskSet] = []
    image_sets: list[ImageSet] = []
    missing_sets: dict[str, Missing] = {}
    missing: dict[str, Missing] = {}
    for entry in suite.masks:
        try:
            masks.append(MaskSet(entry, suite, scratch))
        except MissingError:
            missing_sets[entry.label] = missing_masks(entry)
    for entry in suite.datasets:
        try:
            image_sets.append(ImageSet(entry, workers, cache, scratch))
        except MissingError:
            missing[entry.label] = missing_dataset(entry)
    for mask_set in masks:
        for dataset in image_sets:
            refuse_own_masks(dataset.files, mask_set.files())
            mask_set.refuse_few(dataset)
            mask_set.refuse_equal_draws(dataset)
        mask_set.check(cache)
    return Sources(tuple(image_sets), tuple(masks), missing, missing_sets)


def make_plan(suite: Suite, sources: Sources, device: torch.device, precision: str) -> Plan:
    """Create every cell of a suite, named by the hash of its content.

    Raises:
        ZooError: If a method is not found, a weight file belongs to another model or to two methods, or two cells are
            equal.
    """
    methods = create_methods(suite)
    scorer = Scorer(suite.metrics, device, stand_ins=suite.rehearsal is not None)
    metrics = scorer.identity()
    backbones = [Missing(f"metric '{name}'", reason) for name, reason in scorer.skipped.items()] if not metrics else []
    image_sets = {image_set.label: image_set for image_set in sources.image_sets}
    mask_sets = {masks.label: masks for masks in sources.masks}
    cells: list[Cell] = []
    missing: list[MissingCell] = []
    refused: list[NotApplicable] = []
    for each in survey(suite, methods, sources.missing_datasets, sources.missing_masks, backbones):
        method = each.method
        if each.refusal is not None:
            refused.append(NotApplicable(method.label, each.dataset.label, each.masks.label, each.refusal))
            continue
        if each.missing:
            missing.append(each.missing_cell)
            continue
        image_set, masks = image_sets[each.dataset.label], mask_sets[each.masks.label]
        keys = tuple(image_set.key(*sample) for sample in samples(image_set, masks))
        task = Task(image_set.label, masks.label, keys, masks.mosaic is not None)
        problem = None
        try:
            identity = method.identity(task)
        except ZooError as error:  # results of this cell are missing; the other cells continue
            problem = str(error)
            identity = {"problem": problem}
        content = cell_id(
            seed=suite.seed,
            method=identity,
            dataset=image_set.identity(),
            mask=masks.identity(),
            metrics=metrics,
            precision=precision,
        )
        labels = (method.label, image_set.label, masks.label)
        key = CellKey(*labels, rehearsal_id(content, labels) if suite.rehearsal else content)
        cells.append(Cell(key, task, method, image_set, masks, identity, content, problem))
    _refuse_shared_weights(suite, methods)
    _refuse_twins(cells)
    return Plan(suite, sources, scorer, tuple(cells), tuple(missing), tuple(refused))


def _refuse_shared_weights(suite: Suite, methods: Iterable[Mapping[str, Prepared]]) -> None:
    """Check that no two labels are the same network with one weight file, and that no file has two models.

    One file may have several labels if their options differ, or if a combinator wraps the network.
    """
    from inpaint_zoo.registry import model_info

    seen: dict[tuple[str, Path], list[ModelEntry]] = {}
    for by_dataset, dataset in product(methods, suite.datasets):
        method, missing = by_dataset[dataset.label]
        entry = method.entry
        if not isinstance(entry, ModelEntry) or entry.file is None or missing is not None or not entry.applies:
            continue
        others = seen.setdefault((dataset.label, real_path(Path(entry.file))), [])
        for other in others:
            same = (entry.model, entry.options) == (other.model, other.options)
            if same or model_info(entry.model).weights_of != model_info(other.model).weights_of:
                raise entry.table.error(
                    f"'{other.label}' and '{entry.label}' have the same weight file for '{dataset.label}', "
                    f"{entry.file}; give each of them its own file."
                )
        others.append(entry)


def refuse_one_file(cells: Iterable[Cell]) -> None:
    """Check that a file of `--weights` does not replace the files that a suite has for each dataset.

    Args:
        cells: The cells to compute.

    Raises:
        ZooError: If one file would be used for several datasets whose networks were trained separately.
    """
    names: dict[str, set[str]] = {}
    for cell in cells:
        entry = cell.method.entry
        if isinstance(entry, ModelEntry | FileModelEntry) and entry.given and entry.per_dataset:
            names.setdefault(f"{entry.label}={entry.file}", set()).add(cell.image_set.name)
    for given, found in names.items():
        if len(found) > 1:
            raise ZooError(
                f"--weights {given}: the suite has weights for each dataset, but this is one file for "
                f"{' and '.join(sorted(found))}. Write {DATASET} in its path, or select a dataset with --only dataset=."
            )


def _refuse_twins(cells: Iterable[Cell]) -> None:
    seen: dict[str, CellKey] = {}
    for cell in cells:
        twin = seen.setdefault(cell.key.id, cell.key)
        if twin is not cell.key and cell.problem is None:
            raise ZooError(f"'{twin}' and '{cell.key}' have the same content; remove one of them from the suite.")


def select(cells: Sequence[Cell | MissingCell], only: Sequence[str]) -> list[Cell | MissingCell]:
    """Return the cells that `--only` selects.

    Args:
        cells: All cells.
        only: Patterns; see `matching`.

    Raises:
        ZooError: If a pattern is malformed or matches nothing.
    """
    chosen = matching([_labels(cell)[:3] for cell in cells], only)
    return [cell for cell, is_chosen in zip(cells, chosen, strict=True) if is_chosen]


def _labels(cell: Cell | MissingCell) -> CellKey | MissingCell:
    return cell if isinstance(cell, MissingCell) else cell.key
