"""Return to the last complete step, so that an error within the next step does not lose it.

The weights and optimizers are those of the last complete step until the first update of the next step. Therefore
`StepBoundary` copies only small state after each step: counters, schedules, buffers such as BatchNorm statistics.
`Undo` copies weights just before an update that does not yet complete its step, such as the discriminator's update
before the generator's update.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from lightning.pytorch.trainer import call
from torch import Tensor
from torch.optim import Optimizer

from inpaint_zoo.training.resume import make_exact

if TYPE_CHECKING:
    from inpaint_zoo.training.module import TrainingModule

__all__ = ["StepBoundary", "Undo"]


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


class StepBoundary:
    """Counters, schedules and buffers after the last complete step: checkpoint content except weights and optimizers.

    Attributes:
        step: Number of generator steps done at that point; None before the first call of `record`.
    """

    def __init__(self) -> None:
        self.step: int | None = None
        self._counters: dict[str, Any] = {}
        self._schedules: list[dict[str, Any]] = []
        self._groups: list[list[dict[str, Any]]] = []
        self._batches = 0
        self._buffers: list[Tensor] = []

    def record(self, trainer: Trainer, module: TrainingModule) -> None:
        """Copy the current state. Called before the first step and at the end of each batch that completes a step."""
        module.undo.complete()
        counters: dict[str, Any] = {"loops": deepcopy(trainer._checkpoint_connector._get_loops_state_dict())}
        make_exact(trainer, counters)
        self.step = int(trainer.global_step)
        self._counters = {
            "epoch": trainer.current_epoch,
            "global_step": trainer.global_step,
            "callbacks": deepcopy(call._call_callbacks_state_dict(trainer)),
            **counters,
        }
        self._schedules = [deepcopy(config.scheduler.state_dict()) for config in trainer.lr_scheduler_configs]
        self._groups = [
            [
                deepcopy({key: value for key, value in group.items() if key != "params"})
                for group in optimizer.param_groups
            ]
            for optimizer in trainer.optimizers
        ]
        self._batches = module.batches
        buffers = list(module.buffers())
        if len(buffers) != len(self._buffers):
            self._buffers = [torch.empty_like(buffer) for buffer in buffers]
        if buffers:
            torch._foreach_copy_(self._buffers, buffers)

    def is_reachable(self, trainer: Trainer, module: TrainingModule) -> bool:
        """Return whether `take_back` can restore the last complete step."""
        undo = module.undo
        whole = isinstance(trainer.strategy, SingleDeviceStrategy | DDPStrategy)  # other strategies shard the model
        updated = trainer.global_step != self.step and not undo.holds_copies
        return whole and self.step is not None and not undo.impossible and not updated

    def take_back(self, trainer: Trainer, module: TrainingModule) -> None:
        """Restore the module, its optimizers and schedules to the last complete step."""
        module.undo.take_back()
        with torch.no_grad():
            for buffer, before in zip(module.buffers(), self._buffers, strict=True):
                buffer.copy_(before)
        for config, state in zip(trainer.lr_scheduler_configs, self._schedules, strict=True):
            config.scheduler.load_state_dict(state)
        for optimizer, groups in zip(trainer.optimizers, self._groups, strict=True):
            for group, values in zip(optimizer.param_groups, groups, strict=True):
                group.update(values)
        module.batches = self._batches

    def correct(self, checkpoint: dict[str, Any]) -> None:
        """Replace the counters in a checkpoint that is written after `take_back`, in place."""
        checkpoint.update(self._counters)
