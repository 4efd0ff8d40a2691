"""The configuration of a run against that of the checkpoint that it goes on from: what may differ, with what effect.

A checkpoint holds optimizers, schedules and counters. A changed configuration does not change them by itself: a new
learning rate would be written down and never used. So both configurations are compared key by key:

- `HARMLESS` keys pass: they do not change what is learned.
- `APPLIED` keys take effect from the next step on, and longer schedules do.
- Others are refused by name, unless ``--reset KEY`` asks for the new value; `FIXED` ones always.

Keys are those of the configuration without ``init_args``: ``model.optimizer.lr``, ``data.batch_size``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from inpaint_zoo.errors import ZooError, unknown_name

__all__ = ["APPLIED", "FIXED", "HARMLESS", "Change", "Changes", "compare", "effective"]

HARMLESS = {
    "out, ckpt_path, reset, config, images": "what is written where",
    "checkpoints.every, checkpoints.keep, checkpoints.folder": "which checkpoints are kept",
    "trainer.default_root_dir, trainer.logger, trainer.log_every_n_steps, trainer.enable_progress_bar, "
    "trainer.enable_model_summary, trainer.enable_checkpointing, trainer.enable_autolog_hparams, trainer.profiler, "
    "trainer.model_registry, trainer.barebones": "logs and display",
    "trainer.accelerator, trainer.devices, trainer.num_nodes, trainer.strategy, trainer.plugins, "
    "trainer.use_distributed_sampler, trainer.sync_batchnorm, trainer.benchmark, trainer.deterministic, "
    "trainer.inference_mode, trainer.detect_anomaly": "where and how it is computed",
    "trainer.fast_dev_run, trainer.num_sanity_val_steps, trainer.limit_val_batches, trainer.limit_test_batches, "
    "trainer.limit_predict_batches, data.test, data.eval_batch_size": "evaluation and rehearsals",
    "model.compile, model.channels_last, model.guard_every": "how it is computed",
    "model.init_weights, model.network_options": "the weights are the checkpoint's; options are compared with its own",
    "data.root, data.workers": "where the data lie and how they are read",
}
APPLIED = {
    "trainer.max_steps, trainer.max_epochs, trainer.min_steps, trainer.min_epochs, trainer.max_time": "when it ends",
    "trainer.val_check_interval, trainer.check_val_every_n_epoch, model.metrics": "when and how it is validated",
    "checkpoints.monitor, checkpoints.mode": "a new search for the best begins",
    "trainer.precision": "the arithmetic of the next steps",
    "data.batch_size": "the next batches; an epoch under way is finished with them",
}
FIXED = {
    "model.class_path, model.network": "the weights belong to it",
    "optimizer.class_path": "the optimizer's state belongs to it",
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
        key: Such as ``model.optimizer.lr``.
        old: The value that the checkpoint was trained with.
        new: The value of the configuration.
    """

    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.key} {self.old!r} -> {self.new!r}"

    @property
    def is_fixed(self) -> bool:
        """Whether nothing can make it take effect."""
        return any(self.key == key or self.key.endswith(f"_{key}") or self.key.endswith(f".{key}") for key in _FIXED)

    @property
    def is_longer_schedule(self) -> bool:
        """Whether a learning-rate schedule reaches further than before."""
        *_, parent, name = ("", *self.key.split("."))
        if "scheduler" not in parent or name not in HORIZONS:
            return False
        old, new = (value if isinstance(value, list) else [value] for value in (self.old, self.new))
        whole = all(isinstance(value, int) for value in (*old, *new))
        return whole and len(old) == len(new) and all(a <= b for a, b in zip(old, new, strict=True))

    @property
    def concerns_optimizers(self) -> bool:
        """Whether optimizers or schedules have to be changed for it to take effect."""
        return self.key.startswith("model.") and bool(_OPTIMIZING.search(self.key))


