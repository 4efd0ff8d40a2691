"""Tables of Lightning's Trainer options and callbacks: which ones work here, and why the others are refused.

The two tables are complete: a test compares them with the signature of `Trainer` and with
`lightning.pytorch.callbacks`. `check_settings` checks the arguments before a Trainer is built, `check_trainer` checks a
built Trainer. `options_page` returns the text of docs/lightning.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch import callbacks as lightning_callbacks

from inpaint_zoo.errors import ZooError

__all__ = ["CALLBACKS", "TRAINER_OPTIONS", "Verdict", "check_settings", "check_trainer", "options_page"]


class Verdict(NamedTuple):
    """Support for a Trainer option or a callback.

    Attributes:
        note: Sentence for the documentation about what works.
        refuses: Function that tells whether it is refused, given the option's value, or for a callback the module to
            train; None if it is never refused.
        reason: Why it is refused and what to use instead; also the text of the error.
    """

    note: str
    refuses: Callable[[Any], bool] | None = None
    reason: str = ""


def _starts_with(*prefixes: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value.startswith(prefixes)


def _has_timer(callbacks: object) -> bool:
    listed = callbacks if isinstance(callbacks, list) else [callbacks]
    return any(isinstance(callback, lightning_callbacks.Timer) for callback in listed)


def _always(_: object) -> bool:
    return True


def _is_adversarial(module: LightningModule) -> bool:
    return not module.automatic_optimization


TRAINER_OPTIONS: dict[str, Verdict] = {
    "accelerator": Verdict(
        "Works with `auto`, `cpu`, `gpu`, `cuda` and `mps`.",
        _starts_with("tpu"),
        "TPUs are not supported: FFTs and spectral norms were never tested there. Use cpu, cuda or mps.",
    ),
    "strategy": Verdict(
        "Works with `auto`, `ddp` and `ddp_find_unused_parameters_true` (which adversarial training needs).",
        _starts_with("fsdp", "deepspeed", "model_parallel", "ddp_spawn", "ddp_fork", "ddp_notebook", "xla"),
        "Checkpoints, EMA and resuming need the complete weights in every process, and processes that the command line "
        "starts. Use auto, ddp or ddp_find_unused_parameters_true.",
    ),
    "devices": Verdict("Works."),
    "num_nodes": Verdict("Works; see docs/cluster.md, Several processes."),
    "precision": Verdict(
        "Works with `32-true`, `bf16-mixed` and `64-true`.",
        _starts_with("16", "bf16-true", "transformer-engine"),
        "float16 overflows in FFT and GAN losses, weights in bfloat16 lose small updates and do not fit FFTs, and "
        "transformer-engine has no layers for these networks. Use bf16-mixed.",
    ),
    "logger": Verdict(
        "Works. `metrics.csv` and `speed.csv` are written in addition to the given loggers, but not with `false`."
    ),
    "callbacks": Verdict(
        "Works with the callbacks of the table below and with your own.",
        _has_timer,
        "The interval of a Timer cannot be written to config.yaml. Use trainer.max_time, which adds a timer.",
    ),
    "fast_dev_run": Verdict("Works."),
    "max_epochs": Verdict("Works.", lambda value: value == 0, "0 disables training. Use 1 or more, or fit --dry-run."),
    "min_epochs": Verdict("Works."),
    "max_steps": Verdict(
        "Works and counts generator updates.",
        lambda value: value == 0,
        "0 disables training. Use 1 or more, -1 for no limit, or fit --dry-run.",
    ),
    "min_steps": Verdict("Works."),
    "max_time": Verdict("Works."),
    "limit_train_batches": Verdict(
        "Works.",
        lambda value: value == 0,
        "0 disables training. To compute metrics without training, use the validate command.",
    ),
    "limit_val_batches": Verdict("Works; 0 disables validation, and then there is no best checkpoint."),
    "limit_test_batches": Verdict("Works."),
    "limit_predict_batches": Verdict("Works."),
    "overfit_batches": Verdict(
        "Works: each epoch repeats the first batches, with the same crops and masks, and validation is limited to as "
        "many batches. To overfit a few images with new crops and masks, select them instead: "
        "`--data.init_args.train '{name: mine, root: DIR, select: {first: 4}}'`."
    ),
    "val_check_interval": Verdict("Works; a number of batches must not exceed the batches of an epoch."),
    "check_val_every_n_epoch": Verdict(
        "Works; `null` counts `val_check_interval` over epochs.",
        lambda value: value == 0,
        "0 is not an interval. To disable validation, set trainer.limit_val_batches to 0.",
    ),
    "num_sanity_val_steps": Verdict("Works."),
    "log_every_n_steps": Verdict("Works; 0 disables the logs of training steps."),
    "enable_checkpointing": Verdict(
        "Works with `true`.",
        lambda value: value is False,
        "A run without checkpoints could be neither resumed nor evaluated. To write fewer, set checkpoints.every.",
    ),
    "enable_progress_bar": Verdict(
        "Works; by default, lines of text replace the progress bar if the output is not a terminal."
    ),
    "enable_model_summary": Verdict("Works."),
    "accumulate_grad_batches": Verdict("Works with one optimizer. Lightning refuses it for adversarial training."),
    "gradient_clip_val": Verdict(
        "Works with one optimizer. Lightning refuses it for adversarial training. Models whose papers clip gradients "
        "have the argument `gradient_clip`."
    ),
    "gradient_clip_algorithm": Verdict("Works with `gradient_clip_val`."),
    "deterministic": Verdict("Works."),
    "benchmark": Verdict("Works."),
    "inference_mode": Verdict("Works."),
    "use_distributed_sampler": Verdict(
        "Accepted without effect: the samplers already divide the data among the processes."
    ),
    "profiler": Verdict("Works."),
    "detect_anomaly": Verdict("Works."),
    "barebones": Verdict(
        "Refused.", lambda value: bool(value), "It disables the logs and checkpoints that every run has here."
    ),
    "plugins": Verdict("Works with cluster environments and with precision plugins of the supported precisions."),
    "sync_batchnorm": Verdict(
        "Works, on CPUs and with gradient penalties, too; see docs/cluster.md, Several processes."
    ),
    "reload_dataloaders_every_n_epochs": Verdict("Works."),
    "default_root_dir": Verdict(
        "Refused on the command line; the value of a configuration file is replaced by --out.",
        lambda value: value is not None,
        "The folder of a run is set by --out.",
    ),
    "enable_autolog_hparams": Verdict("Accepted without effect: `config.yaml` holds all hyperparameters."),
    "model_registry": Verdict(
        "Refused.", lambda value: value is not None, "Checkpoints are written to the folder of the run only."
    ),
}
"""Support for each option, by the name of the Trainer's argument."""

