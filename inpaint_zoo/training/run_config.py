"""Compare the configuration of a resumed run with that of its checkpoint, and refuse changes without a correct effect.

A checkpoint holds optimizers, schedules and counters. A changed configuration alone does not change them: a new
learning rate would be written to config.yaml but never used. Therefore both configurations are compared key by key:

- `HARMLESS` keys may change, because they do not affect what is learned.
- `APPLIED` keys and longer schedules take effect from the next step on.
- `FIXED` keys must not change.
- All other changes are refused, unless the new value is requested by ``--reset KEY``.

Keys are written without ``init_args``: ``model.optimizer.lr``, ``data.batch_size``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from inpaint_zoo.errors import ZooError, unknown_name

__all__ = ["APPLIED", "FIXED", "HARMLESS", "Change", "Changes", "compare", "effective"]

HARMLESS = {
    "out, ckpt_path, reset, config, images": "which files are written",
    "checkpoints.every, checkpoints.keep, checkpoints.folder": "which checkpoints are kept",
    "trainer.default_root_dir, trainer.logger, trainer.log_every_n_steps, trainer.enable_progress_bar, "
    "trainer.enable_model_summary, trainer.enable_checkpointing, trainer.enable_autolog_hparams, trainer.profiler, "
    "trainer.model_registry, trainer.barebones": "logs and display",
    "trainer.accelerator, trainer.devices, trainer.num_nodes, trainer.strategy, trainer.plugins, "
    "trainer.use_distributed_sampler, trainer.sync_batchnorm, trainer.benchmark, trainer.deterministic, "
    "trainer.inference_mode, trainer.detect_anomaly": "devices and computation",
    "trainer.fast_dev_run, trainer.num_sanity_val_steps, trainer.limit_val_batches, trainer.limit_test_batches, "
    "trainer.limit_predict_batches, data.test, data.eval_batch_size": "evaluation and test runs",
    "model.compile, model.channels_last, model.guard_every": "how the model is computed",
    "model.init_weights, model.network_options, model.first_training.init_weights, "
    "model.first_training.network_options": "the checkpoint has the weights; `matching` compares the options",
    "data.root, data.workers": "where the data are stored and how they are read",
}
APPLIED = {
    "trainer.max_steps, trainer.max_epochs, trainer.min_steps, trainer.min_epochs, trainer.max_time": "end of training",
    "trainer.val_check_interval, trainer.check_val_every_n_epoch, model.metrics": "time and metrics of validations",
    "checkpoints.monitor, checkpoints.mode": "the search for the best checkpoint starts again",
    "trainer.precision": "precision of the next steps",
    "data.batch_size": "size of the next batches, also within the current epoch",
}
FIXED = {
    "model.class_path, model.network": "the weights would not fit",
    "optimizer.class_path": "the optimizer's state would not fit",
}
HORIZONS = frozenset(
    (
        "T_0",
        "T_max",
        "constant",
        "decay",
        "epochs",
        "max_iters",
        "milestones",
        "step_size",
        "total_iters",
        "total_steps",
    )
)
AVERAGES = ("NetworkEMA", "WeightAveraging", "EMAWeightAveraging")
_OPTIMIZING = re.compile(r"optimizer|scheduler|\binterval$|(\b|_)lr$|learning_rate|weight_decay|betas|momentum")


def _keys(table: Mapping[str, str]) -> frozenset[str]:
    return frozenset(key for keys in table for key in keys.split(", "))


_HARMLESS, _APPLIED, _FIXED = _keys(HARMLESS), _keys(APPLIED), _keys(FIXED)


class Change(NamedTuple):
    """A key whose value differs from the checkpoint's.

    Attributes:
        key: The key, such as ``model.optimizer.lr``.
        old: The value that the checkpoint was trained with.
        new: The value in the configuration of the run.
    """

    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.key} {self.old!r} -> {self.new!r}"

    @property
    def is_fixed(self) -> bool:
        """Whether it is always refused, even with ``--reset``."""
        return any(self.key == key or self.key.endswith(f"_{key}") or self.key.endswith(f".{key}") for key in _FIXED)

    @property
    def is_longer_schedule(self) -> bool:
        """Whether it only makes a learning-rate schedule longer."""
        *_, parent, name = ("", *self.key.split("."))
        if "scheduler" not in parent or name not in HORIZONS:
            return False
        old, new = (value if isinstance(value, list) else [value] for value in (self.old, self.new))
        whole = all(isinstance(value, int) for value in (*old, *new))
        return whole and len(old) == len(new) and all(a <= b for a, b in zip(old, new, strict=True))

    @property
    def concerns_optimizers(self) -> bool:
        """Whether optimizers or schedules must be reset for it to take effect."""
        return self.key.startswith("model.") and bool(_OPTIMIZING.search(self.key))


@dataclass(frozen=True)
class Changes:
    """Differences between the configurations of a checkpoint and of the run that resumes from it.

    Attributes:
        applied: Changes that take effect.
        refused: Changes that would have no effect or a wrong one, and that ``--reset`` does not request.
        fixed: Changes that cannot take effect, even with ``--reset``.
    """

    applied: list[Change] = field(default_factory=list)
    refused: list[Change] = field(default_factory=list)
    fixed: list[Change] = field(default_factory=list)

    @property
    def concern_optimizers(self) -> bool:
        """Whether optimizers or schedules must be reset."""
        return any(change.concerns_optimizers for change in self.applied)

    def refuse(self, checkpoint: object, step: int) -> None:
        """Raise an error if there are refused or fixed changes.

        Args:
            checkpoint: File of the checkpoint, for the message.
            step: Number of generator steps of the checkpoint.

        Raises:
            ZooError: There are such changes; the message lists all of them and says what to do.
        """
        if self.fixed:
            raise ZooError(
                f"{checkpoint} was trained with another model: {'; '.join(map(str, self.fixed))}. Restore the old "
                "value, or start a new run in another --out. To start it from the weights of a checkpoint of the same "
                "network, use --model.init_args.init_weights."
            )
        if self.refused:
            keys = ",".join(change.key for change in self.refused)
            raise ZooError(
                f"{checkpoint} was trained with another configuration: {'; '.join(map(str, self.refused))}. Restore "
                f"the old value, or use the new one from step {step} on: --reset {keys}"
            )


def effective(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a configuration that affect what is learned, as a flat dictionary that a checkpoint stores.

    Args:
        config: Configuration as in ``config.yaml``.

    Example:
        >>> effective({"out": "runs/a", "data": {"class_path": "D", "init_args": {"seed": 0, "workers": 4}}})
        {'data.class_path': 'D', 'data.seed': 0}
    """
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if key in ("trainer", "checkpoints"):
            flat |= {f"{key}.{name}": entry for name, entry in (value or {}).items()}
        else:
            flat |= _flat(key, value)
    flat |= {f"trainer.callbacks.{name}": options for name, options in _averages(flat.pop("trainer.callbacks", None))}
    return {
        key: _without_roots(value) if key.startswith("data.") else value
        for key, value in flat.items()
        if not any(key == harmless or key.startswith(f"{harmless}.") for harmless in _HARMLESS)
    }


