"""The training runs that a suite needs: their configurations, data, folders and weight files.

Nothing is built or opened here except YAML files, so a plan takes no time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from inpaint_zoo.benchmark import Suite
from inpaint_zoo.benchmark.entries import DATASET, ModelEntry, SourceEntry, TrainKeys
from inpaint_zoo.cli.config_files import read_config
from inpaint_zoo.data import DatasetRecord, dataset_info
from inpaint_zoo.data.datasets import SAMPLE
from inpaint_zoo.data.locate import named_folder
from inpaint_zoo.data.records import IN_WORDS
from inpaint_zoo.errors import ZooError
from inpaint_zoo.training.run_config import effective

__all__ = ["Run", "full_key", "parse_value", "plan_runs", "shown_path"]

LENGTH = (  # keys that do not change what a step does
    *("trainer.max_steps", "trainer.max_epochs", "trainer.min_steps", "trainer.min_epochs", "trainer.max_time"),
    *("trainer.val_check_interval", "trainer.check_val_every_n_epoch", "model.metrics"),
)
BEGINNING = ("network_options", "init_weights")  # arguments of the training module
ENDS = ("max_steps", "max_epochs")
SOURCE = ("name", "root", "list", "shards", "cache", "cache_shards", "split", "labels", "select", "terms", "parts")


@dataclass(frozen=True)
class Run:
    """A training run of a sweep.

    Attributes:
        name: Its folder below the folder of the sweep: the weight file without its suffix, such as "dog/grig_steps_1".
        labels: The methods of the suite that use its weights.
        tested: The dataset of the suite that its weights are for.
        data: Name of the dataset that it trains on.
        configs: Its configurations, composed in this order.
        changes: Options of `fit` that the suite sets, by name without the dashes.
        added: Configurations that the user adds.
        given: Options of `fit` that the user sets, by name without the dashes.
        splits: "train", "val" and "test" -> the dataset as in the data module; None if it has no such split.
        root: Folder of the dataset; None if it is not known or not needed.
        selects: Whether a validation metric may select the checkpoint, because validation images are not test images.
        start: Argument of the training module -> name of the run whose last checkpoint it gets.
        target: The weight file to write.
        out: Folder of the sweep.
        settings: The composed configuration as plain values, without what the user adds and sets.
        final_settings: The same with what the user adds and sets.
    """

    name: str
    labels: tuple[str, ...]
    tested: SourceEntry
    data: str
    configs: tuple[Path, ...]
    changes: Mapping[str, Any]
    added: tuple[Path, ...]
    given: Mapping[str, Any]
    splits: Mapping[str, dict[str, Any] | None]
    root: Path | None
    selects: bool
    start: Mapping[str, str]
    target: Path
    out: Path
    settings: Mapping[str, Any]
    final_settings: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """Its folder."""
        return self.out / self.name

    @property
    def network(self) -> str:
        """Registry name of the network."""
        return str(self.settings["model"]["init_args"]["network"])

    @property
    def config(self) -> str:
        """Its configurations in a few words, without folders of this machine."""
        return " + ".join(_short(path) for path in self.configs)

    @property
    def recipe(self) -> dict[str, Any]:
        """What a step of the training computes; without the number of steps, devices and folders."""
        return _per_step(self.final_settings)

    @property
    def changed(self) -> dict[str, Any]:
        """What the user changes in a step of the training, by key."""
        before, after = _per_step(self.settings), self.recipe
        return {key: after.get(key) for key in sorted(before | after) if before.get(key) != after.get(key)}

    def trains_like(self, other: Run) -> bool:
        """Return whether another run learns the same."""
        mine, theirs = (
            (run.recipe, run.start, *(run.final_settings.get("trainer", {}).get(key) for key in ENDS))
            for run in (self, other)
        )
        return mine == theirs

    @property
    def model_options(self) -> dict[str, Any]:
        """The options of its command that do not depend on the dataset."""
        return {**self.changes, **self.given}

    @property
    def data_options(self) -> dict[str, Any]:
        """The options of its command that state the data."""
        options: dict[str, Any] = {f"data.{split}": spec for split, spec in self.splits.items()}
        if self.root is not None:
            options["data.root"] = str(self.root)
        if not self.selects:
            options["checkpoints.monitor"] = None
        return options

    def words(self, start: Mapping[str, str] | None = None, short: bool = False) -> list[str]:
        """Return the arguments of `inpaint-zoo fit`.

        Args:
            start: Argument of the training module -> checkpoint to start from.
            short: Whether paths are relative to the working directory if they are below it.
        """
        show = shown_path if short else str
        words = [word for path in (*self.configs, *self.added) for word in ("--config", show(path))]
        first = {f"model.{key}": path for key, path in (start or {}).items()}
        options = {**self.data_options, **self.changes, **first, **self.given}
        words += [f"--{full_key(self.settings, key)}={_as_word(value)}" for key, value in options.items()]
        return [*words, "--out", show(self.folder)]


def _per_step(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a step depends on; `effective` leaves out what a checkpoint determines."""
    arguments = settings["model"]["init_args"]
    begun = {f"model.{key}": arguments[key] for key in BEGINNING if arguments.get(key) is not None}
    return begun | {key: value for key, value in effective(settings).items() if key not in LENGTH}