_BASE_CLASS = "It is a base class that does nothing by itself. Use a subclass."
_OTHER_AVERAGE = (
    "It averages all modules, including discriminators, by Lightning's count of steps. "
    "Use inpaint_zoo.training.NetworkEMA, which averages only the network, by generator updates."
)

CALLBACKS: dict[str, Verdict] = {
    "BackboneFinetuning": Verdict(
        "Refused.", _always, "The networks have no attribute `backbone`. To start from weights, set model.init_weights."
    ),
    "BaseFinetuning": Verdict("The class itself is refused; subclasses were not tested.", _always, _BASE_CLASS),
    "BasePredictionWriter": Verdict("The class itself is refused; subclasses work.", _always, _BASE_CLASS),
    "BatchSizeFinder": Verdict(
        "Refused.",
        _always,
        "The batch size decides which samples a step sees, so it is part of the configuration. "
        "Use fit --dry-run to estimate the memory that a batch needs.",
    ),
    "Callback": Verdict("The class itself is refused; subclasses work.", _always, _BASE_CLASS),
    "Checkpoint": Verdict("The class itself is refused; subclasses work.", _always, _BASE_CLASS),
    "DeviceStatsMonitor": Verdict("Works; on a CPU it needs the package psutil."),
    "EMAWeightAveraging": Verdict("Refused.", _always, _OTHER_AVERAGE),
    "EarlyStopping": Verdict("Works; monitor a validation metric such as `val/psnr`."),
    "GradientAccumulationScheduler": Verdict(
        "Works with one optimizer.",
        _is_adversarial,
        "Adversarial training has no gradient accumulation. Remove the callback.",
    ),
    "LambdaCallback": Verdict("Works in Python; YAML cannot hold its functions."),
    "LearningRateFinder": Verdict(
        "Refused.",
        _always,
        "It does not find the learning rates, which are in model.init_args.optimizer, and adversarial training has "
        "several. Try values in short runs instead.",
    ),
    "LearningRateMonitor": Verdict("Works; the logs contain `lr/<optimizer>` even without it."),
    "ModelCheckpoint": Verdict("Works in addition to the checkpoints of every run; see `checkpoints`."),
    "ModelPruning": Verdict(
        "Refused.", _always, "It renames the parameters, so that checkpoints and weight files could not be loaded."
    ),
    "ModelSummary": Verdict("Works."),
    "OnExceptionCheckpoint": Verdict(
        "Refused.",
        _always,
        "The last complete step is saved without it when a run ends with an error, and --ckpt_path last resumes from "
        "it. With this callback, Lightning itself would search for a checkpoint to resume from.",
    ),
    "ProgressBar": Verdict("The class itself is refused; subclasses work.", _always, _BASE_CLASS),
    "RichModelSummary": Verdict("Works."),
    "RichProgressBar": Verdict("Works."),
    "SpikeDetection": Verdict(
        "Works with one optimizer.",
        _is_adversarial,
        "It needs the loss that automatic optimization returns, and adversarial training returns none. "
        "Every run stops at a loss that is not finite, even without it.",
    ),
    "StochasticWeightAveraging": Verdict("Refused.", _always, _OTHER_AVERAGE),
    "TQDMProgressBar": Verdict("Works."),
    "ThroughputMonitor": Verdict("Works; `speed.csv` contains steps and images per second even without it."),
    "Timer": Verdict("Works in Python. In YAML use `trainer.max_time`: jsonargparse cannot represent its `interval`."),
    "WeightAveraging": Verdict(
        "The class itself is refused; `inpaint_zoo.training.NetworkEMA` is a subclass.", _always, _OTHER_AVERAGE
    ),
}
"""Support for each callback, by the name of the class in `lightning.pytorch.callbacks`."""