@dataclass(frozen=True)
class Changes:
    """What differs from a checkpoint's configuration.

    Attributes:
        applied: Takes effect.
        refused: Would take none, or a wrong one; ``--reset KEY`` was not given.
        fixed: Cannot take effect.
    """

    applied: list[Change] = field(default_factory=list)
    refused: list[Change] = field(default_factory=list)
    fixed: list[Change] = field(default_factory=list)

    @property
    def concern_optimizers(self) -> bool:
        """Whether optimizers or schedules have to be changed."""
        return any(change.concerns_optimizers for change in self.applied)

    def refuse(self, checkpoint: object, step: int) -> None:
        """Raise if something does not go with the checkpoint.

        Args:
            checkpoint: Its file.
            step: Its step.

        Raises:
            ZooError: With all keys concerned, and what can be done.
        """
        if self.fixed:
            raise ZooError(
                f"{checkpoint} was trained with another model: {'; '.join(map(str, self.fixed))}. Put the old value "
                "back, or begin a new run in another --out; --model.init_args.init_weights begins with the weights of "
                "a checkpoint of the same network."
            )
        if self.refused:
            keys = ",".join(change.key for change in self.refused)
            raise ZooError(
                f"{checkpoint} was trained with another configuration: {'; '.join(map(str, self.refused))}. Put the "
                f"old value back, or ask for the new one from step {step} on: --reset {keys}"
            )


def effective(config: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a configuration that decide what is learned, flat: what a checkpoint keeps of it.

    Args:
        config: As in ``config.yaml``.

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
    """The arguments of classes below ``key``; plain dictionaries are values."""
    if not (isinstance(value, Mapping) and "class_path" in value):
        return {key: value}
    flat = {f"{key}.class_path": value["class_path"]}
    for name, entry in (value.get("init_args") or {}).items():
        flat |= _flat(f"{key}.{name}", entry)
    return flat


def _averages(callbacks: Any) -> list[tuple[str, Any]]:  # noqa: ANN401 any part of a YAML file
    """Of the callbacks only averages of weights change what is learned."""
    listed = callbacks if isinstance(callbacks, list) else [callbacks] if callbacks else []
    named = [(entry["class_path"].rpartition(".")[2], entry.get("init_args") or {}) for entry in listed]
    return [(name, options) for name, options in named if name in AVERAGES]


def _without_roots(value: Any) -> Any:  # noqa: ANN401 any part of a YAML file
    """A dataset without the folder that it lies in: other machines have other ones."""
    return {key: entry for key, entry in value.items() if key != "root"} if isinstance(value, Mapping) else value


def compare(old: Mapping[str, Any], new: Mapping[str, Any], resets: Iterable[str] = ()) -> Changes:
    """Sort the differences of two configurations by what becomes of them.

    Args:
        old: Of the checkpoint, by `effective`.
        new: Of the run, by `effective`.
        resets: Keys, or parts of keys such as ``optimizer.lr``, whose new values are asked for.

    Raises:
        UnknownNameError: A reset names no key.

    Example:
        >>> compare({"model.optimizer.lr": 1.0}, {"model.optimizer.lr": 0.5}).refused
        [Change(key='model.optimizer.lr', old=1.0, new=0.5)]
        >>> compare({"model.optimizer.lr": 1.0}, {"model.optimizer.lr": 0.5}, ["optimizer.lr"]).applied
        [Change(key='model.optimizer.lr', old=1.0, new=0.5)]
    """
    resets = list(resets)
    for reset in resets:
        if not any(_names(reset, key) for key in new):
            raise unknown_name(
                "key of --reset:", reset, sorted(new), "It takes keys such as optimizer.lr or data.seed."
            )
    found = Changes()
    for key in sorted(old.keys() & new.keys()):  # a key that only one of them has came with another version
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


def _names(reset: str, key: str) -> bool:
    """Whether a reset names a key: words that follow one another in it; ``optimizer`` is any ``..._optimizer``."""
    words = [word for word in reset.split(".") if word != "init_args"]
    parts = key.split(".")
    return any(
        all(part == word or part.endswith(f"_{word}") for word, part in zip(words, parts[start:], strict=False))
        for start in range(len(parts) - len(words) + 1)
    )
