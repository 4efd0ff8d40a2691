"""Logs by generator updates. A resumed run ends with the same rows as an uninterrupted one."""

from __future__ import annotations

import csv
import io
import math
import sys
import time
from argparse import Namespace
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from inpaint_zoo.inference.device import peak_bytes
from inpaint_zoo.io.atomic import write_bytes
from inpaint_zoo.training.phases import Batch

__all__ = ["CSVLog", "MetricsLog", "ProgressLines", "is_logged", "seconds_left", "total_steps"]

SPEED = "speed/"  # prefix of values that depend on the machine and its load


class Logged(Protocol):
    """What the logs read of a `TrainingModule`; its attributes are described there."""

    values: dict[str, Tensor]
    results: dict[str, float]
    trained_steps: int

    @property
    def device(self) -> torch.device: ...
    @property
    def optimizer_names(self) -> list[str]: ...
    @property
    def batches_per_step(self) -> int: ...


def is_logged(trainer: Trainer, step: int) -> bool:
    """Return whether this step is logged, according to `Trainer.log_every_n_steps`."""
    every = int(trainer.log_every_n_steps)  # type: ignore[attr-defined]  # set by Lightning, but not declared
    return every > 0 and step % every == 0


def total_steps(trainer: Trainer, per_epoch: float) -> int | None:
    """Return the number of generator steps after which training ends by ``max_steps`` or ``max_epochs``.

    Args:
        trainer: The trainer.
        per_epoch: Number of generator steps in an epoch.

    Returns:
        The number of steps; None if training has no such limit.
    """
    limits: list[int] = []
    if trainer.max_steps and trainer.max_steps > 0:
        limits.append(trainer.max_steps)
    if trainer.max_epochs and trainer.max_epochs > 0 and math.isfinite(per_epoch):
        limits.append(int(trainer.max_epochs * per_epoch))
    return min(limits) if limits else None


class _Table:
    """CSV file to which rows are appended. If a row has a new name, a column is added."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns: list[str] = []
        self.rows: list[dict[str, str]] = []

    def cut(self, rows: int) -> None:
        """Keep the first ``rows`` rows and the columns that they use. An incomplete last line does not count."""
        self.rows, self.columns = [], []
        if rows and self.path.is_file():
            text = self.path.read_text(encoding="utf-8")
            lines = list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1])))
            header = lines[0] if lines else []
            for line in lines[1 : rows + 1]:
                self.rows.append({name: value for name, value in zip(header, line, strict=True) if value})
            self.columns = [name for name in header if any(name in row for row in self.rows)]
        if len(self.rows) < rows:
            rank_zero_warn(
                f"{self.path} holds {len(self.rows)} rows, but {rows} rows were logged before the checkpoint was "
                "written. The missing rows are lost."
            )
        if self.rows:
            self._rewrite()
        else:
            self.path.unlink(missing_ok=True)

    def add(self, row: Mapping[str, str]) -> None:
        """Append a row and write it to the file immediately."""
        self.rows.append(dict(row))
        new = [name for name in row if name not in self.columns]
        if new:
            self.columns += new
            self._rewrite()
        else:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                file.write(self._text([row]))

    def _text(self, rows: list[Mapping[str, str]]) -> str:
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerows([row.get(name, "") for name in self.columns] for row in rows)
        return buffer.getvalue()

    def _rewrite(self) -> None:
        header = io.StringIO()
        csv.writer(header, lineterminator="\n").writerow(self.columns)
        write_bytes(self.path, (header.getvalue() + self._text(cast("list[Mapping[str, str]]", self.rows))).encode())


def seconds_left(trainer: Trainer, by_steps: float | None) -> float | None:
    """Return the time in seconds after which a training ends by its steps or by a time limit; None without a limit.

    Args:
        trainer: The trainer.
        by_steps: Time in seconds that the remaining steps take; None if their number is not limited.
    """
    timers = [each for each in trainer.callbacks if isinstance(each, Timer)]  # type: ignore[attr-defined]
    limits = [by_steps, *(timer.time_remaining() for timer in timers)]
    return min((limit for limit in limits if limit is not None), default=None)


class CSVLog(Logger):
    """Default logger: writes ``metrics.csv`` (reproducible values) and ``speed.csv`` (values of the machine).

    Values are written at full precision. Each row is written to the file as soon as it is logged.

    Args:
        folder: Folder of the two files.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.folder = Path(folder)
        self._metrics = _Table(self.folder / "metrics.csv")
        self._speed = _Table(self.folder / "speed.csv")

    @property
    def name(self) -> str:
        """Empty, so that Lightning writes its files directly to the run's folder."""
        return ""

    @property
    def version(self) -> str:
        """Unused: each run has its own folder."""
        return ""

    @property
    def log_dir(self) -> str:
        """Folder of the two files."""
        return str(self.folder)

    @property
    def save_dir(self) -> str:
        """Folder of the two files."""
        return str(self.folder)

    @property
    def rows(self) -> int:
        """Number of rows in ``metrics.csv``."""
        return len(self._metrics.rows)

    @rank_zero_only
    def begin(self, rows: int) -> None:
        """Start or resume a run, keeping the first ``rows`` rows of ``metrics.csv`` and dropping later ones."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._metrics.cut(rows)
        if not rows:
            self._speed.cut(0)

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Write one row to ``metrics.csv``, and values whose names start with ``speed/`` to ``speed.csv``."""
        for table, wanted in ((self._metrics, False), (self._speed, True)):
            values = {name: repr(value) for name, value in metrics.items() if name.startswith(SPEED) == wanted}
            if values:
                table.add({"step": str(step), **values})

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the hyperparameters are in the run's config.yaml."""


