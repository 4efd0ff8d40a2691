"""Stopping at the first loss that is NaN or infinite, with what is needed to look into it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from inpaint_zoo.errors import ZooError

__all__ = ["LossGuard", "NonFiniteLossError"]


class NonFiniteLossError(ZooError):
    """A loss became NaN or infinite; the message names the terms, the step and the batch.

    Attributes:
        step: Generator steps that were complete before.
        terms: Value of each term that is not finite.
        names: Names of the pictures of the batch.
    """

    def __init__(self, step: int, terms: dict[str, float], names: list[str]) -> None:
        self.step, self.terms, self.names = step, terms, names
        values = ", ".join(f"{name} = {value:g}" for name, value in terms.items())
        super().__init__(f"The loss is not finite after step {step}: {values}; batch: {', '.join(names)}.")


class _Record(NamedTuple):
    step: int
    terms: dict[str, Tensor]
    names: list[str]


class LossGuard:
    """Remembers the losses since its last look, and raises for the first that is not finite.

    A look waits for the device, so on a GPU the losses of several steps are looked at together; on the CPU each one is
    looked at before it reaches the weights.

    Args:
        every: Records between two looks on an accelerator.
    """

    def __init__(self, every: int = 50) -> None:
        self.every = every
        self._records: list[_Record] = []

    def add(self, step: int, terms: Mapping[str, Tensor], names: list[str]) -> None:
        """Remember the terms of one batch, and look if it is time.

        Raises:
            NonFiniteLossError: A term is NaN or infinite.
        """
        self._records.append(_Record(step, {name: term.detach() for name, term in terms.items()}, names))
        on_cpu = all(term.device.type == "cpu" for term in terms.values())
        if on_cpu or len(self._records) >= self.every:
            self.check()

    def check(self) -> None:
        """Look at everything remembered, and forget it.

        Raises:
            NonFiniteLossError: A term is NaN or infinite; of several, the first.
        """
        records, self._records = self._records, []
        terms = [term for record in records for term in record.terms.values()]
        if not terms or bool(torch.stack([torch.isfinite(term) for term in terms]).all()):
            return
        for record in records:
            bad = {name: float(term) for name, term in record.terms.items() if not bool(torch.isfinite(term))}
            if bad:
                raise NonFiniteLossError(record.step, bad, record.names)
