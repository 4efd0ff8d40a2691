"""Correct Lightning checkpoints so that resuming is exact bit for bit, and choose the checkpoint to resume from.

If Lightning 2.6 writes a checkpoint in `on_train_batch_end`, the batch is not yet counted as completed. A resumed run
then skips the validation that was due, and after the last batch of an epoch also the end of the epoch. If it writes one
in `on_train_epoch_end`, a resumed run counts the epoch twice. `make_exact` changes the loops' state to what it is after
the batch or the epoch, before the validation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn

from inpaint_zoo.data.sampling import ResumableLoader
from inpaint_zoo.errors import ZooError
from inpaint_zoo.training.checkpoint_files import is_damaged

__all__ = [
    "checkpoint_path",
    "count_batches_anew",
    "is_damaged",
    "is_finished",
    "list_checkpoints",
    "make_exact",
    "newest_readable",
    "validation_is_due",
]

_TO_RUN_AGAIN = {
    "total": {"ready": 1, "started": 1, "processed": 0, "completed": 0},
    "current": {"ready": 0, "started": 0, "processed": 0, "completed": 0},
    "is_last_batch": False,
}


def validation_is_due(trainer: Trainer, at_a_stop: bool = True) -> bool:
    """Return whether Lightning validates after the batch in progress.

    Args:
        trainer: The trainer, during `fit`.
        at_a_stop: Include the additional validation before a run stops early.
    """
    fetcher = trainer.fit_loop._data_fetcher
    if fetcher is None:
        return False
    should_stop = trainer.should_stop
    try:
        trainer.should_stop = should_stop and at_a_stop
        return bool(trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher))
    finally:
        trainer.should_stop = should_stop


def make_exact(trainer: Trainer, checkpoint: dict[str, Any]) -> None:
    """Correct the loops' state in ``checkpoint`` so that training continues as if it had not been interrupted.

    Args:
        trainer: The trainer that writes the checkpoint.
        checkpoint: Content of the checkpoint from Lightning; changed in place.
    """
    if trainer.state.fn != TrainerFn.FITTING or "loops" not in checkpoint:
        return
    state = checkpoint["loops"]["fit_loop"]
    epochs, batches = state["epoch_progress"], state["epoch_loop.batch_progress"]
    validation = state["epoch_loop.val_loop.batch_progress"]
    is_due = validation_is_due(trainer, at_a_stop=False)  # the resumed run does not stop here
    if batches["current"]["completed"] < batches["current"]["processed"]:  # in on_train_batch_end
        for count in (batches["total"], batches["current"]):
            count["completed"] = count["processed"]
        if is_due:
            validation.update(_TO_RUN_AGAIN)  # marks the validation as interrupted, so Lightning repeats it
        else:
            state["epoch_loop.state_dict"]["_batches_that_stepped"] += 1
    elif epochs["current"]["completed"] < epochs["current"]["processed"]:  # in on_train_epoch_end
        if trainer.fit_loop.epoch_loop._num_ready_batches_reached():
            for count in (epochs["total"], epochs["current"]):
                count["completed"] = count["processed"]
            batches.update(current=dict.fromkeys(batches["current"], 0), is_last_batch=False)
        else:  # the run stopped within an epoch; the resumed run continues there
            for count in (epochs["total"], epochs["current"]):
                count["processed"] = count["completed"]
            state["epoch_loop.state_dict"]["_batches_that_stepped"] -= is_due  # the validation is not repeated
    elif trainer.validating:
        if validation["total"]["completed"] < validation["total"]["processed"]:
            validation.update(_TO_RUN_AGAIN)
        if not is_due:  # this is the additional validation of a run that stops early
            state["epoch_loop.state_dict"]["_batches_that_stepped"] += 1


def count_batches_anew(trainer: Trainer) -> None:
    """Correct the batch count of a resumed epoch if the batch size has changed.

    Lightning compares the number of batches done with the number of batches in the epoch. After a change to larger
    batches, it would consider the epoch finished and skip its validation. The corrected count ends the epoch at its
    last sample. Called when training starts; a warning states the remaining samples and batches.
    """
    loaders = trainer.fit_loop._combined_loader.flattened if trainer.fit_loop._combined_loader else []
    if len(loaders) != 1 or not isinstance(loaders[0], ResumableLoader):
        return
    stream, batches = loaders[0].stream, trainer.fit_loop.epoch_loop.batch_progress.current
    epoch, samples = stream.stood_at
    done = len(loaders[0]) - stream.batches_left
    if not samples or epoch != stream.epoch or batches.ready == done:
        return
    batches.load_state_dict(dict.fromkeys(batches.state_dict(), done))
    if stream.batches_left:
        rank_zero_warn(
            f"The batch size has changed within an epoch. Of the {stream.num_samples * stream.num_replicas} samples of "
            f"epoch {epoch}, {samples} are done. {stream.batches_left} batch(es) of "
            f"{stream.batch_size * stream.num_replicas} samples complete it."
        )


def checkpoint_path(folder: Path, step: int) -> Path:
    """Return the path of the checkpoint after ``step`` generator steps."""
    return folder / f"step_{step:08d}.ckpt"


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints ``step_<n>.ckpt`` in ``folder``, sorted from the latest step to the earliest."""
    found = (path for path in folder.glob("step_*.ckpt") if re.fullmatch(r"step_\d{8,}\.ckpt", path.name))
    return sorted(found, key=lambda path: int(path.stem.removeprefix("step_")), reverse=True)


