"""Data from files that need code to load: everything that a file names or carries as code is left out, never run.

`torch.load` runs the functions that a pickle names, and hands TorchScript archives to `torch.jit.load`, which runs the
methods that the archive carries. Here a pickle finds nothing but what rebuilds tensors, and `torch.load` never sees the
file itself: it gets a copy in memory, of an archive without the records that hold code.
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

__all__ = ["is_archive", "is_script", "read_inert", "tensors_by_name"]

ZIP_MAGIC = b"PK\x03\x04"  # by these bytes torch.load, too, tells archives from bare pickles
DATA_RECORDS = re.compile(r"[^/]+/(data\.pkl|data/[^/]+|version|\.data/version|byteorder)")
SCRIPT_RECORD = re.compile(r"[^/]+/constants\.pkl")  # by its presence torch.load tells TorchScript archives


class Inert:
    """Stands where a pickle names a class or function: takes anything, does nothing."""

    dump_patches = False  # torch.load asks each class whose source code a pickle carries

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __call__(self, *args: Any, **kwargs: Any) -> Inert:
        return self

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, value: object) -> None:
        """As of a list."""

    def extend(self, values: object) -> None:
        """As of a list."""


class ScriptObject(Inert):
    """Stands for a module of a TorchScript archive: keeps its attributes."""

    attributes: object = None

    def __setstate__(self, state: object) -> None:
        self.attributes = state


class _InertUnpickler(pickle.Unpickler):
    """Finds what rebuilds tensors, `ScriptObject` for TorchScript's modules, and `Inert` for every other name."""

    def find_class(self, module: str, name: str) -> object:
        from torch._weights_only_unpickler import _get_allowed_globals

        if module == "__torch__" or module.startswith("__torch__."):
            return ScriptObject
        return _get_allowed_globals().get(f"{module}.{name}", Inert)  # torch's own list of what is safe


def _load(file: IO[bytes], **options: Any) -> object:
    return _InertUnpickler(file, **options).load()


_inert_pickle = types.ModuleType("inert_pickle", "What torch.load needs of a pickle module.")
_inert_pickle.Unpickler = _InertUnpickler  # type: ignore[attr-defined]
_inert_pickle.load = _load  # type: ignore[attr-defined]


def is_archive(path: Path) -> bool:
    """Whether the file is a zip archive, as `torch.save` and `torch.jit.save` write it."""
    with path.open("rb") as file:
        return file.read(len(ZIP_MAGIC)) == ZIP_MAGIC


def is_script(path: Path) -> bool:
    """Whether the file is a TorchScript archive, as `torch.jit.save` writes it."""
    if not is_archive(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(SCRIPT_RECORD.fullmatch(name) for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def _data_of(path: Path) -> io.BytesIO:
    """The file for `torch.load`; of an archive, the records that hold data."""
    if not is_archive(path):
        return io.BytesIO(path.read_bytes())
    copy = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copy, "w") as kept:
        for name in dict.fromkeys(archive.namelist()):
            if DATA_RECORDS.fullmatch(name):
                kept.writestr(name, archive.read(name))
    copy.seek(0)
    return copy


def read_inert(path: Path) -> object:
    """What the file holds, on the CPU: its tensors and plain values as they are, `Inert` for everything else.

    Raises:
        WeightsError: The file is damaged or is no checkpoint.
        OSError: The file cannot be opened.
    """
    import torch

    try:
        with warnings.catch_warnings():
            # of a class whose source code a pickle carries: `Inert` stands in its place
            warnings.simplefilter("ignore", torch.serialization.SourceChangeWarning)
            # weights_only=False, because only so torch.load takes a pickle module: the one above finds no code
            return torch.load(_data_of(path), "cpu", weights_only=False, pickle_module=_inert_pickle)
    except OSError:
        raise
    except Exception as error:  # a broken or hostile pickle fails in any way: wrong types, missing keys, recursion
        raise WeightsError(f"{path} is damaged or is no checkpoint: {type(error).__name__}: {error}") from error


def tensors_by_name(content: object, path: Path) -> dict[str, Tensor]:
    """Tensors at any depth of mappings, lists and TorchScript modules; what is no tensor is left out.

    The names of nested parts are joined by dots, those in lists are numbers: a TorchScript module has the names of its
    state dict.

    Args:
        content: From `read_inert`.
        path: The file that it comes from, for messages.

    Raises:
        WeightsError: There are none, or a TorchScript module is restored by a method of its own.
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
        raise WeightsError(f"{path} is damaged: its content is nested without end.") from error
    if not state:
        raise WeightsError(
            f"{path} holds no tensors by name. If it holds a whole network, save its state dict with the project that "
            "wrote it: torch.save(model.state_dict(), ...)."
        )
    return state


class _NeedsCodeError(Exception):
    """Names the TorchScript module that is restored by code."""


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
