"""Check the runs of a sweep before any of them starts: configurations, data, backbones, folders and weight files."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from jsonargparse import Namespace

from inpaint_zoo.benchmark.entries import SourceEntry
from inpaint_zoo.benchmark.missing import Missing, missing_dataset
from inpaint_zoo.cli.sweep_run import Run, full_key
from inpaint_zoo.cli.train import ZooCLI
from inpaint_zoo.cli.train_errors import configuration_error
from inpaint_zoo.data.entries import SAMPLE, list_files
from inpaint_zoo.data.locate import DatasetWarning
from inpaint_zoo.data.module import BATCH_SIZE
from inpaint_zoo.data.overlap import find_overlaps
from inpaint_zoo.errors import MissingError, ZooError, unknown_name
from inpaint_zoo.io.atomic import sha256_json
from inpaint_zoo.io.locks import LOCK, lock_folder
from inpaint_zoo.training import TrainingModule
from inpaint_zoo.training.lightning_options import check_settings
from inpaint_zoo.training.resume import list_checkpoints
from inpaint_zoo.training.run_folder import RunFolder
from inpaint_zoo.weights import WeightsNotFoundError, backbone_place, find_backbone, read_header, recorded_backbones
from inpaint_zoo.weights.origin import weights_origin

__all__ = ["RECORD", "Checked", "State", "check_runs", "run_folder"]

State = Literal["done", "kept", "running", "resumable", "new"]
RECORD = "sweep.json"  # in the folder of a run: what it trains


@dataclass(frozen=True)
class Checked:
    """A run of a sweep that was checked.

    Attributes:
        run: The run.
        images: Number of training images; None if the dataset is missing.
        images_sha256: Hash of the names of the training images; None likewise.
        steps: Number of generator steps; None likewise, if it depends on the number of images.
        steps_of_recipe: Number of generator steps without what the user sets; None likewise.
        state: "done" (the weight file is from this run), "kept" (the weight file is from elsewhere), "running" (by
            another process), "resumable" (there is a checkpoint) or "new".
        step: Number of generator steps done.
        detail: For the state "kept", where the weights come from.
        missing: What is not on this machine; empty if the run is done or kept.
        waits: Names of the runs of this sweep whose checkpoints it needs.
        difference: How the number of images differs from that of the registered data set; empty if it does not.
    """

    run: Run
    images: int | None
    images_sha256: str | None
    steps: int | None
    steps_of_recipe: int | None
    state: State
    step: int = 0
    detail: str = ""
    missing: tuple[Missing, ...] = ()
    waits: tuple[str, ...] = ()
    difference: str = ""

    @property
    def over(self) -> bool:
        """Whether there is nothing to do: its weights are there."""
        return self.state in ("done", "kept")

    @cached_property
    def recipe_sha256(self) -> str:
        """Hash of what a step of the training computes."""
        return sha256_json(self.run.recipe)


class _Parts(ZooCLI):
    """CLI that builds model and data of `fit`, on the meta device if possible, but no Trainer."""

    def instantiate_classes(self) -> None:
        arguments = self.settings.model.get("init_args", {})
        loads = any(value for key, value in arguments.items() if key.endswith(("_weights", "_critics")))
        with torch.device("cpu" if loads else "meta"):  # random weights take longer than everything else
            super().instantiate_classes()

    def instantiate_trainer(self, **kwargs: Any) -> Any:  # noqa: ANN401 Lightning's signature, but there is none
        settings = self._get(self.config_init, "trainer")
        check_settings({key: value for key, value in settings.items() if key != "default_root_dir"})

    def _set_seed(self) -> None:
        pass  # nothing is drawn

    def _run_subcommand(self, subcommand: str) -> None:
        pass


@dataclass(frozen=True)
class _Built:
    """What building a configuration tells: batches of a generator step, and the backbones that its losses need."""

    batches_per_step: int
    backbones: tuple[str, ...]


def check_runs(runs: Sequence[Run], download: bool) -> list[Checked]:
    """Check runs; nothing is trained or written.

    Args:
        runs: The runs, in the order of their suite.
        download: Whether missing backbones are downloaded if possible.

    Raises:
        ZooError: If a configuration is invalid, a dataset has another layout, training images are test images, a weight
            file or a folder belongs to another training, or a folder cannot be written.
    """
    data: dict[str, _Images] = {}
    built: dict[str, _Built] = {}
    found: list[Checked] = []
    for run in runs:
        key = sha256_json([run.splits, str(run.root), run.tested.label])
        if key not in data:
            data[key] = _images(run)
        key_of_model = sha256_json([list(map(str, run.configs)), run.model_options])
        if key_of_model not in built:
            built[key_of_model] = _build(run)
        found.append(_check(run, data[key], built[key_of_model], download))
    return [_with_start(each, {other.run.name: other for other in found}) for each in found]


@dataclass(frozen=True)
class _Images:
    """The training images of a run: number, hash of their names, another number than registered, what is missing."""

    count: int | None
    sha256: str | None
    difference: str = ""
    missing: Missing | None = None


def _images(run: Run) -> _Images:
    entry = (
        run.tested
        if run.data == run.tested.spec["name"]
        else SourceEntry(run.data, run.tested.table, {"name": run.data})
    )
    place = {"root": str(run.root)} if run.root is not None else {}
    if run.root is None and run.data != SAMPLE:
        return _Images(None, None, missing=missing_dataset(entry))
    try:
        with warnings.catch_warnings(record=True, action="always") as caught:  # the training shows them
            train = list_files({**(run.splits["train"] or {}), **place})
        with warnings.catch_warnings(action="ignore"):
            if run.splits["val"] is not None:
                list_files({**run.splits["val"], **place})
    except MissingError:
        return _Images(None, None, missing=missing_dataset(entry))
    try:
        with warnings.catch_warnings(action="ignore"):
            tested = list_files(run.tested.resolved)
    except MissingError:
        tested = {}
    if overlaps := find_overlaps({"training": train, "test": tested}):
        raise run.tested.table.error(f"{run.name} would be trained on images that the suite tests: {overlaps[0]}.")
    doubts = [each.message for each in caught if isinstance(each.message, DatasetWarning)]
    return _Images(len(train), sha256_json(list(train)), "; ".join(doubt.difference for doubt in doubts))


def _build(run: Run) -> _Built:
    """Build the configuration of a run, and find out what its losses need, without loading it.

    Raises:
        ZooError: If the configuration is invalid; the message names the run.
    """
    try:
        cli = _Parts("fit", run.words())
        _check_keys(cli.settings, run)
        module = cli.model
        on_missing = module.on_missing
        module.on_missing = "drop"
        with recorded_backbones() as names, warnings.catch_warnings(action="ignore"):
            batches = _batches_per_step(module, run)
            module.build_losses()
    except ZooError as error:
        raise ZooError(f"{run.name} ({run.config}): {error}") from error
    except Exception as error:
        if reason := configuration_error(error):
            raise ZooError(f"{run.name} ({run.config}): {reason}") from error
        raise
    return _Built(batches, tuple(dict.fromkeys(names)) if on_missing == "refuse" else ())


def _check_keys(settings: Namespace, run: Run) -> None:
    """Check that options of `fit` are written in full, because the parser also accepts their beginnings.

    Raises:
        UnknownNameError: If one is not.
    """
    for key in run.model_options:
        at: Any = settings
        for part in full_key(run.settings, key).split("."):
            known = vars(at) if isinstance(at, Namespace) else at if isinstance(at, Mapping) else {}
            if part not in known:
                raise unknown_name(f"part of the option '{key}':", part, list(known))
            at = known[part]


def _batches_per_step(module: TrainingModule, run: Run) -> int:
    if module.automatic_optimization:
        return int(run.final_settings.get("trainer", {}).get("accumulate_grad_batches") or 1)
    return module.batches_per_step


def _check(run: Run, images: _Images, built: _Built, download: bool) -> Checked:
    places = [place for name in built.backbones if (place := _absent(name, download))]
    missing = [images.missing] if images.missing else []
    missing += [Missing(*place.split(": ", 1)) for place in places]
    checked = Checked(
        run,
        images.count,
        images.sha256,
        _steps(run.final_settings, images.count, built.batches_per_step, run),
        _steps(run.settings, images.count, built.batches_per_step, run),
        "new",
        missing=tuple(missing),
        difference=images.difference,
    )
    return _with_state(checked)


def _absent(name: str, download: bool) -> str | None:
    """Return which file of a backbone goes where; None if it is there."""
    if download:
        try:
            find_backbone(name)
        except WeightsNotFoundError:
            return backbone_place(name)
        return None
    return backbone_place(name)


def _steps(settings: Mapping[str, Any], images: int | None, batches_per_step: int, run: Run) -> int | None:
    """Return the number of generator steps; None if it depends on the number of images.

    Raises:
        ZooError: If the configuration states neither the number of steps nor that of epochs.
    """
    trainer, data = settings.get("trainer", {}), settings["data"]["init_args"]
    most_steps, epochs = trainer.get("max_steps") or -1, trainer.get("max_epochs") or -1
    if most_steps < 0 and epochs < 0:
        raise ZooError(f"{run.name} ({run.config}): the training has no end. Set trainer.max_steps or max_epochs.")
    limits = [most_steps] if most_steps > 0 else []
    samples = data.get("epoch_samples") or images
    if epochs > 0 and samples is not None:
        batches = samples // int(data.get("batch_size", BATCH_SIZE))
        limit = trainer.get("limit_train_batches")
        if limit is not None:
            batches = int(batches * limit) if isinstance(limit, float) else min(batches, limit)
        limits.append(int(epochs * batches / batches_per_step))
    return min(limits) if limits else None


def _with_state(checked: Checked) -> Checked:
    """Return the run with its state, from its weight file and its folder.

    Raises:
        ZooError: If one of them belongs to another training.
    """
    run = checked.run
    for place in (run.target.parent, run.folder):
        _need_writable(place)
    if run.target.is_file():
        training = read_header(run.target).training
        if "recipe_sha256" not in training:
            return replace(checked, state="kept", detail=weights_origin(run.network, run.target).detail, missing=())
        if not _is_same(checked, training):
            raise ZooError(
                f"{run.target} has weights of another training than {run.config} on '{run.data}'. Move it away, or "
                "choose another --weights-root and --out."
            )
        done = int(training["steps_planned"])  # not those done, which are fewer after early stopping
        if checked.steps is None or done == checked.steps:
            return replace(checked, state="done", step=done, missing=())
        if done > checked.steps:
            raise ZooError(
                f"{run.target} was trained for {done:,} steps, more than the {checked.steps:,} that are asked for. "
                "Move it away, or choose another --weights-root and --out."
            )
    return _with_folder(checked)


def _with_folder(checked: Checked) -> Checked:
    run = checked.run
    folder = run_folder(run)
    record = run.folder / RECORD
    if record.is_file():
        if not _is_same(checked, _read(record)):
            raise ZooError(
                f"{run.folder} has another training than {run.config} on '{run.data}', which it would replace. Move it "
                "away, or choose another --out."
            )
    elif any(True for _ in folder.contents()):
        folder.refuse_used()
    if (run.folder / LOCK).is_file():
        try:
            with lock_folder(run.folder):
                pass
        except ZooError as error:
            return replace(checked, state="running", detail=str(error))
    steps = list_checkpoints(folder.checkpoints)
    if not steps:
        return checked
    return replace(checked, state="resumable", step=int(steps[0].stem.removeprefix("step_")))


def run_folder(run: Run) -> RunFolder:
    """Return the folder of a run with its checkpoints."""
    return RunFolder(run.folder, (run.final_settings.get("checkpoints") or {}).get("folder"))


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, OSError) as error:
        raise ZooError(f"{path} is damaged: {error}. Move the folder away, or choose another --out.") from None


def _is_same(checked: Checked, stated: Mapping[str, Any]) -> bool:
    """Return whether a record is of this training; its images are not compared if they are missing."""
    same_images = checked.images_sha256 in (None, stated.get("images_sha256"))
    return same_images and stated.get("recipe_sha256") == checked.recipe_sha256


def _need_writable(folder: Path) -> None:
    place = next(each for each in (folder, *folder.parents) if each.exists())
    if not place.is_dir():
        raise ZooError(f"{place} is a file, but {folder} must be a folder.")
    if not os.access(place, os.W_OK):
        raise ZooError(f"{place} cannot be written.")


def _with_start(checked: Checked, others: Mapping[str, Checked]) -> Checked:
    """Return the run with the runs that it waits for, or with those that are missing."""
    if checked.over:
        return checked
    waits, missing = [], list(checked.missing)
    for name in dict.fromkeys(checked.run.start.values()):
        first = others.get(name)
        folder = checked.run.out / name
        if first is not None and not first.over:
            waits.append(name)
        elif not list_checkpoints(folder / "checkpoints"):
            missing.append(Missing(f"checkpoints of '{name}'", f"train it first; they are expected in {folder}"))
    return replace(checked, waits=tuple(waits), missing=tuple(missing))