def _flat(key: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 any part of a YAML file
    """Return the arguments of the class at ``key`` and of classes within it. Other dictionaries are single values."""
    if not (isinstance(value, Mapping) and "class_path" in value):
        return {key: value}
    flat = {f"{key}.class_path": value["class_path"]}
    for name, entry in (value.get("init_args") or {}).items():
        flat |= _flat(f"{key}.{name}", entry)
    return flat


def _averages(callbacks: Any) -> list[tuple[str, Any]]:  # noqa: ANN401 any part of a YAML file
    """Return name and arguments of the callbacks that average weights. No other callback affects what is learned."""
    listed = callbacks if isinstance(callbacks, list) else [callbacks] if callbacks else []
    named = [(entry["class_path"].rpartition(".")[2], entry.get("init_args") or {}) for entry in listed]
    return [(name, options) for name, options in named if name in AVERAGES]


def _without_roots(value: Any) -> Any:  # noqa: ANN401 any part of a YAML file
    """Return a dataset's settings without ``root``, which differs between machines."""
    return {key: entry for key, entry in value.items() if key != "root"} if isinstance(value, Mapping) else value


def compare(old: Mapping[str, Any], new: Mapping[str, Any], resets: Iterable[str] = ()) -> Changes:
    """Compare two configurations and return the changes, sorted by their effect.

    Args:
        old: Configuration of the checkpoint, from `effective`.
        new: Configuration of the run, from `effective`.
        resets: Keys, or parts of keys such as ``optimizer.lr``, whose new values are to take effect.

    Raises:
        UnknownNameError: A reset matches no key.

    Example:
        >>> compare({"model.optimizer.lr": 1.0}, {"model.optimizer.lr": 0.5}).refused
        [Change(key='model.optimizer.lr', old=1.0, new=0.5)]
        >>> compare({"model.optimizer.lr": 1.0}, {"model.optimizer.lr": 0.5}, ["optimizer.lr"]).applied
        [Change(key='model.optimizer.lr', old=1.0, new=0.5)]
    """
    resets = list(resets)
    for reset in resets:
        if not any(_names(reset, key) for key in new):
            raise unknown_name("key of --reset:", reset, sorted(new), "Valid keys look like optimizer.lr or data.seed.")
    found = Changes()
    old, new = _with_absent_classes(old, new), _with_absent_classes(new, old)
    for key in sorted(old.keys() & new.keys()):  # a key in only one of them is from another version of the package
        change = Change(key, old[key], new[key])
        if change.old == change.new:
            continue
        if change.is_fixed:
            found.fixed.append(change)
        elif key in _APPLIED or change.is_longer_schedule or any(_names(reset, key) for reset in resets):
            found.applied.append(change)
        else:
            found.refused.append(change)
    return found


def _with_absent_classes(config: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Add ``KEY.class_path: None`` for each ``KEY: None`` for which the other configuration states a class.

    A class is flattened to its arguments. Without this entry, a schedule that only one of the two configurations has
    would have no key in common with the other one.
    """
    absent = {f"{key}.class_path": None for key, value in config.items() if value is None}
    return {**config, **{key: None for key in absent if key in other}}


def _names(reset: str, key: str) -> bool:
    """Return whether the words of a reset occur in the key in sequence. ``optimizer`` matches any ``..._optimizer``."""
    words = [word for word in reset.split(".") if word != "init_args"]
    parts = key.split(".")
    return any(
        all(part == word or part.endswith(f"_{word}") for word, part in zip(words, parts[start:], strict=False))
        for start in range(len(parts) - len(words) + 1)
    )
