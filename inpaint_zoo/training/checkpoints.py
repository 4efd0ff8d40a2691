"""Checkpoints between two training steps: the newest ones, the best by a metric, and one whenever a run ends."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Literal, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.trainer.connectors.signal_connector import _HandlersCompose
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import STEP_OUTPUT

from inpaint_zoo.config import checked, whole
from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.io.atomic import TEMPORARY_PREFIX
from inpaint_zoo.ops import max_over_ranks, rank_and_count
from inpaint_zoo.training.boundary import StepBoundary
from inpaint_zoo.training.checkpoint_files import write_checkpoints_whole
from inpaint_zoo.training.guard import NonFiniteLossError
from inpaint_zoo.training.module import TrainingModule
from inpaint_zoo.training.phases import Batch
from inpaint_zoo.training.resume import checkpoint_path, count_batches_anew, list_checkpoints, validation_is_due

__all__ = ["Checkpoints", "TrainingStoppedError"]

BEST = "best.ckpt"
Handler = Callable[[int, FrameType | None], Any] | int | None
ALWAYS = (signal.SIGTERM, signal.SIGINT)  # stop a training whatever handles them elsewhere
SIGNALS = (*ALWAYS, *([signal.SIGUSR1] if hasattr(signal, "SIGUSR1") else []))


class TrainingStoppedError(Exception):
    """The run stopped after a complete step because it received a signal.

    Attributes:
        signal_number: Number of the signal.
        step: Number of generator steps done.
        path: The checkpoint that was written; None if none is written (``fast_dev_run``).
    """

    def __init__(self, signal_number: int, step: int, path: Path | None) -> None:
        saved = f"saved {path}" if path else "nothing is saved"
        super().__init__(f"stopped by {signal.Signals(signal_number).name} after step {step}; {saved}")
        self.signal_number, self.step, self.path = signal_number, step, path


class Checkpoints(Checkpoint):
    """Callback that writes ``step_<n>.ckpt`` at regular intervals and ``best.ckpt``. All files are written atomically.

    Resuming from any of them gives bit for bit the result of an uninterrupted run, because they hold the state between
    two steps, never in the middle of a step. The last complete step is also
    saved when the run ends by its number of steps or epochs, its time limit, early stopping or an error. SIGTERM,
    SIGUSR1 and the first Ctrl-C save at the end of the current step and stop, in all processes if one of them got the
    signal. SIGUSR1 is left to a handler that was there before.

    `Trainer(fast_dev_run=...)` writes no checkpoints. Checkpoints of all other callbacks are written atomically, too.

    Lightning's `ModelCheckpoint` writes within a step or an epoch, so a run that resumes from its files validates at
    other steps, and it saves nothing at a signal, so this class does not derive from it. Use one in addition for other
    rules, such as the best k checkpoints by a metric. As with `ModelCheckpoint`, loggers are told of each checkpoint
    (`WandbLogger` uploads it if ``log_model`` is set), and `Trainer.test(ckpt_path="best")` finds ``best.ckpt``.

    Args:
        every: Number of generator steps between two checkpoints, at least 1.
        keep: Number of these checkpoints to keep, at least 1. With two, a run can resume if the newest is damaged.
        monitor: Metric that selects ``best.ckpt``, such as ``val/psnr``; None writes no ``best.ckpt``.
        mode: Whether the largest ("max") or the smallest ("min") value of the metric is best.
        folder: Folder of the checkpoints; by default ``checkpoints`` in the run's folder.

    Attributes:
        newest_path: The newest checkpoint that this run has written, or else the one that it resumed from.
        saved_step: Step of the newest checkpoint that this run has written; None if it has written none.
        save_top_k: Number of best checkpoints, under the name that loggers read.

    Raises:
        ZooError: ``every`` or ``keep`` is less than 1.
    """

    save_top_k = 1

    def __init__(
        self,
        every: int = 1000,
        keep: int = 2,
        monitor: str | None = "val/psnr",
        mode: Literal["max", "min"] = "max",
        folder: str | None = None,
    ) -> None:
        for name, value in (("every", every), ("keep", keep)):
            checked(f"`{name}`", value, whole(1))
        self.every, self.keep, self.monitor, self.mode = every, keep, monitor, mode
        self.folder = Path(folder) if folder else None
        self.best_value: float | None = None
        self.best_step: int | None = None
        self.newest_path: Path | None = None
        self._step_before = 0
        self._first_step = 0
        self.saved_step: int | None = None
        self._boundary = StepBoundary()
        self._at_boundary = True
        self._taken_back = False
        self._save_after_validation = False
        self._signal: int | None = None
        self._handlers: dict[int, Handler] = {}
        self._validates_evenly = True

    def state_dict(self) -> dict[str, Any]:
        """Return the best value and step so far, and the metric and mode that selected them."""
        return {
            "best_value": self.best_value,
            "best_step": self.best_step,
            "monitor": self.monitor,
            "mode": self.mode,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best value and step so far, unless ``monitor`` or ``mode`` has changed."""
        if (state_dict.get("monitor", self.monitor), state_dict.get("mode", self.mode)) == (self.monitor, self.mode):
            self.best_value, self.best_step = state_dict["best_value"], state_dict["best_step"]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Set the folder, and make the trainer write checkpoints atomically."""
        if self.folder is None:
            self.folder = Path(trainer.default_root_dir) / "checkpoints"
        write_checkpoints_whole(trainer)

    # What loggers and the Trainer read, by Lightning's names

    @property
    def best_model_path(self) -> str:
        """Path of ``best.ckpt``; empty if there is none."""
        return "" if self.best_value is None else str(self._folder / BEST)

    @property
    def best_model_score(self) -> float | None:
        """Value of the metric that selected ``best.ckpt``; None if there is none."""
        return self.best_value

    @property
    def last_model_path(self) -> str:
        """Path of the newest checkpoint; empty if there is none."""
        return str(self.newest_path or "")

    @property
    def current_score(self) -> float | None:
        """Value of the metric of the newest checkpoint; None, because checkpoints are written before validations."""
        return None

    # Signals

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Install the signal handlers."""
        self._listen()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Install the signal handlers, and note where training starts.

        Raises:
            ZooError: The processes have resumed from different checkpoints.
        """
        if trainer.ckpt_path:
            self.newest_path = Path(trainer.ckpt_path)
            count_batches_anew(trainer)
        if not _is_same_everywhere(trainer.global_step, pl_module):
            raise ZooError(
                f"The processes resumed from different checkpoints; this one from {self.newest_path or 'none'}. "
                "The folder must be on a file system that all machines share. If it is, run the command again: a file "
                "may take some seconds to be seen on all machines."
            )
        self._first_step = trainer.global_step
        self._boundary.record(trainer, cast(TrainingModule, pl_module))
        self._listen()

    def _listen(self) -> None:
        """Install handlers that set a flag, which is checked at the end of each step and of each validation batch."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            before = signal.getsignal(number)
            if before == self._on_signal or (number not in ALWAYS and not _is_free(before)):
                continue
            self._handlers.setdefault(number, before)
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._signal is not None:
            raise KeyboardInterrupt  # the second Ctrl-C stops at once
        self._signal = number

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Restore the previous signal handlers."""
        while self._handlers:
            number, handler = self._handlers.popitem()
            signal.signal(number, handler)

    def _asked_to_stop(self, trainer: Trainer) -> bool:
        if trainer.world_size == 1:
            return self._signal is not None
        return bool(trainer.strategy.reduce_boolean_decision(self._signal is not None, all=False))

    # When to save

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Note the step before the batch, to detect whether the batch completes one."""
        self._step_before = trainer.global_step
        self._at_boundary = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: STEP_OUTPUT, batch: Batch, batch_idx: int
    ) -> None:
        """At the end of a step, save if a checkpoint is due, and stop if a signal was received.

        Raises:
            TrainingStoppedError: SIGTERM or SIGINT was received.
        """
        step = trainer.global_step
        if step == self._step_before:
            return
        self._at_boundary = True
        self._boundary.record(trainer, cast(TrainingModule, pl_module))
        stop = self._asked_to_stop(trainer)
        ends = self._ends(trainer)
        # A run resumed after its last step would not validate any more, so the checkpoint is written afterwards.
        self._save_after_validation = ends and not stop and validation_is_due(trainer)
        if (stop or ends or step % self.every == 0) and not self._save_after_validation:
            self._save_newest(trainer, pl_module)
        if stop:
            raise TrainingStoppedError(self._signal or signal.SIGTERM, step, self.newest_path)

    def _ends(self, trainer: Trainer) -> bool:
        """Return whether the step just completed is the last one: by max_steps, max_epochs or ``should_stop``."""
        loop = trainer.fit_loop
        last_epoch = trainer.max_epochs == trainer.current_epoch + 1
        return (
            trainer.global_step == trainer.max_steps
            or (last_epoch and bool(loop.epoch_loop.batch_progress.is_last_batch))
            or (trainer.should_stop and loop._can_stop_early)
        )

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note whether all processes validate on the same number of batches, so that they can stop together."""
        if trainer.state.fn == TrainerFn.FITTING:
            counts = trainer.num_sanity_val_batches if trainer.sanity_checking else trainer.num_val_batches
            self._validates_evenly = _is_same_everywhere(sum(counts), pl_module)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Stop during a validation if a signal was received. The validation is repeated when the run resumes.

        Raises:
            TrainingStoppedError: A signal was received.
        """
        if trainer.state.fn != TrainerFn.FITTING or not self._validates_evenly or not self._asked_to_stop(trainer):
            return
        if trainer.sanity_checking:
            path = None
        elif self._at_boundary:
            self._save_newest(trainer, pl_module)
            path = self.newest_path
        else:  # `on_exception` saves it, after NetworkEMA has swapped the trained weights back
            path = checkpoint_path(self._folder, trainer.global_step)
        raise TrainingStoppedError(self._signal or signal.SIGTERM, trainer.global_step, path)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the best checkpoint, and the newest one if training ends with this validation.

        Raises:
            UnknownNameError: No metric has the name ``monitor``, or the name that another callback or a schedule
                monitors. The sanity check already detects this.
        """
        if trainer.state.fn != TrainerFn.FITTING:
            return
        if self.monitor is not None:
            self._save_best(trainer, pl_module, self.monitor)
        if trainer.sanity_checking:
            _refuse_unknown_monitors(trainer, cast(TrainingModule, pl_module).results)
            return
        # After the best one, whose value and step it stores. The validation may have set should_stop (early stopping).
        if self._save_after_validation or (self._at_boundary and self._ends(trainer)):
            self._save_after_validation = False
            self._save_newest(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the last complete step if training ends here and it is not saved yet.

        This happens if ``should_stop`` was set within a step, or after `on_train_batch_end`.
        """
        step = self._boundary.step
        if step is None or step in (self._first_step, self.saved_step) or not self._ends(trainer):
            return
        if self._at_boundary:
            self._save_newest(trainer, pl_module)
        elif self._boundary.is_reachable(trainer, cast(TrainingModule, pl_module)):
            self._save_boundary(trainer, pl_module)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save the last complete step and add a note to the exception that names the newest checkpoint.

        Nothing is saved after a second Ctrl-C or a loss that is not finite.
        """
        if trainer.state.fn != TrainerFn.FITTING or _is_rehearsal(trainer) or self._boundary.step is None:
            return
        # The second Ctrl-C stops at once. Weights that gave a loss that is not finite are useless.
        if not isinstance(exception, KeyboardInterrupt | NonFiniteLossError):
            exception.add_note(self._rescue(trainer, cast(TrainingModule, pl_module)))

    def _rescue(self, trainer: Trainer, module: TrainingModule) -> str:
        """Save the last complete step if possible, and return a sentence that says what was saved."""
        batches: Any = trainer.fit_loop.epoch_loop.batch_progress.current
        if trainer.global_step != self._boundary.step and batches.ready == batches.processed:
            self._boundary.record(trainer, module)  # the error was raised after the step, by another callback
        step = self._boundary.step
        newest = f"The newest checkpoint is {self.newest_path}." if self.newest_path else "There is no checkpoint."
        if step == self._first_step:
            return f"No step was completed. {newest}"
        if step != self.saved_step:
            if not self._boundary.is_reachable(trainer, module):
                return f"Step {step} was not saved, because its weights cannot be restored any more. {newest}"
            try:
                self._save_boundary(trainer, module)
            except Exception as error:  # must not replace the error that ended the run
                return f"Step {step} could not be saved ({error}). {newest}"
        return f"Saved after step {step}: {self.newest_path}"

    # Saving

    @property
    def _folder(self) -> Path:
        return cast(Path, self.folder)

    def _save_best(self, trainer: Trainer, pl_module: LightningModule, monitor: str) -> None:
        results = cast(TrainingModule, pl_module).results
        if monitor not in results:
            raise unknown_name("monitored metric", monitor, results)
        if trainer.sanity_checking:
            return
        value, before = results[monitor], (self.best_value, self.best_step)
        if self.best_value is None or (value > self.best_value if self.mode == "max" else value < self.best_value):
            self.best_value, self.best_step = value, trainer.global_step
            try:
                saved = self._save(trainer, pl_module, self._folder / BEST)
            except BaseException:
                self.best_value, self.best_step = before
                raise
            if saved:
                self._tell_loggers(trainer)

    def _save_newest(self, trainer: Trainer, pl_module: LightningModule) -> None:
        path = checkpoint_path(self._folder, trainer.global_step)
        if self._save(trainer, pl_module, path):
            self._announce(trainer, path, trainer.global_step)
            self._tell_loggers(trainer)

    def _tell_loggers(self, trainer: Trainer) -> None:
        if trainer.is_global_zero:
            for logger in trainer.loggers:
                logger.after_save_checkpoint(cast(ModelCheckpoint, self))

    def _save_boundary(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore and save the last complete step. Training cannot continue afterwards.

        The other processes may have ended already, so this process does not wait for them.
        """
        module = cast(TrainingModule, pl_module)
        module.guard.check()
        step = cast(int, self._boundary.step)
        path = checkpoint_path(self._folder, step)
        self._boundary.take_back(trainer, module)
        self._taken_back = True
        checkpoint = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
        if trainer.is_global_zero:
            trainer.strategy.checkpoint_io.save_checkpoint(checkpoint, path)
        self._announce(trainer, path, step)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """If an incomplete step was undone, replace the counters by those of the last complete step."""
        if self._taken_back:
            self._boundary.correct(checkpoint)
            checkpoint["callbacks"][self.state_key] = self.state_dict()  # best.ckpt may be newer

    def _announce(self, trainer: Trainer, path: Path, step: int) -> None:
        """Let ``last.ckpt`` point to the new checkpoint, and delete checkpoints older than the ``keep`` newest ones."""
        self.newest_path, self.saved_step = path, step
        if trainer.is_global_zero:
            _point(self._folder / "last.ckpt", path)
            # After resuming from an earlier checkpoint, those of later steps remain until the run reaches them.
            done = [old for old in list_checkpoints(self._folder) if old.name <= path.name]
            for old in done[self.keep :]:
                old.unlink(missing_ok=True)

    def _save(self, trainer: Trainer, pl_module: LightningModule, path: Path) -> bool:
        """Write a checkpoint and return True; in a ``fast_dev_run`` write nothing and return False."""
        if _is_rehearsal(trainer):
            return False
        module = cast(TrainingModule, pl_module)
        try:
            module.guard.check()
        except NonFiniteLossError as error:
            raise module.explain(error) from None
        trainer.save_checkpoint(path, weights_only=False)
        return True


