"""The entries of a suite's lists: what they specify, their labels, and their position in the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from inpaint_zoo.benchmark.convention import Convention
from inpaint_zoo.config import Table
from inpaint_zoo.errors import MissingError
from inpaint_zoo.weights import is_official, official_weights

if TYPE_CHECKING:
    from inpaint_zoo.masks import EvalMask

__all__ = [
    "DATASET",
    "DRAW",
    "CallableEntry",
    "CommandEntry",
    "Family",
    "FileModelEntry",
    "FolderEntry",
    "MethodEntry",
    "ModelEntry",
    "Mosaic",
    "SourceEntry",
    "TrainKeys",
    "find_file",
]

DATASET = "{dataset}"
"""Stands in the path of a weight file for the name of the dataset."""
DRAW = "{draw}"
"""Stands in the path of a weight file for the number of a draw: 1, 2, ..."""


class Family(NamedTuple):
    """Networks that a suite states in one entry, and the place of one of them.

    Attributes:
        label: Label of the entry.
        kind: Whether they are draws of a training, or checkpoints of one.
        number: Number of the draw, or training step; None if there is no checkpoint.
    """

    label: str
    kind: Literal["draws", "checkpoints"]
    number: int | None


@dataclass(frozen=True)
class TrainKeys:
    """How the network of a method is trained.

    Attributes:
        config: Path of the training configuration; may contain `{dataset}`.
        few_shot: Number of training images, the first ones in natural order; None for all.
        data: Registered dataset to train on; None for the dataset that is tested.
        changes: Option of `fit` without the dashes, such as "model.l1" -> value.
        start: Argument of the training module, such as "init_weights" -> label of the method whose last checkpoint for
            the same dataset it gets.
    """

    config: str
    few_shot: int | None = None
    data: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    start: Mapping[str, str] = field(default_factory=dict)


def find_file(file: str, dataset: str, folders: Iterable[Path], folder: bool = False) -> str | None:
    """Return the absolute path of a file in the first of several folders that contains it; None if none does.

    Args:
        file: Its path, which may contain `DATASET`.
        dataset: Name of the dataset.
        folders: The folders.
        folder: Whether a folder is searched, instead of a file.
    """
    path = Path(file.replace(DATASET, dataset)).expanduser()
    places = (each / path for each in folders)
    found = next((place for place in places if (place.is_dir() if folder else place.is_file())), None)
    return None if found is None else str(found.absolute())


@dataclass(frozen=True)
class ModelEntry:
    """A registered model.

    Attributes:
        label: Name in tables.
        table: Its mapping in the suite.
        model: Registry name.
        weights: A file, as it is written; "shipped", "random", or None for a model that needs no training.
        options: Options of `create_model`.
        folders: Folders in which a relative file is searched, in this order.
        given: Whether the file is given from outside the suite.
        per_dataset: Whether the suite states another file for each dataset.
        draws: Number of networks of the entry, whose files differ in DRAW; 0 for an entry without `draws`.
        by_step: Checkpoint by name of the dataset, for an entry with `checkpoints`, whose ``weights`` are a pattern;
            None for other entries.
        other_steps: Datasets that have other checkpoints of the entry, but not this one.
        family: The entry that the network is a part of; None for an entry that is one network.
        applies: False for a dataset in ``other_steps``.
        train: How `inpaint-zoo sweep` trains it; None if the suite does not say it.
        strategy: How large images are divided, see `inference.strategy.AnySize`.
        max_memory: Maximum memory of a strategy, as text. It is stated in the suite and not found on the machine, so
            that "auto" chooses the same on every machine.
    """

    label: str
    table: Table
    model: str
    weights: str | None
    options: dict[str, Any]
    folders: tuple[Path, ...] = (Path(),)
    given: bool = False
    per_dataset: bool = False
    draws: int = 0
    by_step: Mapping[str, Path] | None = None
    other_steps: frozenset[str] = frozenset()
    family: Family | None = None
    applies: bool = True
    train: TrainKeys | None = None
    strategy: str = "full"
    max_memory: str = "4GiB"
    kind = "model"

    @property
    def file(self) -> str | None:
        """The weight file as it is written; None if there is none, or if it ships with the package."""
        named = not self.given and self.weights in ("random", "shipped")
        return None if named else self.weights

    def find(self, dataset: str) -> ModelEntry | None:
        """Return the entry with the path of its weight file for a dataset; None if there is no such file.

        Args:
            dataset: Name of the dataset.
        """
        if self.file is None:
            return self
        if not self.given and is_official(self.weights):
            path = _imported(self.model, str(self.weights))
            return None if path is None else replace(self, weights=str(path))
        if self.by_step is not None:
            if dataset in self.other_steps:
                return replace(self, applies=False)
            path = self.by_step.get(dataset)
            return None if path is None else replace(self, weights=str(path))
        found = find_file(self.file, dataset, self.folders)
        return None if found is None else replace(self, weights=found)  # absolute, so never the word "random"

    def plain(self) -> dict[str, Any]:
        """Return plain values for the records of a run, without paths of this machine."""
        weights = Path(self.weights).name if self.weights else None
        if self.given:
            weights = "given with --weights"
        family = {"family": self.family._asdict()} if self.family else {}
        return {
            "label": self.label,
            "kind": self.kind,
            "model": self.model,
            "weights": weights,
            "options": self.options,
            **self.division,
            **family,
        }

    @property
    def division(self) -> dict[str, str]:
        """The strategy and its maximum memory as plain values; empty for whole images."""
        return {} if self.strategy == "full" else {"strategy": self.strategy, "max_memory": self.max_memory}


@dataclass(frozen=True)
class FolderEntry:
    """A folder with finished results."""

    label: str
    table: Table
    folder: Path
    kind = "folder"

    def plain(self) -> dict[str, Any]:
        """Return plain values for the records of a run."""
        return {"label": self.label, "kind": self.kind, "folder": self.folder.name}


@dataclass(frozen=True)
class CallableEntry:
    """A Python function, given as `package.module:function`; modules beside the suite file can be imported."""

    label: str
    table: Table
    target: str
    kind = "callable"

    def plain(self) -> dict[str, Any]:
        """Return plain values for the records of a run."""
        return {"label": self.label, "kind": self.kind, "callable": self.target}


@dataclass(frozen=True)
class OutsideEntry:
    """Base class of models from outside the package that are not Python functions.

    Attributes:
        label: Name in tables.
        table: Its mapping in the suite.
        kind: Its key in the suite, such as "onnx".
        convention: How it takes images and masks.
    """

    label: str
    table: Table
    kind: str
    convention: Convention

    def plain(self) -> dict[str, Any]:
        """Return plain values for the records of a run, without paths of this machine."""
        return {"label": self.label, "kind": self.kind, "convention": self.convention.plain()}


@dataclass(frozen=True)
class FileModelEntry(OutsideEntry):
    """A model file or folder.

    Attributes:
        file: The path, as it is written. It may contain `DATASET`.
        options: Further keys of the suite.
        folders: Folders in which a relative path is searched, in this order.
        given: Whether the file is given from outside the suite.
        per_dataset: Whether the suite states another file for each dataset.
    """

    file: str
    options: dict[str, Any]
    folders: tuple[Path, ...] = (Path(),)
    given: bool = False
    per_dataset: bool = False

    @property
    def path(self) -> Path:
        """The path, after `find`."""
        return Path(self.file)

    def find(self, dataset: str) -> FileModelEntry | None:
        """Return the entry with the path of its file for a dataset; None if there is no such file or folder.

        Args:
            dataset: Name of the dataset.
        """
        found = find_file(self.file, dataset, self.folders, folder=self.kind == "diffusers")
        return None if found is None else replace(self, file=found)

    def plain(self) -> dict[str, Any]:
        """Return plain values for the records of a run, without paths of this machine."""
        shown = "given with --weights" if self.given else Path(self.file).name
        return {**super().plain(), self.kind: shown, **self.options}


@dataclass(frozen=True)
class CommandEntry(OutsideEntry):
    """A program that is started by a command line.

    Attributes:
        command: The command line with its placeholders.
        folder: Folder of the suite, in which the program runs.
        timeout: Seconds for one image.
        version: Text that stands for the version of the program.
        files: Paths of files and folders that its results depend on, relative to ``folder``.
    """

    command: str
    folder: Path
    timeout: float
    version: str | None
    files: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """Return plain values for the records of a run, without paths of this machine."""
        version = {"version": self.version} if self.version else {}
        return {**super().plain(), "cmd": self.command, **version}


MethodEntry = ModelEntry | FolderEntry | CallableEntry | FileModelEntry | CommandEntry


class Mosaic(NamedTuple):
    """A mosaic of the ground truth shown in the holes: deblurring, not inpainting. Arguments of `ops.mosaic`."""

    unit: int = 12
    interpolation: Literal["bilinear", "nearest"] = "bilinear"


@dataclass(frozen=True)
class SourceEntry:
    """A dataset or a mask set.

    Attributes:
        label: Name in tables and folders.
        table: Its mapping in the suite.
        spec: Argument of `create_dataset` or `create_generator`, as the suite states it.
        mosaic: For a mask set, the filling that networks see in the holes; None for empty holes.
        given: Keys that replace those of ``spec`` on this machine, such as the folder of `--data`.
        listed: For a mask set of a list that the suite names, its description in the list.
        draws: For a mask set, the number of masks for each image.
        train: For a dataset, the configuration that `inpaint-zoo sweep` adds to trainings on it; None for none.
    """

    label: str
    table: Table
    spec: dict[str, Any]
    mosaic: Mosaic | None = None
    given: dict[str, Any] = field(default_factory=dict)
    listed: EvalMask | None = None
    draws: int = 1
    train: str | None = None

    @property
    def resolved(self) -> dict[str, Any]:
        """The argument of `create_dataset` or `create_generator` on this machine."""
        return {**self.spec, **self.given}


def _imported(model: str, weights: str) -> Path | None:
    """Return the imported weights of a model, see `official_weights`; None if they were not imported."""
    try:
        return official_weights(model, weights)
    except MissingError:
        return None
