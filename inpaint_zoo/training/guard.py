"""Detection of losses that are NaN or infinite, with an error that names the terms, the step and the images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from inpaint_zoo.config import checked, whole
from inpaint_zoo.errors import ZooError

__all__ = ["LossGuard", "NonFiniteLossError"]


class NonFiniteLossError(ZooError):
    """A loss is NaN or infinite; the message names the terms, the step and the images of the batch.

    Attributes:
        step: Number of generator steps completed before this batch.
        terms: Value of each term that is not finite, by name.
        names: Names of the images in the batch.
    """

    def __init__(self, step: int, terms: dict[str, float], names: list[str]) -> None:
        self.step, self.terms, self.names = step, terms, names
        values = ", ".join(f"{name} = {value:g}" for name, value in terms.items())
        images = ", ".join(names)
        super().__init__(f"The loss is not finite after step {step}: {values}. Images of the batch: {images}.")


class _Record(NamedTuple):
    step: int
    terms: dict[str, Tensor]
    names: list[str]


class LossGuard:
    """Record of recent losses that raises an error for the first one that is not finite.

    A check synchronizes with the device. Therefore the losses of several batches are checked together on a GPU. On the
    CPU each loss is checked before it changes the weights.

    Args:
        every: Number of recorded losses between two checks on an accelerator.

    Attributes:
        records: The loss terms that are not checked yet.
    """

    def __init__(self, every: int = 50) -> None:
        checked("`guard_every`", every, whole(1))
        self.every = every
        self.records: list[_Record] = []

    def add(self, step: int, terms: Mapping[str, Tensor], names: list[str]) -> None:
        """Record the loss terms of one batch, and check the recorded terms if a check is due.

        Args:
            step: Number of generator steps completed before this batch.
            terms: Scalar loss terms by name.
            names: Names of the images in the batch.

        Raises:
            NonFiniteLossError: A term is NaN or infinite.
        """
        self.records.append(_Record(step, {name: term.detach() for name, term in terms.items()}, names))
        on_cpu = all(term.device.type == "cpu" for term in terms.values())
        if on_cpu or len(self.records) >= self.every:
            self.check()

    def check(self) -> None:
        """Check all recorded terms and clear the record.

        Raises:
            NonFiniteLossError: A term is NaN or infinite. The error describes the first such batch.
        """
        records, self.records = self.records, []
        terms = [term for record in records for term in record.terms.values()]
        if not terms or bool(torch.stack([torch.isfinite(term) for term in terms]).all()):
            return
        for record in records:
            bad = {name: float(term) for name, term in record.terms.items() if not bool(torch.isfinite(term))}
            if bad:
                raise NonFiniteLossError(record.step, bad, record.names)
