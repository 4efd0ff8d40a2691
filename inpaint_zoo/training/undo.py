"""Undo the updates of a step that was interrupted before its last update."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

__all__ = ["Undo"]


class Undo:
    """Undo of the updates of an incomplete step.

    Attributes:
        impossible: The update that completes the step has started. It is not copied, so it cannot be undone.
        taken_back: The module is back at the end of the last complete step. Training does not continue after that.
    """

    def __init__(self) -> None:
        self.impossible = False
        self.taken_back = False
        self._tensors: dict[int, tuple[Tensor, Tensor]] = {}  # by id: the tensor and its copy
        self._optimizers: dict[int, tuple[Optimizer, list[tuple[Tensor, dict[str, Any] | None]]]] = {}

    @property
    def holds_copies(self) -> bool:
        """Whether some weights were updated in the current, incomplete step."""
        return bool(self._tensors)

    def keep(self, tensors: Iterable[Tensor]) -> None:
        """Copy tensors before their first change within a step. Later calls in the same step do nothing."""
        for tensor in tensors:
            if id(tensor) not in self._tensors:
                self._tensors[id(tensor)] = (tensor, tensor.detach().clone())

    def keep_optimizer(self, optimizer: Optimizer) -> None:
        """Copy an optimizer's parameters and state before its first update within a step."""
        if id(optimizer) in self._optimizers:
            return
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        states = [
            (parameter, deepcopy(optimizer.state[parameter]) if parameter in optimizer.state else None)
            for parameter in parameters
        ]
        self._optimizers[id(optimizer)] = (optimizer, states)
        self.keep(parameters)

    def complete(self) -> None:
        """Discard the copies, because the step is complete."""
        self.impossible = False
        self._tensors, self._optimizers = {}, {}

    @torch.no_grad()
    def take_back(self) -> None:
        """Restore the weights and optimizer states that were copied since the step began."""
        for tensor, before in self._tensors.values():
            tensor.copy_(before)
        for optimizer, states in self._optimizers.values():
            for parameter, state in states:
                if state is None:
                    optimizer.state.pop(parameter, None)
                else:
                    optimizer.state[parameter] = state
        self.complete()
        self.taken_back = True
