"""Return to the last complete step, so that an error within the next step does not lose it.

The weights and optimizers are those of the last complete step until the first update of the next step. Therefore
`StepBoundary` copies only small state after each step: counters, schedules, buffers such as BatchNorm statistics.
`undo.Undo` copies weights just before an update that does not yet complete its step, such as the discriminator's update
before the generator's update.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from lightning.pytorch.trainer import call
from torch import Tensor

from inpaint_zoo.training.module import TrainingModule
from inpaint_zoo.training.resume import make_exact

__all__ = ["StepBoundary"]


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