def shown_path(path: Path) -> str:
    """Return a path relative to the working directory if it is below it, else the whole path."""
    path = path.absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _short(path: Path) -> str:
    """Return a configuration from the folder `configs` on, or its folder and name.

    Example:
        >>> _short(Path("/home/me/inpaint-zoo/configs/grig/base.yaml")), _short(Path("/home/me/mine/grig.yaml"))
        ('configs/grig/base.yaml', 'mine/grig.yaml')
    """
    start = path.parts.index("configs") if "configs" in path.parts else -2
    return "/".join(path.parts[start:])


def full_key(settings: Mapping[str, Any], key: str) -> str:
    """Return a key with the `init_args` that the command line needs.

    Example:
        >>> full_key({"model": {"class_path": "inpaint_zoo.models.ISNet"}}, "model.l1")
        'model.init_args.l1'
    """
    parts: list[str] = []
    at: Any = settings
    for part in (part for part in key.split(".") if part != "init_args"):
        if isinstance(at, Mapping) and "class_path" in at:
            parts.append("init_args")
            at = at.get("init_args")
        parts.append(part)
        at = at.get(part) if isinstance(at, Mapping) else None
    return ".".join(parts)


def _as_word(value: Any) -> str:  # noqa: ANN401 any plain value
    return value if isinstance(value, str) else json.dumps(value)


def plan_runs(
    suite: Suite,
    out: Path,
    weights_root: Path,
    data: Mapping[str, str | Path],
    given: Mapping[str, Any],
    added: Sequence[Path] = (),
) -> list[Run]:
    """Return the runs of a suite, in the order of its methods and datasets.

    Methods that use one weight file share a run. A method whose weight file does not depend on the dataset has one run,
    for the suite's first dataset.

    Args:
        suite: The suite.
        out: Folder of the sweep.
        weights_root: Folder that relative weight files of the suite refer to.
        data: Folders of datasets by name.
        given: Options of `fit` that the user sets, by name without the dashes.
        added: Configurations that the user adds to all runs.

    Raises:
        ZooError: If no method has the key `train`, a configuration is missing or of another network, options of the
            suite and of a configuration contradict each other, two different trainings have one weight file, or a
            dataset has no registered training split.
    """
    planner = _Planner(suite, out.absolute(), weights_root.absolute(), data, given, tuple(added))
    runs: dict[Path, Run] = {}
    for entry in planner.methods.values():
        if entry.train is None:
            continue
        for dataset in suite.datasets if DATASET in str(entry.weights) else suite.datasets[:1]:
            run = planner.run(entry, dataset)
            other = runs.setdefault(run.target, run)
            if other is run:
                continue
            if not other.trains_like(run):
                raise entry.table.error(
                    f"'{other.labels[0]}' and '{entry.label}' are trained in different ways, by {other.config} and "
                    f"{run.config}, but have the same weight file for '{dataset.label}'. Give each of them its own "
                    "file.",
                    "train",
                )
            runs[run.target] = replace(other, labels=(*other.labels, entry.label))
    if not runs:
        raise ZooError(
            f"{suite.path}: no method has the key `train`, so there is nothing to train. Add `train: CONFIG.yaml` to "
            "the methods with weights."
        )
    return list(runs.values())


class _Planner:
    """Creates the runs of one suite; see `plan_runs`."""

    def __init__(
        self,
        suite: Suite,
        out: Path,
        weights_root: Path,
        data: Mapping[str, str | Path],
        given: Mapping[str, Any],
        added: tuple[Path, ...],
    ) -> None:
        self.methods = {entry.label: entry for entry in suite.methods if isinstance(entry, ModelEntry)}
        self.out, self.weights_root, self.data = out, weights_root, data
        self.given, self.added = given, tuple(path.absolute() for path in added)

    def run(self, entry: ModelEntry, dataset: SourceEntry) -> Run:
        """Return the run of a method for a dataset."""
        train = entry.train
        assert train is not None
        tested = str(dataset.spec["name"])
        name = train.data or tested
        files = [train.config, *([dataset.train] if dataset.train else [])]
        configs = tuple(Path(file.replace(DATASET, name)).resolve() for file in files)
        record = _record(entry, name)
        settings, final = (self._settings(entry, record, configs + more) for more in ((), self.added))
        splits: dict[str, dict[str, Any] | None] = {split: final["data"]["init_args"][split] for split in IN_WORDS}
        root = dataset.resolved.get("root") if name == tested else self.data.get(name)
        if root is None and name != SAMPLE:
            root = named_folder(name)
        file = str(entry.weights).replace(DATASET, tested)
        run = Run(
            name=_run_name(file),
            labels=(entry.label,),
            tested=dataset,
            data=name,
            configs=configs,
            changes=train.changes,
            added=self.added,
            given=self.given,
            splits=splits,
            root=None if root is None else Path(root).expanduser().absolute(),
            selects=not record.val_is_test and splits["val"] is not None,
            start={argument: self._start(entry, label, tested) for argument, label in train.start.items()},
            target=self.weights_root / Path(file).expanduser(),
            out=self.out,
            settings=settings,
            final_settings=_changed(final, self.given),
        )
        _check_network(entry, run)
        return run

    def _settings(self, entry: ModelEntry, record: DatasetRecord, configs: tuple[Path, ...]) -> dict[str, Any]:
        """Return the composed configuration with the data of the record and the changes of the suite."""
        train = entry.train
        assert train is not None
        try:
            composed = _composed(configs)
        except ZooError as error:
            raise entry.table.error(str(error), "train") from error
        splits = _splits(record, train, composed)
        settings = _changed(composed, {f"data.{split}": spec for split, spec in splits.items()})
        if record.val_is_test or splits["val"] is None:
            settings = _changed(settings, {"checkpoints.monitor": None})
        return _changed(settings, train.changes)

    def _start(self, entry: ModelEntry, label: str, tested: str) -> str:
        """Return the name of the run whose checkpoint another one starts from."""
        first = self.methods.get(label)
        if first is None or first.train is None or label == entry.label:
            others = [other for other, each in self.methods.items() if each.train and other != entry.label]
            raise entry.table.error(
                f"'start' of '{entry.label}': no other method with the key `train` is called '{label}'; there are: "
                f"{', '.join(others) or 'none'}.",
                "train",
            )
        return _run_name(str(first.weights).replace(DATASET, tested))


