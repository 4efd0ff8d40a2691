"""Making a Lightning checkpoint continue bit for bit, and choosing the one to continue from.

Lightning 2.6 leaves a batch half accounted for when a checkpoint is written in `on_train_batch_end`: after a restart it
skips the validation that was due, and at an epoch's last batch the epoch's end as well. In `on_train_epoch_end` it
counts the epoch twice. `make_exact` writes the loops' state as it stands once the batch or the epoch is done, with the
validation still to come.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn

from inpaint_zoo.errors import ZooError

__all__ = ["checkpoint_path", "is_damaged", "list_checkpoints", "make_exact", "newest_readable", "validation_is_due"]

_TO_RUN_AGAIN = {
    "total": {"ready": 1, "started": 1, "processed": 0, "completed": 0},
    "current": {"ready": 0, "started": 0, "processed": 0, "completed": 0},
    "is_last_batch": False,
}


def validation_is_due(trainer: Trainer) -> bool:
    """Whether Lightning validates after the batch in progress."""
    fetcher = trainer.fit_loop._data_fetcher
    return fetcher is not None and trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher)


def make_exact(trainer: Trainer, checkpoint: dict[str, Any]) -> None:
    """Correct the loops' state in ``checkpoint`` so that training continues as if it had not stopped.

    Args:
        trainer: The trainer that is writing the checkpoint.
        checkpoint: As Lightning dumped it; changed in place.
    """
    if trainer.state.fn != TrainerFn.FITTING or "loops" not in checkpoint:
        return
    state = checkpoint["loops"]["fit_loop"]
    epochs, batches = state["epoch_progress"], state["epoch_loop.batch_progress"]
    validation = state["epoch_loop.val_loop.batch_progress"]
    if batches["current"]["completed"] < batches["current"]["processed"]:  # in on_train_batch_end
        for count in (batches["total"], batches["current"]):
            count["completed"] = count["processed"]
        if validation_is_due(trainer):
            validation.update(_TO_RUN_AGAIN)  # read as "stopped in the midst of it", which Lightning runs anew
        else:
            state["epoch_loop.state_dict"]["_batches_that_stepped"] += 1
    elif epochs["current"]["completed"] < epochs["current"]["processed"]:  # in on_train_epoch_end
        for count in (epochs["total"], epochs["current"]):
            count["completed"] = count["processed"]
        batches.update(current=dict.fromkeys(batches["current"], 0), is_last_batch=False)
    elif trainer.validating and validation["total"]["completed"] < validation["total"]["processed"]:
        validation.update(_TO_RUN_AGAIN)


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the checkpoint after ``step`` generator updates lies."""
    return folder / f"step_{step:08d}.ckpt"


def list_checkpoints(folder: Path) -> list[Path]:
    """Checkpoints by step in ``folder``, newest first."""
    found = (path for path in folder.glob("step_*.ckpt") if re.fullmatch(r"step_\d{8,}\.ckpt", path.name))
    return sorted(found, key=lambda path: int(path.stem.removeprefix("step_")), reverse=True)


def is_damaged(path: Path) -> bool:
    """Whether a checkpoint was cut short or altered: its archive's checksums tell, without loading it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is not None
    except (zipfile.BadZipFile, OSError, EOFError):
        return True


def newest_readable(folder: Path) -> Path | None:
    """The newest whole checkpoint, with a warning for each damaged one passed over; None if there never was one.

    Raises:
        ZooError: There are checkpoints, but all are damaged.
    """
    paths = list_checkpoints(folder)
    for path in paths:
        if not is_damaged(path):
            return path
        rank_zero_warn(f"{path} is damaged (cut short while it was written?): taking the one before.")
    if paths:
        raise ZooError(f"All checkpoints in {folder} are damaged: {', '.join(path.name for path in paths)}.")
    return None
