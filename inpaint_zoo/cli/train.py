"""`inpaint-zoo fit | validate | test | predict`: LightningCLI for the training modules, with resumable runs."""

from __future__ import annotations

import logging
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import yaml
from jsonargparse import ArgumentError, Namespace
from lightning.pytorch import Callback, LightningDataModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, ProgressBar
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from inpaint_zoo.cli.common import err_console, note_console, print_table
from inpaint_zoo.cli.config_files import expand_configs
from inpaint_zoo.cli.train_errors import configuration_error, refused_argument
from inpaint_zoo.cli.train_output import say, score_table, show_dry_run
from inpaint_zoo.cli.train_parser import ZooParser
from inpaint_zoo.data import InpaintingDataModule
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import write_json
from inpaint_zoo.training import (
    Checkpoints,
    CSVLog,
    ImageGrid,
    MetricsLog,
    NonFiniteLossError,
    PredictionWriter,
    ProgressLines,
    TrainingModule,
    TrainingStoppedError,
)
from inpaint_zoo.training.checkpoint_files import read_checkpoint
from inpaint_zoo.training.dry_run import dry_run
from inpaint_zoo.training.experiment import ExperimentRecord, finish_wandb, name_wandb_run
from inpaint_zoo.training.lightning_options import TRAINER_OPTIONS, check_settings
from inpaint_zoo.training.matching import refuse_lost_average, refuse_other_name, refuse_other_network
from inpaint_zoo.training.requeue import requeue, slurm_job
from inpaint_zoo.training.run_config import Changes, compare, effective
from inpaint_zoo.training.run_folder import CONFIG, RunFolder
from inpaint_zoo.training.run_record import ConfigRecord, ResetOptimizers
from inpaint_zoo.training.time_limit import TimeLimit
from inpaint_zoo.weights import read_header

__all__ = ["UNFINISHED", "ZooCLI", "train"]

UNFINISHED = 75  # exit code of a training that a signal stopped: the same command continues it (sysexits: EX_TEMPFAIL)
RANDOM = "random"  # value of --ckpt_path that evaluates the untrained network

_PARSERS: dict[tuple[type[LightningCLI], str], tuple[Any, Any, Any]] = {}
"""Parsers of the commands that this process has run, with what `LightningCLI.setup_parser` stores beside them."""

METHODS = {
    "fit": {"model", "train_dataloaders", "val_dataloaders", "datamodule", "weights_only"},
    "validate": {"model", "dataloaders", "datamodule", "weights_only", "verbose"},
    "test": {"model", "dataloaders", "datamodule", "weights_only", "verbose"},
    "predict": {"model", "dataloaders", "datamodule", "weights_only", "return_predictions"},
}


