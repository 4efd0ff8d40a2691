"""Checkpoint files: written whole or not at all, and told apart from other files before anything is made of them."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, cast

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import Trainer
from lightning.pytorch.plugins.io.wrapper import _WrappingCheckpointIO
from torch import Tensor

from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import atomic_path

__all__ = ["CheckpointFiles", "is_damaged", "read_checkpoint", "write_checkpoints_whole"]

IN_TRAINING = ("loops", "optimizer_states", "lr_schedulers")  # what a training needs beyond the weights


class CheckpointFiles(TorchCheckpointIO):
    """Writes a checkpoint in the folder of its target, flushes it to the disk and renames it.

    Lightning's own way goes through `TMPDIR`: where that is full, nothing is saved; where it lies on another file
    system, the file grows under its final name.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any | None = None,  # noqa: ANN401 Lightning's signature
    ) -> None:
        """Write the checkpoint; what was there under its name stays until the new one is whole.

        Raises:
            OSError: It cannot be written, for instance because the disk is full; ``filename`` is the target.
        """
        if "://" in str(path):  # an object store of fsspec, whose objects are whole or absent
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        try:
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                recorder = _ErrorRecorder(file)
                try:
                    torch.save(checkpoint, cast(IO[bytes], recorder))
                except RuntimeError as error:
                    raise recorder.error or error from None
        except OSError as error:
            error.filename = error.filename or str(path)
            raise


class _ErrorRecorder:
    """A file that remembers its error: torch's writer turns a full disk into a RuntimeError about its own code."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        return self._watch(lambda: self._file.write(data))

    def flush(self) -> None:
        self._watch(self._file.flush)

    def _watch(self, call: Callable[[], Any]) -> Any:  # noqa: ANN401 whatever the file gives
        try:
            return call()
        except OSError as error:
            self.error = error
            raise


def write_checkpoints_whole(trainer: Trainer) -> None:
    """Make all callbacks of ``trainer`` write checkpoints by `CheckpointFiles`, unless a plugin of the user does it."""
    io = trainer.strategy.checkpoint_io
    if type(io) is TorchCheckpointIO:
        trainer.strategy.checkpoint_io = CheckpointFiles()
    elif isinstance(io, _WrappingCheckpointIO) and type(io.checkpoint_io) is TorchCheckpointIO:
        io._checkpoint_io = CheckpointFiles()


def is_damaged(path: Path) -> bool:
    """Whether a checkpoint was cut short or altered: its archive's checksums tell, without loading it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is not None
    except (zipfile.BadZipFile, OSError, EOFError):
        return True


def read_checkpoint(path: Path, training: bool = True) -> dict[str, Any]:
    """Read a checkpoint of Lightning; its tensors stay on the disk until they are used.

    Args:
        path: The file.
        training: Whether a training is to go on from it, which takes more than weights.

    Raises:
        ZooError: It is missing, damaged or another kind of file; the message says what it is and what to do with it.
    """
    if path.is_dir():
        raise ZooError(f"{path} is a folder; --ckpt_path takes last, best or a checkpoint file.")
    if not path.is_file():
        raise ZooError(f"No checkpoint {path}. --ckpt_path takes last, best or a checkpoint file.")
    with path.open("rb") as file:
        head = file.read(9)
    if head[8:] == b"{":  # after eight bytes with the header's length
        raise ZooError(f"{path} is a weight file (safetensors), not a checkpoint of a training. {_as_weights(path)}")
    legacy = head[:1] == pickle.PROTO  # what torch.save wrote before its archives
    if not legacy and is_damaged(path):
        raise ZooError(f"The checkpoint {path} is damaged; --ckpt_path last takes the newest whole one.")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected pickle protocol")  # it raises anyway where it must
            content = torch.load(path, "cpu", weights_only=True, mmap=not legacy)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError) as error:
        raise ZooError(
            f"{path} is no checkpoint of a training: it cannot be read without running code that it carries, or it is "
            "another kind of file. inpaint-zoo convert reads the authors' released files."
        ) from error
    if not isinstance(content, dict) or "pytorch-lightning_version" not in content or "state_dict" not in content:
        raise ZooError(f"{path} {_kind(content)}, not a checkpoint of a training. {_as_weights(path)}")
    missing = [key for key in IN_TRAINING if key not in content]
    if training and missing:
        raise ZooError(
            f"{path} holds weights only ({', '.join(missing)} are missing, as with ModelCheckpoint's "
            f"save_weights_only), so no training can go on from it. {_as_weights(path)}"
        )
    return content


def _kind(content: object) -> str:
    if isinstance(content, Mapping) and content and all(isinstance(value, Tensor) for value in content.values()):
        return f"is a bare state dict ({len(content)} tensors)"
    if isinstance(content, Mapping):
        keys = ", ".join(str(key) for key in list(content)[:6])
        return f"is a dictionary with the keys {keys or '(none)'}"
    return f"holds a {type(content).__name__}"


def _as_weights(path: Path) -> str:
    return f"To begin from its weights, leave --ckpt_path out and give --model.init_args.init_weights {path}"
