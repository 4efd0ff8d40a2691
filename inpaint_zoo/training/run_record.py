"""Callbacks that record the configuration of a run, and apply a changed one to optimizers and schedules."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import lightning
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only
from torch.optim.lr_scheduler import ReduceLROnPlateau

from inpaint_zoo._version import __version__
from inpaint_zoo.io.atomic import write_bytes
from inpaint_zoo.training.module import TrainingModule
from inpaint_zoo.training.run_folder import CONFIG, HISTORY

__all__ = ["ConfigRecord", "ResetOptimizers"]

_FROM = re.compile(r"^# .* from step (\d+)$", re.MULTILINE)


class ConfigRecord(Callback):
    """Callback that writes ``config.yaml``, keeps its earlier versions, and stores the configuration in checkpoints.

    It writes when training starts, after all checks. An earlier configuration that was used from step n on is kept as
    ``configs/step_<n>.yaml``.

    Args:
        out: The run's folder.
        text: Function that returns the configuration as YAML. It is called when training starts, because a
            configuration with refused callbacks may have no YAML form.
        effective: Function that returns the keys of this YAML that affect what is learned (`run_config.effective`).
    """

    def __init__(self, out: str | Path, text: Callable[[], str], effective: Callable[[str], Mapping[str, Any]]) -> None:
        self.out = Path(out)
        self._text, self._effective = text, effective
        self._stored: dict[str, Any] | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write ``config.yaml``. At this point all checks have passed, and no file of the run has changed yet."""
        self._write(int(trainer.global_step))

    @rank_zero_only
    def _write(self, step: int) -> None:
        path, text = self.out / CONFIG, self._text()
        before = path.read_text(encoding="utf-8") if path.is_file() else None
        if before is not None and _FROM.sub("", before).strip() == text.strip():
            return
        if before is not None and step > 0:
            found = _FROM.search(before)
            write_bytes(self.out / HISTORY / f"step_{int(found[1]) if found else 0:08d}.yaml", before.encode())
        header = f"# inpaint-zoo {__version__}, lightning {lightning.__version__}, from step {step}\n"
        write_bytes(path, (header + text).encode())

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Store the effective configuration, which a resumed run is compared with."""
        if self._stored is None:
            self._stored = dict(self._effective(self._text()))
        checkpoint["config"] = self._stored


class ResetOptimizers(Callback):
    """Callback that gives optimizers and schedules the settings of the configuration instead of the checkpoint's.

    Momentum and other optimizer states are kept. Each schedule is advanced to where it would be if the new
    configuration had been used from the beginning.

    Args:
        report: Function that is called with a line of text for each learning rate that changes.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self.report = report
        self._fresh: list[list[dict[str, Any]]] = []
        self._schedules: list[dict[str, Any]] = []

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Remove the schedules' states from the checkpoint, so that Lightning does not restore them."""
        self._schedules = checkpoint["lr_schedulers"]
        checkpoint["lr_schedulers"] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Copy the settings of the configuration before Lightning restores those of the checkpoint."""
        self._fresh = [
            [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
            for optimizer in trainer.optimizers
        ]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Apply the settings of the configuration, and advance the schedules to the current step or epoch."""
        before = [float(optimizer.param_groups[0]["lr"]) for optimizer in trainer.optimizers]
        for optimizer, groups in zip(trainer.optimizers, self._fresh, strict=True):
            for group, fresh in zip(optimizer.param_groups, groups, strict=True):
                group.update(fresh)
        for number, config in enumerate(trainer.lr_scheduler_configs):
            state = self._schedules[number] if number < len(self._schedules) else {}
            if isinstance(config.scheduler, ReduceLROnPlateau):  # it follows a metric, not the steps
                config.scheduler.load_state_dict(state)
                continue
            done = trainer.global_step if config.interval == "step" else trainer.current_epoch
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
                for _ in range(int(state.get("last_epoch", done))):
                    config.scheduler.step()
        names = cast(TrainingModule, pl_module).optimizer_names
        for name, optimizer, rate in zip(names, trainer.optimizers, before, strict=True):
            if (now := float(optimizer.param_groups[0]["lr"])) != rate:
                self.report(f"learning rate of {name}: {rate:g} -> {now:g}")
