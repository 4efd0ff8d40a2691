"""Checkpoints at step boundaries: the newest ones to continue from, the best by a metric, and one on SIGTERM."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Literal, cast

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities.types import STEP_OUTPUT

from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.training.guard import NonFiniteLossError
from inpaint_zoo.training.module import TrainingModule
from inpaint_zoo.training.phases import Batch
from inpaint_zoo.training.resume import checkpoint_path, list_checkpoints, validation_is_due

__all__ = ["Checkpoints", "TrainingStoppedError"]

Handler = Callable[[int, FrameType | None], Any] | int | None


class TrainingStoppedError(Exception):
    """A signal asked to stop, and the run did so at a step boundary.

    Attributes:
        signal_number: Which signal.
        step: Generator steps done.
        path: The checkpoint that was written.
    """

    def __init__(self, signal_number: int, step: int, path: Path) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name} after step {step}; saved {path}")
        self.signal_number, self.step, self.path = signal_number, step, path


class Checkpoints(Checkpoint):
    """Writes ``step_<n>.ckpt`` every so many generator steps, and ``best.ckpt``; each whole or not at all.

    A run continues bit for bit from any of them: they are written between steps, never within a cycle of critics or an
    accumulation. SIGTERM and the first Ctrl-C save at the next step boundary and stop.

    Args:
        every: Generator steps between two checkpoints; the last step has one too.
        keep: How many of them stay; two let a run go on when the newest was cut short.
        monitor: Metric that decides which is best, such as ``val/psnr``; None keeps no best.
        mode: Whether the largest or smallest value is best.
        folder: Where they go; by default ``checkpoints`` in the run's folder.
    """

    def __init__(
        self,
        every: int = 1000,
        keep: int = 2,
        monitor: str | None = "val/psnr",
        mode: Literal["max", "min"] = "max",
        folder: str | None = None,
    ) -> None:
        for name, value in (("every", every), ("keep", keep)):
            if value < 1:
                raise ZooError(f"`{name}` must be 1 or more, got {value}.")
        self.every, self.keep, self.monitor, self.mode = every, keep, monitor, mode
        self.folder = Path(folder) if folder else None
        self.best_value: float | None = None
        self.best_step: int | None = None
        self.newest_path: Path | None = None
        self._step_before = 0
        self._save_after_validation = False
        self._signal: int | None = None
        self._handlers: dict[int, Handler] = {}

    def state_dict(self) -> dict[str, Any]:
        """What is best so far."""
        return {"best_value": self.best_value, "best_step": self.best_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what is best so far."""
        self.best_value, self.best_step = state_dict["best_value"], state_dict["best_step"]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Settle the folder."""
        if self.folder is None:
            self.folder = Path(trainer.default_root_dir) / "checkpoints"

    # Signals

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From here on, signals only raise a flag that the next step boundary looks at."""
        if trainer.ckpt_path:
            self.newest_path = Path(trainer.ckpt_path)
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._handlers[number] = signal.getsignal(number)
                signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._signal is not None:
            raise KeyboardInterrupt  # the second Ctrl-C doesn't wait
        self._signal = number

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give the signals back."""
        while self._handlers:
            number, handler = self._handlers.popitem()
            signal.signal(number, handler)

    def _asked_to_stop(self, trainer: Trainer) -> bool:
        if trainer.world_size == 1:
            return self._signal is not None
        return bool(trainer.strategy.reduce_boolean_decision(self._signal is not None, all=False))

    # Saving

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Remember the step."""
        self._step_before = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: STEP_OUTPUT, batch: Batch, batch_idx: int
    ) -> None:
        """At a step boundary: save if it is time, and stop if asked to."""
        step = trainer.global_step
        if step == self._step_before:
            return
        stop = self._asked_to_stop(trainer)
        is_last = step == trainer.max_steps
        # Lightning would not go back to a validation after the last step: its checkpoint waits for that
        self._save_after_validation = is_last and not stop and validation_is_due(trainer)
        is_due = stop or step % self.every == 0 or is_last or self._epochs_end(trainer)
        if is_due and not self._save_after_validation:
            self._save_newest(trainer, pl_module)
        if stop:
            raise TrainingStoppedError(self._signal or signal.SIGTERM, step, cast(Path, self.newest_path))

    def _epochs_end(self, trainer: Trainer) -> bool:
        last_batch = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        return bool(last_batch and trainer.max_epochs == trainer.current_epoch + 1)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Stop within a validation if asked to: it runs again after the restart."""
        if self._signal is not None and trainer.state.fn == "fit" and trainer.world_size == 1:
            if trainer.sanity_checking:
                raise KeyboardInterrupt
            self._save_newest(trainer, pl_module)
            raise TrainingStoppedError(self._signal, trainer.global_step, cast(Path, self.newest_path))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the best, and refuse a monitor that no metric bears."""
        if trainer.state.fn != "fit":
            return
        if self._save_after_validation:
            self._save_after_validation = False
            self._save_newest(trainer, pl_module)
        if self.monitor is None:
            return
        results = cast(TrainingModule, pl_module).results
        if self.monitor not in results:
            raise unknown_name("monitored metric", self.monitor, results)
        if trainer.sanity_checking:
            return
        value = results[self.monitor]
        if self.best_value is None or (value > self.best_value if self.mode == "max" else value < self.best_value):
            self.best_value, self.best_step = value, trainer.global_step
            self._save(trainer, pl_module, self._folder / "best.ckpt")

    @property
    def _folder(self) -> Path:
        return cast(Path, self.folder)

    def _save_newest(self, trainer: Trainer, pl_module: LightningModule) -> None:
        path = checkpoint_path(self._folder, trainer.global_step)
        self._save(trainer, pl_module, path)
        self.newest_path = path
        if trainer.is_global_zero:
            _point(self._folder / "last.ckpt", path)
            # later ones are of a run that was taken back: they stay until this one gets there
            done = [old for old in list_checkpoints(self._folder) if old.name <= path.name]
            for old in done[self.keep :]:
                old.unlink(missing_ok=True)

    def _save(self, trainer: Trainer, pl_module: LightningModule, path: Path) -> None:
        module = cast(TrainingModule, pl_module)
        try:
            module.guard.look()
        except NonFiniteLossError as error:
            raise module.explain(error) from None
        trainer.save_checkpoint(path, weights_only=False)


def _point(link: Path, target: Path) -> None:
    """Make ``link`` a relative symbolic link to ``target``, in one step; file systems without links go without."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    try:
        temporary.symlink_to(target.name)
        temporary.replace(link)
    except OSError:
        temporary.unlink(missing_ok=True)
