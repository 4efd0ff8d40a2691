"""Read data from files that need code to load; code that a file refers to or contains is ignored and never run.

`torch.load` runs the functions that a pickle refers to, and passes TorchScript archives to `torch.jit.load`, which runs
the methods in the archive. Here, the unpickler resolves only what rebuilds tensors, and `torch.load` receives an
in-memory copy of the file, for archives without the records that contain code.
"""

from __future__ import annotations

import io
import pickle
import re
import types
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from inpaint_zoo.weights.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["is_archive", "is_script", "read_inert", "refuse_packed", "tensors_by_name"]

ZIP_MAGIC = b"PK\x03\x04"  # torch.load also uses these bytes to distinguish archives from plain pickles
DATA_RECORDS = re.compile(r"[^/]+/(data\.pkl|data/[^/]+|version|\.data/version|byteorder)")
MOST_TIMES = 4
SCRIPT_RECORD = re.compile(r"[^/]+/constants\.pkl")  # torch.load recognizes TorchScript archives by this record


class Inert:
    """Replaces every class or function that a pickle refers to: accepts any arguments and does nothing."""

    dump_patches = False  # torch.load reads this attribute of classes whose source code is in the pickle

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __call__(self, *args: Any, **kwargs: Any) -> Inert:
        return self

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, value: object) -> None:
        """Ignore the value, as a stand-in for `list.append`."""

    def extend(self, values: object) -> None:
        """Ignore the values, as a stand-in for `list.extend`."""


class ScriptObject(Inert):
    """Replaces a module of a TorchScript archive and keeps its attributes."""

    attributes: object = None

    def __setstate__(self, state: object) -> None:
        self.attributes = state


class _InertUnpickler(pickle.Unpickler):
    """Resolves what rebuilds tensors, `ScriptObject` for TorchScript modules, and `Inert` for every other name."""

    def find_class(self, module: str, name: str) -> object:
        from torch._weights_only_unpickler import _get_allowed_globals

        if module == "__torch__" or module.startswith("__torch__."):
            return ScriptObject
        return _get_allowed_globals().get(f"{module}.{name}", Inert)  # torch's own list of safe names


def _load(file: IO[bytes], **options: Any) -> object:
    return _InertUnpickler(file, **options).load()


_inert_pickle = types.ModuleType("inert_pickle", "The parts of a pickle module that torch.load needs.")
_inert_pickle.Unpickler = _InertUnpickler  # type: ignore[attr-defined]
_inert_pickle.load = _load  # type: ignore[attr-defined]


def is_archive(path: Path) -> bool:
    """Return whether the file is a zip archive, as written by `torch.save` and `torch.jit.save`."""
    with path.open("rb") as file:
        return file.read(len(ZIP_MAGIC)) == ZIP_MAGIC


def is_script(path: Path) -> bool:
    """Return whether the file is a TorchScript archive, as written by `torch.jit.save`."""
    if not is_archive(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(SCRIPT_RECORD.fullmatch(name) for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def refuse_packed(path: Path) -> None:
    """Check that the data in a zip archive does not unpack to many times the size of the file.

    PyTorch writes tensors without compression, and a few megabytes of compressed zeros would fill the memory. Other
    files are not checked.

    Raises:
        WeightsError: It unpacks to more than `MOST_TIMES` its size.
    """
    if not is_archive(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(record.file_size for record in archive.infolist() if DATA_RECORDS.fullmatch(record.filename))
    except zipfile.BadZipFile:  # the reader says what is damaged
        return
    if size > MOST_TIMES * (own := path.stat().st_size):
        raise WeightsError(
            f"{path} has {own:,} bytes but unpacks to {size:,}, so it was not read: torch.save does not compress. "
            "If you trust the file, load it with PyTorch and save it again."
        )


def _data_of(path: Path) -> io.BytesIO:
    """Return the file's content for `torch.load`; for an archive, only its data records."""
    if not is_archive(path):
        return io.BytesIO(path.read_bytes())
    refuse_packed(path)
    copy = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copy, "w") as kept:
        for name in dict.fromkeys(archive.namelist()):
            if DATA_RECORDS.fullmatch(name):
                kept.writestr(name, archive.read(name))
    copy.seek(0)
    return copy


def read_inert(path: Path) -> object:
    """Return the content of a file on the CPU: tensors and plain values as they are, `Inert` for everything else.

    Raises:
        WeightsError: If the file is damaged or is not a checkpoint.
        OSError: If the file cannot be opened.
    """
    import torch

    try:
        with warnings.catch_warnings():
            # the warning concerns classes whose source code is in the pickle; `Inert` replaces them
            warnings.simplefilter("ignore", torch.serialization.SourceChangeWarning)
            # torch.load accepts a pickle module only with weights_only=False; the module above never resolves code
            return torch.load(_data_of(path), "cpu", weights_only=False, pickle_module=_inert_pickle)
    except (OSError, WeightsError):
        raise
    except Exception as error:  # a damaged or malicious pickle can raise any error: types, missing keys, recursion
        raise WeightsError(f"{path} is damaged or is not a checkpoint: {type(error).__name__}: {error}") from error


def tensors_by_name(content: object, path: Path) -> dict[str, Tensor]:
    """Return tensors at any depth of mappings, lists and TorchScript modules; other values are dropped.

    Names of nested parts are joined by dots, and list items are numbered. A TorchScript module thus gets the names of
    its state dict.

    Args:
        content: Content from `read_inert`.
        path: The file it comes from, for error messages.

    Raises:
        WeightsError: If there are no tensors, or a TorchScript module is restored by a method of its own.
    """
    try:
        state = dict(_pairs(content, ""))
    except _NeedsCodeError as error:
        raise WeightsError(
            f"{path} restores {error} by a method of its own (__setstate__). It was not run, so the names of the "
            "tensors are unknown. Save a state dict with the project that wrote the file: "
            "torch.save(model.state_dict(), ...)."
        ) from error
    except RecursionError as error:
        raise WeightsError(f"{path} is damaged: its content is nested infinitely.") from error
    if not state:
        raise WeightsError(
            f"{path} contains no tensors by name. If it contains a whole network, save its state dict with the project "
            "that wrote it: torch.save(model.state_dict(), ...)."
        )
    return state


class _NeedsCodeError(Exception):
    """Raised with the name of a TorchScript module that is restored by code."""


def _pairs(content: object, prefix: str) -> list[tuple[str, Tensor]]:
    import torch

    if isinstance(content, torch.Tensor):
        return [(prefix.removesuffix("."), content.detach())]
    if isinstance(content, ScriptObject):
        content = content.attributes
        if not isinstance(content, Mapping):
            raise _NeedsCodeError(f"its module '{prefix.removesuffix('.')}'" if prefix else "its module")
    if isinstance(content, list | tuple):
        content = dict(enumerate(content))
    if not isinstance(content, Mapping):
        return []
    return [pair for key, value in content.items() for pair in _pairs(value, f"{prefix}{key}.")]
