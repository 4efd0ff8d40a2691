"""The orders that rank 0 gives to the other ranks, and what they answer."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.names import plain_name

__all__ = ["BrokenError", "CheckPlan", "ComputeCell", "ComputeFeatures", "Failed", "Order", "whole"]


class CheckPlan(NamedTuple):
    """Make the plan of the run and compare it with that of rank 0. Answer: what is wrong, or None.

    Attributes:
        cells: Identities of all cells.
        code: Hash of the package's source files.
        threads: Number of threads of one operation of torch, which the last bits of a network's numbers depend on.
    """

    cells: tuple[str, ...]
    code: str
    threads: int


class ComputeCell(NamedTuple):
    """Compute a share of the samples of a cell. Answer: a `Part`, or why it failed.

    Attributes:
        number: Position of the cell in the plan.
        positions: Positions of the samples that all ranks share.
    """

    number: int
    positions: NDArray[np.int64]


class ComputeFeatures(NamedTuple):
    """Compute a share of the features of a dataset's original images. Answer: the features by key, or why it failed.

    Attributes:
        number: Position of the dataset in the sources of the plan.
    """

    number: int


Order = CheckPlan | ComputeCell | ComputeFeatures


class Failed(NamedTuple):
    """Why a share could not be computed.

    Attributes:
        position: Position of the first sample that could not; -1 before the first one.
        line: The error in one line.
        trace: Its traceback.
    """

    position: int
    line: str
    trace: str

    @classmethod
    def of(cls, error: Exception, position: int) -> Failed:
        """Describe an error that is being handled; an error of another rank is described by that rank."""
        if isinstance(error, BrokenError):
            return error.failed
        line = str(error) if isinstance(error, ZooError) else f"{type(error).__name__}: {error}"
        notes = (f"({note})" for note in getattr(error, "__notes__", ()))
        return cls(position, plain_name(" ".join([*line.split(), *notes])), traceback.format_exc())


class BrokenError(Exception):
    """Work of several ranks has failed on at least one of them.

    Attributes:
        failed: The failure at the first sample, which one process alone would have met.
    """

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.line)
        self.failed = failed


def whole(answers: Iterable[Any]) -> list[Any]:
    """Return the answers of all ranks if none failed.

    Raises:
        BrokenError: If one failed.
    """
    answers = list(answers)
    failed = [answer for answer in answers if isinstance(answer, Failed)]
    if failed:
        raise BrokenError(min(failed, key=lambda each: each.position))
    return answers