def _is_rehearsal(trainer: Trainer) -> bool:
    """Return whether this is a ``fast_dev_run``, which writes no files."""
    return bool(trainer.fast_dev_run)  # type: ignore[attr-defined]  # set by Lightning, but not declared


def _refuse_unknown_monitors(trainer: Trainer, results: Mapping[str, float]) -> None:
    """Refuse a callback or schedule that monitors a validation metric which the validations do not compute.

    Lightning detects it after the first validation, which can take hours.
    """
    callbacks = trainer.callbacks  # type: ignore[attr-defined]  # set by Lightning, but not declared
    monitors = [(each, getattr(each, "monitor", None)) for each in callbacks]
    monitors += [(each.scheduler, each.monitor) for each in trainer.lr_scheduler_configs]
    for owner, monitor in monitors:
        if isinstance(monitor, str) and monitor.startswith("val") and monitor not in results:
            raise unknown_name(f"metric that {type(owner).__name__} monitors:", monitor, results)


def _is_free(handler: Handler) -> bool:
    """Return whether a signal has no handler, or that of Lightning, which would save within a step."""
    return handler in (None, signal.SIG_DFL) or isinstance(handler, _HandlersCompose)


def _is_same_everywhere(number: float, module: LightningModule) -> bool:
    """Return whether a number is finite and the same in all processes."""
    if rank_and_count()[1] == 1:
        return True
    largest, smallest = max_over_ranks(torch.tensor([number, -number], device=module.device)).tolist()
    return math.isfinite(number) and largest == -smallest


def _point(link: Path, target: Path) -> None:
    """Atomically make ``link`` a relative symbolic link to ``target``. Do nothing if the file system has no links."""
    temporary = link.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{link.name}")
    try:
        temporary.symlink_to(target.name)
        temporary.replace(link)
    except OSError:
        temporary.unlink(missing_ok=True)