def _run_name(file: str) -> str:
    """Return the name of the run that writes a weight file."""
    return Path(file).with_suffix("").as_posix().lstrip("/~")


@cache
def _composed(configs: tuple[Path, ...]) -> dict[str, Any]:
    """Return configurations merged in order, as the parser merges them."""
    settings = read_config(*configs)
    try:
        settings["model"]["class_path"], settings["model"]["init_args"]["network"]
    except (KeyError, TypeError):
        raise ZooError(f"{configs[0]}: must state model.class_path and model.init_args.network.") from None
    data = settings.setdefault("data", {})
    data.setdefault("class_path", "inpaint_zoo.data.InpaintingDataModule")
    data.setdefault("init_args", {})
    return settings


def _record(entry: ModelEntry, name: str) -> DatasetRecord:
    try:
        record = dataset_info(name)
    except ZooError as error:
        raise entry.table.error(
            f"'{entry.label}' cannot be trained on '{name}', because only registered data sets have a training split. "
            f"{error} Name one with `train: {{config: FILE, data: NAME}}`.",
            "train",
        ) from error
    if "train" not in record.splits:
        raise entry.table.error(
            f"the data set '{name}' has no training images, so nothing can be trained on it.", "train"
        )
    return record


def _splits(record: DatasetRecord, train: TrainKeys, composed: Mapping[str, Any]) -> dict[str, dict[str, Any] | None]:
    """Return the training and validation sets, with the sizes and crops that the configuration states."""
    splits: dict[str, dict[str, Any] | None] = {}
    for split in IN_WORDS:
        if split not in record.splits:
            splits[split] = None
            continue
        stated = composed["data"]["init_args"].get(split) or {}
        kept = {key: value for key, value in stated.items() if key not in SOURCE}
        shots = {"select": {"few_shot": train.few_shot}} if split == "train" and train.few_shot else {}
        splits[split] = {"name": record.name, "split": split, **shots, **kept}
    return splits


def _changed(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with other values for some keys. The keys may leave out `init_args`."""
    result = dict(settings)
    for key, value in changes.items():
        at = result
        *path, last = [part for part in key.split(".") if part != "init_args"]
        for part in path:
            inner = at.get(part)
            at[part] = dict(inner) if isinstance(inner, Mapping) else {}
            at = at[part]
            if "class_path" in at:
                at["init_args"] = dict(at.get("init_args") or {})
                at = at["init_args"]
        at[last] = value
    return result


def _check_network(entry: ModelEntry, run: Run) -> None:
    """Check that the configuration trains the network of the suite, with the options that the suite states.

    Raises:
        ZooError: If it does not; the message names both values.
    """
    from inpaint_zoo.registry import model_info

    needed = model_info(entry.model).weights_of
    if run.network != needed:
        raise entry.table.error(
            f"'{entry.label}' needs weights of '{needed}', but {run.config} trains '{run.network}'.", "train"
        )
    stated = run.final_settings["model"]["init_args"].get("network_options") or {}
    trained = {**model_info(run.network).options, **stated}
    for option, value in entry.options.items():
        if option in trained and trained[option] != value:
            raise entry.table.error(
                f"'{entry.label}' is used with {option}={value!r}, but {run.config} trains with "
                f"{option}={trained[option]!r}.",
                "options",
            )


def parse_value(text: str) -> Any:  # noqa: ANN401 any plain value
    """Return the value of a `KEY=VALUE` argument, read as YAML; a text that is not valid YAML is kept.

    Example:
        >>> parse_value("200"), parse_value("1e-3"), parse_value("[color]")
        (200, 0.001, ['color'])
    """
    try:
        return json.loads(text)
    except ValueError:
        return yaml.safe_load(text)
