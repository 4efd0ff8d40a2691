"""Checkpoint files: written atomically, and checked before they are used, with an error for other kinds of files."""

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
from inpaint_zoo.io.formats import kind_by_content

__all__ = ["CheckpointFiles", "is_damaged", "read_checkpoint", "write_checkpoints_whole"]

ZIP = b"PK"  # first bytes of the archives that torch.save writes
IN_TRAINING = ("loops", "optimizer_states", "lr_schedulers")  # keys that resuming needs, in addition to the weights


class CheckpointFiles(TorchCheckpointIO):
    """Checkpoint IO that writes a temporary file in the target's folder, flushes it to disk and renames it.

    Lightning's own checkpoint IO writes to `TMPDIR` first. It fails if `TMPDIR` is full. If `TMPDIR` is on another
    file system, an incomplete file is visible under the final name while it is copied.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any | None = None,  # noqa: ANN401 Lightning's signature
    ) -> None:
        """Write the checkpoint. An existing file of the same name is replaced only when the new one is complete.

        Raises:
            OSError: The file cannot be written, for example because the disk is full; ``filename`` is the target.
        """
        if "://" in str(path):  # an fsspec object store, where writes are atomic
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
    """File wrapper that keeps its OSError, because torch.save reports a full disk as an unrelated RuntimeError."""

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
    """Let all callbacks of ``trainer`` write checkpoints with `CheckpointFiles`, unless the user set another plugin."""
    io = trainer.strategy.checkpoint_io
    if type(io) is TorchCheckpointIO:
        trainer.strategy.checkpoint_io = CheckpointFiles()
    elif isinstance(io, _WrappingCheckpointIO) and type(io.checkpoint_io) is TorchCheckpointIO:
        io._checkpoint_io = CheckpointFiles()


def is_damaged(path: Path) -> bool:
    """Return whether a checkpoint is truncated or corrupt, by the checksums of its zip archive, without loading it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is not None
    except (zipfile.BadZipFile, OSError, EOFError):
        return True


def read_checkpoint(path: Path, training: bool = True) -> dict[str, Any]:
    """Read a Lightning checkpoint. Its tensors are memory-mapped, so they are read from disk when they are used.

    Args:
        path: The checkpoint file.
        training: Whether training resumes from it. Then it must hold loops, optimizers and schedules, not just weights.

    Raises:
        ZooError: The file is missing, damaged or of another kind; the message says which, and how to proceed.
    """
    if path.is_dir():
        raise ZooError(f"{path} is a folder; --ckpt_path takes last, best or a checkpoint file.")
    if not path.is_file():
        raise ZooError(f"No checkpoint {path}. --ckpt_path takes last, best or a checkpoint file.")
    with path.open("rb") as file:
        head = file.read(16)
    if head[8:9] == b"{":  # safetensors: the JSON header follows eight bytes with its length
        raise ZooError(f"{path} is a weight file (safetensors), not a training checkpoint. {_as_weights(path)}")
    legacy = head[:1] == pickle.PROTO  # the format of torch.save before zip archives
    if not legacy and not head.startswith(ZIP):
        kind = kind_by_content(head)
        what = f"is a {kind} image" if kind else "does not begin like a file of PyTorch"
        raise ZooError(f"{path} {what}, not a training checkpoint. --ckpt_path takes last, best or a checkpoint file.")
    if not legacy and is_damaged(path):
        raise ZooError(f"The checkpoint {path} is damaged. --ckpt_path last selects the newest undamaged one.")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected pickle protocol")  # torch.load raises if it is needed
            content = torch.load(path, "cpu", weights_only=True, mmap=not legacy)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError) as error:
        raise ZooError(
            f"{path} is not a training checkpoint: reading it would run code stored in the file, or it is another kind "
            "of file. To read the files that the authors released, use inpaint-zoo convert."
        ) from error
    if not isinstance(content, dict) or "pytorch-lightning_version" not in content or "state_dict" not in content:
        raise ZooError(f"{path} {_kind(content)}, not a training checkpoint. {_as_weights(path)}")
    missing = [key for key in IN_TRAINING if key not in content]
    if training and missing:
        raise ZooError(
            f"{path} holds weights only, so training cannot resume from it. It lacks {', '.join(missing)}, as "
            f"checkpoints written with ModelCheckpoint's save_weights_only do. {_as_weights(path)}"
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
    return f"To start from its weights, replace --ckpt_path by --model.init_args.init_weights {path}"
