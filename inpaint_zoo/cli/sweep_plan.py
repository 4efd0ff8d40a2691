"""The training runs that a suite needs: their configurations, data, folders and weight files.

Nothing is built or opened here except YAML files, so a plan takes no time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from inpaint_zoo.benchmark import Suite
from inpaint_zoo.benchmark.entries import DATASET, ModelEntry, SourceEntry, TrainKeys
from inpaint_zoo.benchmark.training_keys import SUFFIX
from inpaint_zoo.cli.config_files import read_config
from inpaint_zoo.cli.sweep_run import Run
from inpaint_zoo.data import DatasetRecord, dataset_info
from inpaint_zoo.data.entries import SAMPLE
from inpaint_zoo.data.locate import named_folder
from inpaint_zoo.data.records import IN_WORDS
from inpaint_zoo.errors import ZooError

__all__ = ["plan_runs"]

SOURCE = ("name", "root", "list", "shards", "cache", "cache_shards", "split", "labels", "select", "terms", "parts")


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
            runs[run.target] = replace(other, labels=tuple(dict.fromkeys((*other.labels, *run.labels))))
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
        draw = entry.family.number if entry.family is not None and entry.family.kind == "draws" else None
        changes = train.changes if draw is None else {"seed_everything": draw, **train.changes}
        file = str(entry.weights).replace(DATASET, tested) + (SUFFIX if entry.by_step is not None else "")
        run = Run(
            name=_run_name(file),
            labels=(entry.family.label if entry.by_step is not None and entry.family else entry.label,),
            tested=dataset,
            data=name,
            configs=configs,
            changes=changes,
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
    return Path(file.removesuffix(SUFFIX)).as_posix().lstrip("/~")


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
