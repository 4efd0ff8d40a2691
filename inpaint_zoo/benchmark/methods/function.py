"""Python functions as methods."""

from __future__ import annotations

import importlib
import operator
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from inpaint_zoo.benchmark.entries import CallableEntry
from inpaint_zoo.benchmark.methods.base import BoolMask, Method, MethodInput, MethodOutput, Pixels, Task, composited
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import sha256_file

if TYPE_CHECKING:
    import torch

__all__ = ["CallableMethod"]


class CallableMethod(Method):
    """A Python function (image HxWx3 uint8 with 0 in the hole, mask HxW bool) -> HxWx3 uint8."""

    entry: CallableEntry

    def __init__(self, entry: CallableEntry) -> None:
        super().__init__(entry)
        beside = str(entry.table.document.path.parent.resolve())
        if beside not in sys.path:
            sys.path.append(beside)  # at the end, so that it does not shadow installed packages
        name, _, path = entry.target.partition(":")
        try:
            self.module = importlib.import_module(name)
            self.function: Callable[[Pixels, BoolMask], Pixels] = operator.attrgetter(path)(self.module)
        except Exception as error:  # importing the user's module may raise any error
            reason = f"{type(error).__name__}: {error}"
            raise entry.table.error(f"'{entry.target}' cannot be imported: {reason}.", "callable") from error
        if not callable(self.function):
            raise entry.table.error(f"'{entry.target}' is not a function: {self.function!r}.", "callable")

    def identity(self, task: Task) -> dict[str, Any]:
        """Return the function's name and the hash of its file; the modules that it imports are not included."""
        file = getattr(self.module, "__file__", None)
        return {"callable": self.entry.target, "source_sha256": sha256_file(file) if file else None}

    def start(self, task: Task, device: torch.device, precision: str) -> None:
        """Do nothing, since there is nothing to load."""

    def close(self) -> None:
        """Do nothing, since there is nothing to free."""

    def fill(self, items: Sequence[MethodInput]) -> list[MethodOutput]:
        """Call the function for one image after the other, on copies."""
        return [self._one(item) for item in items]

    def _one(self, item: MethodInput) -> MethodOutput:
        begin = time.perf_counter()
        result = self.function(item.image.copy(), item.mask.copy())
        seconds = time.perf_counter() - begin
        if not isinstance(result, np.ndarray) or result.shape != item.image.shape or result.dtype != np.uint8:
            got = f"{result.shape} {result.dtype}" if isinstance(result, np.ndarray) else type(result).__name__
            raise ZooError(
                f"{self.entry.target} must return {item.image.shape} uint8; for {item.key!r} it returned {got}."
            )
        return MethodOutput(composited(result, item), seconds)