class ZooCLI(LightningCLI):
    """LightningCLI for one command, with a run folder, checkpoints by name, and the callbacks and logs of every run.

    Args:
        command: "fit", "validate", "test" or "predict".
        args: Command-line arguments after the command.
        dry: Whether to do a dry run: check everything, but do not train.
        callbacks: Callbacks in addition to those in the configuration.

    Attributes:
        code: Exit code of the command.
        evaluated: Checkpoint that validate, test or predict evaluates; None for ``init_weights`` or random weights.
    """

    def __init__(self, command: str, args: list[str], dry: bool = False, callbacks: Sequence[Callback] = ()) -> None:
        self.command, self.dry, self.callbacks = command, dry, callbacks
        self.code = 0
        self.evaluated: Path | None = None
        self._checkpoint: dict[str, Any] = {}  # content of `evaluated`
        super().__init__(
            TrainingModule,
            LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=None,  # ConfigRecord writes it, after everything is restored
            seed_everything_default=0,
            load_from_checkpoint_support=False,
            auto_configure_optimizers=False,
            parser_class=ZooParser,
            parser_kwargs={"prog": "inpaint-zoo", "exit_on_error": False, command: {"exit_on_error": False}},
            args=[command, *expand_configs(args)],
        )

    # Arguments

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # only one command
        """Return the command, with the arguments of the Trainer's method that the command line does not offer."""
        return {self.command: METHODS[self.command]}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add ``--out``, ``--reset`` (fit only) and the options of the callbacks that every run has."""
        parser.add_argument("--out", type=str, default="runs/train", help="Folder of the run.")
        parser.link_arguments("out", "trainer.default_root_dir")
        if self.command == "fit":
            parser.add_argument(
                "--reset",
                type=str | list[str],
                default="",
                help="Keys, separated by commas, whose new values a resumed run uses, such as optimizer.lr,data.seed.",
            )
        parser.add_lightning_class_args(Checkpoints, "checkpoints")
        parser.add_lightning_class_args(ImageGrid, "images")
        parser.set_defaults({"data": {"class_path": f"{InpaintingDataModule.__module__}.InpaintingDataModule"}})

    def setup_parser(
        self, add_subcommands: bool, main_kwargs: dict[str, Any], subparser_kwargs: dict[str, Any]
    ) -> None:
        """Create the parser, or reuse that of an earlier call in this process: it depends on the command only."""
        key = type(self), self.command
        if key not in _PARSERS:
            super().setup_parser(add_subcommands, main_kwargs, subparser_kwargs)
            _PARSERS[key] = self.parser, self._subcommand_parsers, self._subcommand_method_arguments
        self.parser, self._subcommand_parsers, self._subcommand_method_arguments = _PARSERS[key]

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse the arguments. Unlike Lightning, do not warn about the arguments of the process.

        The parser of the command parses them. The main parser would check everything a second time; it is only needed
        for ``--print_config``.

        Raises:
            ZooError: An argument is unknown, invalid or missing.
        """
        command, *words = cast(list[str], args)
        try:
            if any(word.startswith("--print_config") for word in words):
                del _PARSERS[type(self), command]  # it remembers the request
                parser.parse_args([command, *words])  # exits
            parsed = {"subcommand": command, command: self._parser(command).parse_args(words)}
            self.config = Namespace(parsed)  # type: ignore[no-untyped-call] # jsonargparse does not annotate it
        except ArgumentError as error:
            if "trainer.default_root_dir" in str(error):
                reason = TRAINER_OPTIONS["default_root_dir"].reason
                raise ZooError(f"trainer.default_root_dir is not supported. {reason}") from error
            raise refused_argument(str(error)) or ZooError(str(error)) from error

    def _parse_ckpt_path(self) -> None:
        """Find the checkpoint to evaluate, and use its network options where the configuration sets none.

        Everything else is built from the configuration; the checkpoint provides the weights.
        """
        if self.command == "fit":
            return
        self.evaluated = self._evaluated(self.settings.get("ckpt_path"))
        if self.evaluated is None:
            return
        arguments = self.settings.model.get("init_args", {})
        self._checkpoint = read_checkpoint(self.evaluated, training=False)
        refuse_other_name(self.evaluated, self._checkpoint, arguments.get("network"))
        if "network_options" in arguments:
            stated = read_header(self.evaluated).options
            arguments["network_options"] = {**stated, **(arguments["network_options"] or {})}

    # Trainer

    @property
    def settings(self) -> Namespace:
        """The parsed configuration of the command."""
        return self.config[self.command]

    @cached_property
    def folder(self) -> RunFolder:
        """The run's folder."""
        return RunFolder(self.settings.out, self.settings.checkpoints.folder)

    @property
    def out(self) -> Path:
        """Path of the run's folder."""
        return self.folder.out

    @property
    def leaves_nothing(self) -> bool:
        """Whether the run writes no files: a dry run, or Lightning's ``fast_dev_run``."""
        return self.dry or bool(self.settings.trainer.fast_dev_run)

    @cached_property
    def config_text(self) -> str:
        """The configuration as YAML, without the options for resuming (``ckpt_path`` and ``reset``)."""
        kept = self.settings.clone()
        for name in ("ckpt_path", "reset"):
            kept.pop(name, None)
        return str(self._parser(self.command).dump(kept, skip_none=False))

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Return the Trainer with the CSV logs and callbacks of every run.

        If stderr is not a terminal, lines of text replace the progress bar by default. `inpaint-zoo -q` shows neither,
        and no summary of the network, unless an option requests it.

        Raises:
            ZooError: A Trainer option is not supported; see `training.lightning_options`.
        """
        settings = self._get(self.config_init, "trainer")
        if self.command == "fit":
            # default_root_dir is set by --out, not by the user
            check_settings({key: value for key, value in settings.items() if key != "default_root_dir"})
        kwargs["logger"] = self._loggers(settings.get("logger")) or False
        callbacks = [MetricsLog(), *self.callbacks]
        if kwargs["logger"]:
            callbacks.insert(0, ExperimentRecord(self.out, lambda: yaml.safe_load(self.config_text)))
        if self.command == "fit" and not self.leaves_nothing:
            callbacks.append(
                ConfigRecord(self.out, lambda: self.config_text, lambda text: effective(yaml.safe_load(text)))
            )
        if settings.get("max_time") is not None:
            callbacks.append(TimeLimit(settings["max_time"]))
            kwargs["max_time"] = None
        if self.command == "predict":
            callbacks.append(PredictionWriter())
        given = settings.get("callbacks") or []
        has_bar = any(isinstance(callback, ProgressBar) for callback in (given if isinstance(given, list) else [given]))
        quiet = note_console.quiet
        if (quiet or not sys.stderr.isatty()) and settings.get("enable_progress_bar") is None and not has_bar:
            kwargs["enable_progress_bar"] = False
            if not quiet:
                callbacks.append(ProgressLines())
        if quiet and settings.get("enable_model_summary") is None:
            kwargs["enable_model_summary"] = False
        self.trainer_defaults = {"callbacks": callbacks}
        return super().instantiate_trainer(**kwargs)

    def _loggers(self, chosen: Any) -> list[Logger]:  # noqa: ANN401 whatever Lightning takes
        """Return the loggers of the configuration, and of a training also the CSV files.

        Args:
            chosen: The Trainer's argument ``logger``, instantiated.
        """
        if self.command == "predict" or self.leaves_nothing or chosen is False:
            return []
        loggers = [] if chosen in (None, True) else list(chosen) if isinstance(chosen, list) else [chosen]
        for logger in loggers:
            if isinstance(logger, WandbLogger):
                name_wandb_run(logger, self.out, self._about)
        return [CSVLog(self.out), *loggers] if self.command == "fit" else loggers

    @property
    def _about(self) -> dict[str, Any]:
        """Name, group, job type and tags of a W&B run that the configuration does not name itself."""
        model, data = self.settings.model, self.settings.data.get("init_args", {}).get("train")
        kind = model.class_path.rpartition(".")[2]
        tags = [kind, *([str(data["name"])] if isinstance(data, Mapping) and data.get("name") else [])]
        return {
            "name": self.out.absolute().name,
            "group": model.get("init_args", {}).get("network") or kind,
            "job_type": "train" if self.command == "fit" else self.command,
            "tags": tags,
        }

    @contextmanager
    def _closing_loggers(self) -> Iterator[None]:
        """End the runs of W&B with the exit code of the command."""
        code = 1
        try:
            yield
            code = self.code
        finally:
            finish_wandb(self.trainer.loggers, code)

    # Commands; LightningCLI calls one of these methods

    def fit(self, model: TrainingModule, datamodule: LightningDataModule, ckpt_path: str | None = None) -> None:
        """Train from the start or from a checkpoint, or do a dry run."""
        if self.dry:
            show_dry_run(dry_run(self.trainer, model, datamodule))
            return
        model.check_trainer(self.trainer)
        if isinstance(datamodule, InpaintingDataModule):
            datamodule.check_trainer(self.trainer)
            if self.trainer.limit_val_batches == 0 or datamodule.specs["val"] is None:
                self._refuse_monitors()
        with self._locked(), self._closing_loggers():
            path = self._resume_from(model, ckpt_path)
            self._train(model, datamodule, path)
        if self.code == UNFINISHED and (job := slurm_job()) is not None:
            say(requeue(job))

    def _refuse_monitors(self) -> None:
        """Refuse callbacks that monitor a validation metric in a training without validations.

        Lightning would report it at the end of the first epoch, or, for a `ModelCheckpoint`, never save one.
        """
        for callback in self._callbacks:
            monitor = getattr(callback, "monitor", None)
            if isinstance(monitor, str) and monitor.startswith("val") and not isinstance(callback, Checkpoints):
                raise ZooError(
                    f"{type(callback).__name__} monitors '{monitor}', but this training has no validations. Set `val` "
                    "of the data and trainer.limit_val_batches, or remove the callback."
                )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the run's folder if the run writes files. Of several processes, only the first one takes the lock."""
        if self.leaves_nothing or rank_zero_only.rank != 0:  # type: ignore[attr-defined]  # set by Lightning
            yield
            return
        with self.folder.lock(self.command):
            yield

    def _train(self, model: TrainingModule, datamodule: LightningDataModule, path: Path | None) -> None:
        try:
            self.trainer.fit(model, datamodule=datamodule, ckpt_path=path, weights_only=True)
        except TrainingStoppedError as stop:
            say(f"{stop}; to continue, run the same command with --ckpt_path last")
            # Only the first process tells: Lightning and torchrun kill the others as soon as one of them fails.
            if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
                self.code = 130 if stop.signal_number == signal.SIGINT else UNFINISHED
            return
        except NonFiniteLossError as error:
            err_console.print(f"error: {error}", soft_wrap=True, markup=False)
            self.code = 1
            return
        except Exception as error:
            for note in getattr(error, "__notes__", ()):  # Checkpoints notes whether the last step was saved
                err_console.print(note, soft_wrap=True, markup=False)
            raise
        checkpoints = next(entry for entry in self.trainer.checkpoint_callbacks if isinstance(entry, Checkpoints))
        step = self.trainer.global_step
        if checkpoints.saved_step is not None:
            say(f"trained for {step} steps: {self.out}; saved {checkpoints.newest_path}")
        elif self.leaves_nothing:
            say(f"ran {step} steps; fast_dev_run saves nothing")
        elif path is not None:
            limits = f"trainer.max_steps {self.trainer.max_steps}, trainer.max_epochs {self.trainer.max_epochs}"
            say(f"nothing to do: {path} is already at step {step} ({limits}; -1 means no limit)")
        else:
            say(f"trained for {step} steps; nothing is saved")

    def _resume_from(self, model: TrainingModule, ckpt_path: str | None) -> Path | None:
        """Return the checkpoint to resume from after checking that it fits; None to start from the beginning.

        Raises:
            ZooError: The checkpoint is missing, damaged, or does not fit the configuration; or the folder contains
                another run.
        """
        is_first = rank_zero_only.rank == 0 and not self.leaves_nothing  # type: ignore[attr-defined]
        if ckpt_path is None:
            if is_first:  # the other processes may see files that this process has already written
                self.folder.refuse_used()
            return None
        if ckpt_path == RANDOM:
            raise ZooError("--ckpt_path random is not valid for fit. To start from random weights, omit --ckpt_path.")
        path = self.folder.checkpoint(ckpt_path)
        if path is None:
            say(f"no checkpoint in {self.folder.checkpoints} yet: starting from the beginning")
            return None
        checkpoint = read_checkpoint(path)
        step = int(checkpoint["global_step"])
        refuse_other_network(path, checkpoint, model, training=True)
        refuse_lost_average(path, checkpoint, self._callbacks)
        changes = self._changes(path, checkpoint)
        changes.refuse(path, step)
        folders = [entry.dirpath for entry in self._callbacks if isinstance(entry, ModelCheckpoint) and entry.dirpath]
        if is_first and not self.folder.holds(path, folders):
            self.folder.refuse_used()
        say(f"resuming from {path}")
        for change in changes.applied:
            say(f"from step {step} on: {change}")
        if changes.concern_optimizers:
            self._callbacks.insert(0, ResetOptimizers(say))
        return path

    @property
    def _callbacks(self) -> list[Callback]:
        return self.trainer.callbacks  # type: ignore[attr-defined]  # set by Lightning

    def _changes(self, path: Path, checkpoint: Mapping[str, Any]) -> Changes:
        """Return the changes of the configuration since the checkpoint.

        Old checkpoints do not hold their configuration. For them, ``config.yaml`` in the run's folder is used.
        """
        stored, written = checkpoint.get("config"), path.parent.parent / CONFIG
        if stored is None and written.is_file():
            stored = effective(yaml.safe_load(written.read_text(encoding="utf-8")))
        given = self.settings.reset
        resets = given if isinstance(given, list) else [key.strip() for key in given.split(",") if key.strip()]
        return compare(stored or {}, effective(yaml.safe_load(self.config_text)), resets)

    @property
    def _init_weights(self) -> str | None:
        """The ``init_weights`` of the configuration: a weight file or "shipped"; None if not set."""
        given = self.settings.model.get("init_args", {}).get("init_weights")
        return None if given is None else str(given)

    def _evaluated(self, ckpt_path: str | None) -> Path | None:
        """Return the checkpoint to evaluate; None if ``init_weights`` or random weights are evaluated.

        Raises:
            ZooError: There is no checkpoint, and neither ``init_weights`` nor ``--ckpt_path random`` is given; or both
                are given.
        """
        given = self._init_weights
        if ckpt_path == RANDOM:
            if given:
                raise ZooError(
                    f"--ckpt_path random and init_weights ({given}) contradict each other. Omit one of them."
                )
            say("weights: random, as requested by --ckpt_path")
            return None
        path = self.folder.evaluated(ckpt_path, selects=self.settings.checkpoints.monitor is not None)
        if path is None and given is None:
            raise ZooError(
                f"There is no checkpoint in {self.folder.checkpoints}. Is --out the folder of the training run? To use "
                "another checkpoint, give --ckpt_path FILE; for a weight file, --model.init_args.init_weights FILE; "
                "for the untrained network, --ckpt_path random."
            )
        say(f"weights: {path or f'{given} (init_weights)'}")
        return path

    def validate(self, model: TrainingModule, datamodule: LightningDataModule, ckpt_path: str | None = None) -> None:
        """Compute the metrics on the validation set, print and log them, and write validate.json."""
        self._score("validate", model, datamodule)

    def test(self, model: TrainingModule, datamodule: LightningDataModule, ckpt_path: str | None = None) -> None:
        """Compute the metrics on the test set, print and log them, and write test.json."""
        self._score("test", model, datamodule)

    def _score(self, name: str, model: TrainingModule, datamodule: LightningDataModule) -> None:
        self._check_evaluated(model)
        with self._locked(), self._closing_loggers():
            method = getattr(self.trainer, name)
            method(model, datamodule=datamodule, ckpt_path=self.evaluated, weights_only=True, verbose=False)
            self._write_scores(name, model)

    def _check_evaluated(self, model: TrainingModule) -> None:
        if self.evaluated is not None:
            refuse_other_network(self.evaluated, self._checkpoint, model, training=False)

    @rank_zero_only
    def _write_scores(self, name: str, model: TrainingModule) -> None:
        print_table(score_table(model.results))
        self._write(name, {"metrics": model.results})

    @rank_zero_only
    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        """Write the results of an evaluation and the weights it used: a checkpoint, a weight file or "random"."""
        if not self.leaves_nothing:
            weights = self.evaluated or self._init_weights or RANDOM
            write_json(self.out / f"{name}.json", {"checkpoint": str(weights), **content})

    def predict(self, model: TrainingModule, datamodule: LightningDataModule, ckpt_path: str | None = None) -> None:
        """Write the results for the test set to ``predictions/``."""
        self._check_evaluated(model)
        path = self.evaluated
        with self._locked():
            self.trainer.predict(
                model, datamodule=datamodule, ckpt_path=path, weights_only=True, return_predictions=False
            )
            self._write("predict", {"images": "predictions"})
        say(f"images: {self.out / 'predictions'}")


