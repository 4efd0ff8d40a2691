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
from inpaint_zoo.benchmark.methods.base import Answer, BoolMask, Method, Pixels, Question, Task
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
            sys.path.append(beside)  # behind everything installed, which it must not shadow
        name, _, path = entry.target.partition(":")
        try:
            self.module = importlib.import_module(name)
            self.function: Callable[[Pixels, BoolMask], Pixels] = operator.attrgetter(path)(self.module)
        except Exception as error:  # the module is the user's: importing it may fail in any way
            reason = f"{type(error).__name__}: {error}"
            raise entry.table.error(f"'{entry.target}' cannot be imported: {reason}.", "callable") from error
        if not callable(self.function):
            raise entry.table.error(f"'{entry.target}' is no function: {self.function!r}.", "callable")

    def identity(self, task: Task) -> dict[str, Any]:
        """The function's name and the content of the file that holds it; what it imports is not followed."""
        file = getattr(self.module, "__file__", None)
        return {"callable": self.entry.target, "source_sha256": sha256_file(file) if file else None}

    def start(self, task: Task, device: torch.device, precision: str) -> None:
        """Nothing to load."""

    def close(self) -> None:
        """Nothing to free."""

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Call the function for one photograph after the other, on copies."""
        return [self._one(question) for question in questions]

    def _one(self, question: Question) -> Answer:
        begin = time.perf_counter()
        result = self.function(question.image.copy(), question.mask.copy())
        seconds = time.perf_counter() - begin
        if not isinstance(result, np.ndarray) or result.shape != question.image.shape or result.dtype != np.uint8:
            got = f"{result.shape} {result.dtype}" if isinstance(result, np.ndarray) else type(result).__name__
            raise ZooError(
                f"{self.entry.target} must return {question.image.shape} uint8; for {question.key!r} it gave {got}."
            )
        return Answer(result, seconds)
