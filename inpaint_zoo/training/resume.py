"""Making a Lightning checkpoint continue bit for bit, and choosing the one to continue from.

Lightning 2.6 leaves a batch half accounted for when a checkpoint is written in `on_train_batch_end`: after a restart it
skips the validation that was due, and at an epoch's last batch the epoch's end as well. In `on_train_epoch_end` it
counts the epoch twice. `make_exact` writes the loops' state as it stands once the batch or the epoch is done, with the
validation still to come.
"""

from __future__ import annotations

import re
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
    """Whether Lightning validates after the batch in progress.

    Args:
        trainer: While it fits.
        at_a_stop: Count the additional validation of a run that is about to stop early.
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
    is_due = validation_is_due(trainer, at_a_stop=False)  # the next run does not stop here
    if batches["current"]["completed"] < batches["current"]["processed"]:  # in on_train_batch_end
        for count in (batches["total"], batches["current"]):
            count["completed"] = count["processed"]
        if is_due:
            validation.update(_TO_RUN_AGAIN)  # read as "stopped in the midst of it", which Lightning runs anew
        else:
            state["epoch_loop.state_dict"]["_batches_that_stepped"] += 1
    elif epochs["current"]["completed"] < epochs["current"]["processed"]:  # in on_train_epoch_end
        if trainer.fit_loop.epoch_loop._num_ready_batches_reached():
            for count in (epochs["total"], epochs["current"]):
                count["completed"] = count["processed"]
            batches.update(current=dict.fromkeys(batches["current"], 0), is_last_batch=False)
        else:  # the run stopped in mid-epoch: the next one goes on there
            for count in (epochs["total"], epochs["current"]):
                count["processed"] = count["completed"]
            state["epoch_loop.state_dict"]["_batches_that_stepped"] -= is_due  # which then skips what was validated
    elif trainer.validating:
        if validation["total"]["completed"] < validation["total"]["processed"]:
            validation.update(_TO_RUN_AGAIN)
        if not is_due:  # the additional validation of a run that stops early
            state["epoch_loop.state_dict"]["_batches_that_stepped"] += 1


def count_batches_anew(trainer: Trainer) -> None:
    """Let a resumed epoch end where its samples do, also if its batches are of another size than before.

    Lightning compares the batches done with the batches of an epoch. With larger batches it finds the epoch's end
    passed, and drops its validation. Called when training starts, with a warning that says how the epoch goes on.
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
            f"The batch size has changed in mid-epoch: of the {stream.num_samples * stream.num_replicas} samples of "
            f"epoch {epoch}, {samples} are done; {stream.batches_left} batch(es) of "
            f"{stream.batch_size * stream.num_replicas} finish it."
        )


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the checkpoint after ``step`` generator updates lies."""
    return folder / f"step_{step:08d}.ckpt"


def list_checkpoints(folder: Path) -> list[Path]:
    """Checkpoints by step in ``folder``, newest first."""
    found = (path for path in folder.glob("step_*.ckpt") if re.fullmatch(r"step_\d{8,}\.ckpt", path.name))
    return sorted(found, key=lambda path: int(path.stem.removeprefix("step_")), reverse=True)


def newest_readable(folder: Path) -> Path | None:
    """The newest whole checkpoint, with a warning for each damaged one passed over; None if there never was one.

    ``last.ckpt`` says which one was written last, where a run went on from an earlier checkpoint. ``best.ckpt`` is
    taken if it was written after all others.

    Raises:
        ZooError: There are checkpoints, but all are damaged.
    """
    paths = _from_newest(folder)
    for path in paths:
        if not is_damaged(path):
            return path
        rank_zero_warn(f"{path} is damaged (cut short while it was written?): taking the one before.")
    if paths:
        raise ZooError(f"All checkpoints in {folder} are damaged: {', '.join(path.name for path in paths)}.")
    return None


def _from_newest(folder: Path) -> list[Path]:
    paths = list_checkpoints(folder)
    last, best = folder / "last.ckpt", folder / "best.ckpt"
    written_last = folder / last.readlink() if last.is_symlink() else None
    if written_last in paths:  # those of later steps belong to what was taken back
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