def train(command: str, args: list[str], callbacks: Sequence[Callback] = ()) -> int:
    """Run one of the four commands and return its exit code.

    Args:
        command: "fit", "validate", "test" or "predict".
        args: Command-line arguments after the command.
        callbacks: Callbacks in addition to those in the configuration.

    Raises:
        ZooError: The arguments or the configuration are wrong, or the data or weights cannot be used.
    """
    dry = "--dry-run" in args
    if dry and command != "fit":
        raise ZooError("--dry-run is only valid for fit.")
    if not args:
        raise ZooError(
            f"{command} needs a configuration: --config FILE, or the name of one of the package, such as "
            "--config isnet/sample. --help lists all options."
        )
    # hide Lightning's messages at each start, but not its warnings
    for module in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.seed"):
        logging.getLogger(module).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
    # The model summary only estimates sizes in float32. Frozen networks are in eval mode on purpose.
    warnings.filterwarnings("ignore", message=".*is not supported by the model summary.*")
    warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")
    if command != "fit":  # an evaluation does not need the callbacks of the training
        warnings.filterwarnings("ignore", message=".*callbacks used to create the checkpoint need to be provided.*")
    try:
        return ZooCLI(command, [arg for arg in args if arg != "--dry-run"], dry, callbacks).code
    except ZooError:
        raise
    except Exception as error:
        if reason := configuration_error(error):
            raise reason from error
        raise
