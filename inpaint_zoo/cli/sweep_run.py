"""A training run of a sweep: what it trains, where it writes, and its command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from inpaint_zoo.benchmark.entries import SourceEntry
from inpaint_zoo.training.run_config import effective

__all__ = ["Run", "full_key", "parse_value", "shown_path"]

LENGTH = (  # keys that do not change what a step does
    *("trainer.max_steps", "trainer.max_epochs", "trainer.min_steps", "trainer.min_epochs", "trainer.max_time"),
    *("trainer.val_check_interval", "trainer.check_val_every_n_epoch", "model.metrics"),
    *("data.eval_masks", "data.eval_crop"),
)
BEGINNING = ("network_options", "init_weights")  # arguments of the training module
ENDS = ("max_steps", "max_epochs")


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
