"""Data and weights that are given from outside a suite, so that a suite does not need to be edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from inpaint_zoo.benchmark.entries import DATASET, FileModelEntry, MethodEntry, ModelEntry, SourceEntry
from inpaint_zoo.benchmark.families import expanded
from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.weights import weights_folder

__all__ = ["Places"]

FIXED = ("shards", "parts")  # where a dataset's images can be, other than one folder


@dataclass(frozen=True)
class Places:
    """Where data and weights are on this machine.

    Relative weight files of a suite are searched in ``weights_root`` if it is given; otherwise in the folder set in
    `INPAINT_ZOO_WEIGHTS`, then beside the suite.

    Attributes:
        data: Folder by the name of a dataset, or of a set of mask files such as "nvidia_irregular"; it takes precedence
            over the suite's `root`.
        weights: Weight file by the label of a method, relative to the working directory; it takes precedence over the
            suite's. `{dataset}` in it stands for the name of the dataset.
        weights_root: Folder that relative weight files of the suite refer to.

    Raises:
        ZooError: If a folder does not exist.
    """

    data: Mapping[str, str | Path] = field(default_factory=dict)
    weights: Mapping[str, str | Path] = field(default_factory=dict)
    weights_root: str | Path | None = None

    def __post_init__(self) -> None:
        for name, folder in self.data.items():
            _need_folder(f"--data {name}={folder}", Path(folder))
        if self.weights_root is not None:
            _need_folder(f"--weights-root {self.weights_root}", Path(self.weights_root))

    def of_model(self, entry: ModelEntry, base: Path) -> ModelEntry:
        """Return an entry with the folders of its weight file, or with the file that is given for its label.

        Args:
            entry: The entry.
            base: Folder of the suite.
        """
        if entry.weights is None:
            return entry
        per_dataset = DATASET in (entry.file or "")
        given = self.weights.get(entry.label)
        if given is not None:
            return replace(entry, weights=str(given), given=True, per_dataset=per_dataset)
        return replace(entry, folders=self.folders(base), per_dataset=per_dataset)

    def of_file(self, entry: FileModelEntry, base: Path) -> FileModelEntry:
        """Return the entry of a model file with the folders of its file, or with the file that is given for its label.

        Args:
            entry: The entry.
            base: Folder of the suite.
        """
        per_dataset = DATASET in entry.file
        given = self.weights.get(entry.label)
        if given is not None:
            return replace(entry, file=str(given), given=True, per_dataset=per_dataset)
        return replace(entry, folders=self.folders(base), per_dataset=per_dataset)

    def folders(self, base: Path) -> tuple[Path, ...]:
        """Return the folders in which a relative weight file of a suite is searched, in this order.

        Args:
            base: Folder of the suite.
        """
        if self.weights_root is not None:
            return (Path(self.weights_root).expanduser(),)
        common = weights_folder()
        return tuple(each.expanduser() for each in (common, base) if each is not None)

    def of_dataset(self, entry: SourceEntry) -> SourceEntry:
        """Return an entry with the folder that is given for its name.

        Raises:
            ZooError: If its images are not in a folder.
        """
        name = entry.spec["name"]
        if name not in self.data:
            return entry
        for key in FIXED:
            if key in entry.spec:
                raise ZooError(f"--data {name}: the suite's dataset '{name}' has `{key}`, so no folder can replace it.")
        return replace(entry, given={"root": str(Path(self.data[name]).expanduser())})

    def check(
        self,
        methods: Sequence[MethodEntry],
        datasets: Sequence[SourceEntry],
        masks: Sequence[SourceEntry],
        suite: Path,
    ) -> None:
        """Check that every given name is in the suite, and that every given file exists.

        Args:
            methods: The suite's methods, with what is given for them.
            datasets: Its datasets.
            masks: Its mask sets.
            suite: Its file, for error messages.

        Raises:
            ZooError: For the first wrong name or file.
        """
        from inpaint_zoo.data.entries import SAMPLE

        names = [entry.spec["name"] for entry in datasets]
        files = [entry.listed.files.name for entry in masks if entry.listed and entry.listed.files]
        models = {
            each.label: each
            for each in methods
            if isinstance(each, FileModelEntry) or (isinstance(each, ModelEntry) and each.weights is not None)
        }
        training = [each.train for each in models.values() if isinstance(each, ModelEntry) and each.train]
        trained_on = [train.data for train in training if train.data]
        for name in self.data:
            choices = [each for each in dict.fromkeys([*names, *trained_on, *files]) if each != SAMPLE]
            _need_name("--data", "dataset or set of mask files", name, choices, suite)
        for label, given in self.weights.items():
            _need_name("--weights", "method with weights", label, list(models), suite)
            networks = [
                each for each in expanded(models[label], names) if isinstance(each, ModelEntry | FileModelEntry)
            ]
            if not any(each.find(name) for each in networks for name in names or ("",)):
                tried = dict.fromkeys(str(given).replace(DATASET, name) for name in names or ("",))
                raise ZooError(f"--weights {label}={given}: there is no file {' or '.join(tried)}.")


def _need_folder(option: str, folder: Path) -> None:
    if not folder.expanduser().is_dir():
        raise ZooError(f"{option}: no such folder.")


def _need_name(option: str, kind: str, name: str, choices: Sequence[str], suite: Path) -> None:
    if name not in choices:
        hint = f"{suite.name} has: {', '.join(choices)}." if choices else f"{suite.name} has none."
        raise ZooError(f"{option} {name}: {unknown_name(kind, name, choices, hint)}")
