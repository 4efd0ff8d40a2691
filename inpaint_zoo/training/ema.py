"""Exponential moving average (EMA) of the network, based on Lightning's weight averaging."""

from __future__ import annotations

from typing import Any, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from inpaint_zoo.training.module import TrainingModule
from inpaint_zoo.training.phases import Batch

__all__ = ["NetworkEMA"]

_PREFIX = "network."


class NetworkEMA(WeightAveraging):
    """Callback for an exponential moving average of ``network``, used by validation, testing and weight files.

    Discriminators are not averaged. Before step ``start`` the current weights are evaluated. As in Lightning, the
    ``state_dict`` of a checkpoint holds the average, and ``current_model_state`` holds the current weights.

    Early in a run, averaged BatchNorm statistics do not match averaged weights: see docs/training.md, "Averages and
    BatchNorm".

    Args:
        decay: Weight of the old average at each update, in [0, 1].
        every: Number of generator steps between two updates.
        start: Number of generator steps before the first update, which copies the weights.
        buffers: Whether to average buffers (BatchNorm statistics), too; otherwise they are copied.
        each_update: Whether to update at every generator update if a step has several (GRIG's inner rounds).
    """

    def __init__(
        self, decay: float = 0.999, every: int = 1, start: int = 0, buffers: bool = True, each_update: bool = False
    ) -> None:
        average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        super().__init__(use_buffers=buffers, multi_avg_fn=average)
        self.every = every
        self.start = start
        self.each_update = each_update
        self._swapped = False

    @property
    def average(self) -> AveragedModel:
        """The averaged network."""
        return cast(AveragedModel, self._average_model)

    @property
    def started(self) -> bool:
        """Whether the average has had its first update."""
        return self._average_model is not None and int(self.average.n_averaged) > 0

    @property
    def tensors(self) -> list[Tensor]:
        """All parameters and buffers of the average."""
        return [*self.average.parameters(), *self.average.buffers()]

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Return whether the average is updated after the step with this index, counted from 0."""
        return step_idx is not None and step_idx >= self.start and (step_idx - self.start) % self.every == 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Copy the network when fitting begins, in the precision that the Trainer will convert it to."""
        if stage != "fit":
            return
        self._average_model = AveragedModel(
            _network(pl_module), device=pl_module.device, use_buffers=self._use_buffers, **self._kwargs
        )
        if trainer.precision == "64-true":
            self.average.module.double()

    def on_generator_update(self, pl_module: LightningModule, step_idx: int) -> None:
        """Update the average if ``each_update`` is set. `AdversarialModule` calls this after each generator update.

        Args:
            pl_module: The module whose ``network`` is averaged.
            step_idx: Index of the step that the update belongs to, counted from 0.
        """
        if self.each_update and self.should_update(step_idx=step_idx):
            self.average.update_parameters(_network(pl_module))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: STEP_OUTPUT, batch: Batch, batch_idx: int
    ) -> None:
        """Update the average after a batch that completed a step, unless ``each_update`` is set."""
        if not self.each_update:
            super().on_train_batch_end(trainer, cast(LightningModule, _network(pl_module)), outputs, batch, batch_idx)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Swap the average into the network. The logs then show ``val/ema`` as 1."""
        if self._average_model is None:
            return  # outside fit, the network is loaded from the checkpoint's state_dict: the average, if it has one
        cast(TrainingModule, pl_module).evaluates_average = self.started
        if self.started:
            self._swap(pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Swap the current weights back into the network."""
        if self._swapped:
            self._swap(pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Copy the average into the network."""
        if self.started:
            self._copy_average_to_current(cast(LightningModule, _network(pl_module)))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Swap the current weights back if the exception was raised during a validation."""
        if self._swapped:
            self._swap(pl_module)

    def _swap(self, pl_module: LightningModule) -> None:
        self._swap_models(cast(LightningModule, _network(pl_module)))
        self._swapped = not self._swapped

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Write the average to ``state_dict`` and the current weights to ``current_model_state``."""
        if not self.started:
            return
        states: dict[str, dict[str, Tensor]] = {
            "average": self.average.module.state_dict(),
            "current": _network(pl_module).state_dict(),
        }
        if self._swapped:
            states = {"average": states["current"], "current": states["average"]}
        named = {role: {_PREFIX + key: value for key, value in state.items()} for role, state in states.items()}
        checkpoint["current_model_state"] = checkpoint["state_dict"] | named["current"]
        checkpoint["state_dict"] = checkpoint["state_dict"] | named["average"]
        checkpoint["averaging_state"] = {"n_averaged": self.average.n_averaged}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Restore the average and the current weights."""
        if self._average_model is None:
            return
        network = {k.removeprefix(_PREFIX): v for k, v in checkpoint["state_dict"].items() if k.startswith(_PREFIX)}
        self.average.module.load_state_dict(network)
        if "averaging_state" in checkpoint:
            self.average.n_averaged.copy_(torch.as_tensor(checkpoint["averaging_state"]["n_averaged"]))
            # Lightning has already loaded the average into the module
            pl_module.load_state_dict(checkpoint["current_model_state"])


def _network(pl_module: LightningModule) -> torch.nn.Module:
    return cast(torch.nn.Module, pl_module.network)