def newest_readable(folder: Path) -> Path | None:
    """Return the newest undamaged checkpoint; None if the folder has no checkpoints.

    The newest is the one that was written last, not the one of the latest step: a run may have resumed from an earlier
    checkpoint. The link ``last.ckpt`` points to it. ``best.ckpt`` is used instead if it was written later and is of a
    later step. A warning is issued for each damaged checkpoint that is skipped.

    Raises:
        ZooError: There are checkpoints, but all are damaged.
    """
    paths = _from_newest(folder)
    for path in paths:
        if not is_damaged(path):
            return path
        rank_zero_warn(f"{path} is damaged, perhaps because writing it was interrupted. Using the one before.")
    if paths:
        raise ZooError(f"All checkpoints in {folder} are damaged: {', '.join(path.name for path in paths)}.")
    return None


def is_finished(checkpoint: Mapping[str, Any], max_steps: int | None, max_epochs: int | None) -> bool:
    """Return whether a training ended at its checkpoint: by its number of steps or epochs, or by early stopping.

    Args:
        checkpoint: Content of the checkpoint.
        max_steps: Limit of the training in generator steps as in the Trainer; None or -1 for no limit.
        max_epochs: Limit in epochs, likewise.
    """
    state = checkpoint["loops"]["fit_loop"]
    # a checkpoint after the last batch of an epoch is written before Lightning counts the epoch
    epochs = state["epoch_progress"]["current"]["completed"] + bool(state["epoch_loop.batch_progress"]["is_last_batch"])
    stops = [state for name, state in checkpoint.get("callbacks", {}).items() if name.startswith("EarlyStopping")]
    by_steps = max_steps is not None and 0 <= max_steps <= checkpoint["global_step"]
    by_epochs = max_epochs is not None and 0 <= max_epochs <= epochs
    return by_steps or by_epochs or any(state.get("stopped_epoch") for state in stops)


def _from_newest(folder: Path) -> list[Path]:
    paths = list_checkpoints(folder)
    last, best = folder / "last.ckpt", folder / "best.ckpt"
    written_last = folder / last.readlink() if last.is_symlink() else None
    if written_last in paths:  # checkpoints of later steps are older: from before the run resumed at an earlier step
        place = paths.index(written_last)
        paths = paths[place:] + paths[:place]
    if best.is_file() and not (paths and _is_older(best, paths[0])):
        paths.insert(0, best)
    return paths


def _is_older(best: Path, other: Path) -> bool:
    if best.stat().st_mtime_ns < other.stat().st_mtime_ns or is_damaged(best):
        return True
    step = torch.load(best, "cpu", weights_only=True, mmap=True)["global_step"]
    return int(step) <= int(other.stem.removeprefix("step_"))
