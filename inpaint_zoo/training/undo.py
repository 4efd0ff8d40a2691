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

    The memory of the copies is reused in the next step, because new memory takes longer to get than to fill.

    Attributes:
        impossible: The update that completes the step has started. It is not copied, so it cannot be undone.
        taken_back: The module is back at the end of the last complete step. Training does not continue after that.
    """

    def __init__(self) -> None:
        self.impossible = False
        self.taken_back = False
        self._tensors: dict[int, tuple[Tensor, Tensor]] = {}  # by id: the tensor and its copy
        self._before: dict[int, tuple[Tensor, Tensor]] = {}  # those of the previous step, whose memory is reused
        self._optimizers: dict[int, tuple[Optimizer, list[tuple[Tensor, dict[str, Any] | None]]]] = {}

    @property
    def holds_copies(self) -> bool:
        """Whether some weights were updated in the current, incomplete step."""
        return bool(self._tensors)

    @torch.no_grad()
    def keep(self, tensors: Iterable[Tensor]) -> None:
        """Copy tensors before their first change within a step. Later calls in the same step do nothing."""
        kinds: dict[tuple[torch.device, torch.dtype], tuple[list[Tensor], list[Tensor]]] = {}
        for tensor in tensors:
            if id(tensor) in self._tensors:
                continue
            _, copy = self._before.get(id(tensor)) or (tensor, torch.empty_like(tensor))
            self._tensors[id(tensor)] = (tensor, copy)
            copies, originals = kinds.setdefault((tensor.device, tensor.dtype), ([], []))
            copies.append(copy)
            originals.append(tensor)
        for copies, originals in kinds.values():  # fast only for tensors of one kind
            torch._foreach_copy_(copies, originals)

    def keep_optimizer(self, optimizer: Optimizer) -> None:
        """Copy an optimizer's parameters and state before its first update within a step."""
        if id(optimizer) in self._optimizers:
            return
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        states: list[tuple[Tensor, dict[str, Any] | None]] = []
        tensors: list[Tensor] = list(parameters)
        for parameter in parameters:
            state = optimizer.state.get(parameter)
            tensors += [value for value in (state or {}).values() if isinstance(value, Tensor)]
            states.append((parameter, state and {key: _unless_tensor(value) for key, value in state.items()}))
        self._optimizers[id(optimizer)] = (optimizer, states)
        self.keep(tensors)

    def complete(self) -> None:
        """Discard the copies, because the step is complete."""
        self.impossible = False
        if self._tensors:
            self._before = self._tensors
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


def _unless_tensor(value: Any) -> Any:  # noqa: ANN401 - whatever an optimizer stores
    """Return a copy of a value, or a tensor itself, whose content is kept apart."""
    return value if isinstance(value, Tensor) else deepcopy(value)