SUBCLASSES_TOO = ("BackboneFinetuning", "BatchSizeFinder", "EMAWeightAveraging", "LearningRateFinder", "ModelPruning")
"""Callbacks whose subclasses are refused as well, for the same reason."""


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse Trainer arguments that cannot work, before anything is built.

    Args:
        settings: Arguments of `Trainer` by name; absent ones have Lightning's defaults.

    Raises:
        ZooError: An argument is refused; the message names it, its value and what to use instead.
    """
    for name, verdict in TRAINER_OPTIONS.items():
        value = settings.get(name)
        if value is not None and verdict.refuses is not None and verdict.refuses(value):
            shown = "" if name == "callbacks" else f"={value}"
            raise ZooError(f"trainer.{name}{shown} is not supported. {verdict.reason}")


def check_trainer(trainer: Trainer, module: LightningModule) -> None:
    """Refuse callbacks that cannot work with a module.

    Raises:
        ZooError: A callback is refused; the message names it and what to use instead.
    """
    for callback in trainer.callbacks:  # type: ignore[attr-defined]  # set by Lightning, but not declared
        for name, verdict in _verdicts_of(callback):
            if verdict.refuses is not None and verdict.refuses(module):
                raise ZooError(f"The callback {name} is not supported here. {verdict.reason}")


def _verdicts_of(callback: object) -> Iterator[tuple[str, Verdict]]:
    for name, verdict in CALLBACKS.items():
        kind = getattr(lightning_callbacks, name)
        if type(callback) is kind or (name in SUBCLASSES_TOO and isinstance(callback, kind)):
            yield name, verdict


def options_page() -> str:
    """Return the text of docs/lightning.md: both tables in Markdown."""
    lines = [
        "# Lightning's options",
        "",
        "Every argument of Lightning's `Trainer` (`--trainer.NAME`) and every callback of",
        "`lightning.pytorch.callbacks` (`--trainer.callbacks+=lightning.pytorch.callbacks.NAME`) was tested with a",
        "module that has one optimizer and with an adversarial one. Options that cannot work are refused with exit",
        "code 2 before the training starts. `inpaint_zoo.training.lightning_options.options_page()` returns this page.",
    ]
    for title, column, table in (
        ("Trainer options", "option", TRAINER_OPTIONS),
        ("Callbacks", "callback", CALLBACKS),
    ):
        lines += [
            "",
            f"## {title}",
            "",
            f"| {column} | support | what is refused, and what to use instead |",
            "| --- | --- | --- |",
        ]
        lines += [f"| `{name}` | {verdict.note} | {verdict.reason} |" for name, verdict in sorted(table.items())]
    return "\n".join(lines) + "\n"