class MetricsLog(Callback):
    """Callback that writes losses, learning rates, gradient norms, metrics, speed and memory to all loggers.

    Every `Trainer.log_every_n_steps` generator steps it writes a row with the training values of that step, averaged
    over ranks. After each validation it writes a row with the metrics. If the data module counts unreadable images,
    ``data/replaced`` is the number of unreadable training images that were replaced since the run began.

    `Trainer.validate` and `Trainer.test` write their metrics, too, at the step of the evaluated checkpoint, except to a
    `CSVLog`, whose rows are those of the training.

    Lightning's own logging counts batches, averages them over an epoch, and writes no row before the next one is due.
    This callback counts generator steps and writes each row at once, so that a resumed run gives the same rows.
    """

    def __init__(self) -> None:
        self._rows = 0
        self._replaced_before = 0
        self._replaced_at_boundary = 0
        self._step_before = 0
        self._since: tuple[float, int] | None = None
        self._batch_size = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the number of rows written so far."""
        return {"rows": self._rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the number of rows."""
        self._rows = int(state_dict["rows"])

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the number of images replaced so far to the checkpoint."""
        replaced = self._replaced(trainer, pl_module)
        if replaced is not None:
            checkpoint["replaced"] = replaced

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Restore the number of replaced images."""
        self._replaced_before = int(checkpoint.get("replaced", 0))

    def _replaced(self, trainer: Trainer, pl_module: LightningModule) -> int | None:
        """Return the number of replaced training images over all processes; None if the data module has no count."""
        here = getattr(getattr(trainer, "datamodule", None), "replaced_in_training", None)
        if here is None:
            return None
        if trainer.interrupted:  # leave out the incomplete step; the other processes may have ended already
            return self._replaced_before + self._replaced_at_boundary
        total = trainer.strategy.reduce(torch.tensor(here, device=pl_module.device), reduce_op="sum")
        return self._replaced_before + int(total)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Cut ``metrics.csv`` to the rows that it had when the checkpoint was written."""
        self._since = (time.perf_counter(), trainer.global_step)
        for logger in trainer.loggers:
            if isinstance(logger, CSVLog):
                logger.begin(self._rows)

    def _write(self, trainer: Trainer, values: Mapping[str, float]) -> None:
        for logger in trainer.loggers:
            logger.log_metrics(dict(values), step=trainer.global_step)
            if isinstance(logger, CSVLog):
                self._rows = logger.rows

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Note the step before the batch, and the batch size."""
        self._step_before = trainer.global_step
        self._batch_size = len(batch["image"])

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: STEP_OUTPUT, batch: Batch, batch_idx: int
    ) -> None:
        """Write a row if this batch completed a step that is to be logged."""
        step = trainer.global_step
        if step == self._step_before:
            return
        self._replaced_at_boundary = getattr(getattr(trainer, "datamodule", None), "replaced_in_training", 0)
        if not is_logged(trainer, step):
            return
        module = cast(Logged, pl_module)
        names = list(module.values)
        stacked = torch.stack([module.values[name].float() for name in names])
        values = trainer.strategy.reduce(stacked, reduce_op="mean")
        row: dict[str, float] = {"epoch": trainer.current_epoch}
        row |= dict(zip(names, cast(Tensor, values).tolist(), strict=True))
        for name, optimizer in zip(module.optimizer_names, trainer.optimizers, strict=True):
            row[f"lr/{name}"] = float(optimizer.param_groups[0]["lr"])
        replaced = self._replaced(trainer, pl_module)
        if replaced is not None:
            row["data/replaced"] = replaced
        self._write(trainer, row)
        self._write(trainer, self._speed(trainer, module))

    def _speed(self, trainer: Trainer, module: Logged) -> dict[str, float]:
        now, step = time.perf_counter(), trainer.global_step
        then, step_then = self._since or (now, step)
        self._since = (now, step)
        rate = (step - step_then) / max(now - then, 1e-9)
        images = rate * module.batches_per_step * self._batch_size * trainer.world_size
        values = {SPEED + "steps_per_s": rate, SPEED + "images_per_s": images}
        if (peak := peak_bytes(torch.device("cpu"))) is not None:
            values[SPEED + "memory_gib"] = peak / 2**30
        if module.device.type == "cuda" and (peak := peak_bytes(module.device)) is not None:
            values[SPEED + "gpu_memory_gib"] = peak / 2**30
        return values

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write a row of metrics, except after the sanity check."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._write_evaluation(trainer, cast(Logged, pl_module))
        elif not trainer.sanity_checking:
            self._write(trainer, {"epoch": trainer.current_epoch, **cast(Logged, pl_module).results})
            self._since = (time.perf_counter(), trainer.global_step)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the metrics."""
        self._write_evaluation(trainer, cast(Logged, pl_module))

    def _write_evaluation(self, trainer: Trainer, module: Logged) -> None:
        for logger in trainer.loggers:
            if not isinstance(logger, CSVLog):
                logger.log_metrics(module.results, step=module.trained_steps)


class ProgressLines(Callback):
    """Callback that prints a line for each logged step and validation; it replaces the progress bar in log files.

    The line of a step shows the total loss of each phase, the speed, and the time that is left at this speed.
    """

    def __init__(self) -> None:
        self._since = (time.perf_counter(), 0)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the timer for the steps per second."""
        self._since = (time.perf_counter(), trainer.global_step)

    @rank_zero_only
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: STEP_OUTPUT, batch: Batch, batch_idx: int
    ) -> None:
        """Print the losses of a logged step."""
        step = trainer.global_step
        then, step_then = self._since
        if step == step_then or not is_logged(trainer, step):
            return
        now = time.perf_counter()
        losses = {name: float(value) for name, value in cast(Logged, pl_module).values.items()}
        totals = ", ".join(f"{name} {value:.4g}" for name, value in losses.items() if name.endswith("/loss"))
        rate = (step - step_then) / (now - then)
        module = cast(Logged, pl_module)
        last = total_steps(trainer, trainer.num_training_batches / module.batches_per_step)
        of = "" if last is None else f"/{last}"
        seconds = seconds_left(trainer, None if last is None else max(last - step, 0) / rate)
        left = "" if seconds is None else f", {timedelta(seconds=round(seconds))} left"
        sys.stdout.write(f"step {step}{of}: {totals}, {rate:.2f} it/s{left}\n")
        sys.stdout.flush()
        self._since = (now, step)

    @rank_zero_only
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the metrics, except after the sanity check."""
        if not trainer.sanity_checking and trainer.state.fn == "fit":
            results = cast(Logged, pl_module).results
            sys.stdout.write(f"step {trainer.global_step}: " + ", ".join(f"{k} {v:.4g}" for k, v in results.items()))
            sys.stdout.write("\n")
            sys.stdout.flush()
