"""LightningModule of families that are trained with one optimizer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, cast

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable, ReduceLROnPlateau
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from inpaint_zoo.errors import ZooError
from inpaint_zoo.training.fused import use_fused_updates
from inpaint_zoo.training.module import TrainingModule, gradient_norm
from inpaint_zoo.training.phases import Batch, Stages, Terms

__all__ = ["InpaintingModule"]


def plateau_metric(scheduler: torch.optim.lr_scheduler.ReduceLROnPlateau) -> str:
    """Return the name of the validation metric that a `ReduceLROnPlateau` of Lightning's CLI monitors.

    Raises:
        ZooError: The schedule is an instance of torch's class, which has no metric name.
    """
    if not isinstance(scheduler, ReduceLROnPlateau):
        raise ZooError(
            "ReduceLROnPlateau needs the name of a validation metric. Use Lightning's class: scheduler: {class_path: "
            "lightning.pytorch.cli.ReduceLROnPlateau, init_args: {monitor: val/psnr, mode: max, patience: 5}}."
        )
    return scheduler.monitor


class InpaintingModule(TrainingModule):
    """LightningModule for training with one optimizer and automatic optimization. A family implements `loss`.

    Args:
        network: Registry name of the inpainting network.
        optimizer: Function that builds the optimizer from the network's trainable parameters.
        scheduler: Function that builds the learning-rate schedule from the optimizer; None keeps the rate constant.
        interval: Unit of the schedule: "step" or "epoch". `ReduceLROnPlateau` always counts epochs.
        weights: Loss weights by term; 1 for terms that are absent.
        base: Arguments of `TrainingModule`.
    """

    def __init__(
        self,
        network: str,
        optimizer: OptimizerCallable = torch.optim.Adam,
        scheduler: LRSchedulerCallable | None = None,
        interval: Literal["step", "epoch"] = "step",
        weights: dict[str, float] | None = None,
        **base: Any,
    ) -> None:
        super().__init__(network, **base)
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.interval = interval
        self.weights = dict(weights or {})

    def loss(self, batch: Batch, stages: Stages) -> Terms:
        """Return the unweighted loss terms by name, each a scalar.

        Args:
            batch: The batch, with ``image`` in ``loss_range``.
            stages: Raw predictions by stage name, in ``loss_range``.
        """
        raise NotImplementedError

    @property
    def optimizer_names(self) -> list[str]:
        """Name of the only optimizer in the logs."""
        return ["train"]

    @property
    def batches_per_step(self) -> int:
        """Number of batches per step: the Trainer's ``accumulate_grad_batches``."""
        return int(self.trainer.accumulate_grad_batches)

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        """Return the weighted loss under the name ``train``."""
        terms = self.loss(self.in_loss_range(batch), self.predict_stages(batch))
        return {"train": self.weighted_sum("train", terms, self.weights, batch)}

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the weighted loss of one batch. Lightning runs the backward pass and the update."""
        batch = self.augmented(batch)
        self.seed_batch("train", self.batches)
        self.batches += 1
        loss = self.loss_terms(batch)["train"]
        self.show_losses()
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Record the gradient norm before clipping."""
        if self.logs_next_step:
            self.values["train/grad_norm"] = gradient_norm(self.network.parameters())
        self.undo.impossible = True  # reset when the step is complete

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return one optimizer over the trainable parameters of the network, and its schedule.

        Raises:
            ZooError: The schedule is torch's `ReduceLROnPlateau`, which has no metric name.
        """
        parameters: Iterable[nn.Parameter] = (p for p in self.network.parameters() if p.requires_grad)
        optimizer = self.optimizer(parameters)
        use_fused_updates(optimizer)
        if self.scheduler is None:
            return optimizer
        scheduler = self.scheduler(optimizer)
        config: dict[str, Any] = {"scheduler": scheduler, "interval": self.interval}
        if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            config |= {"interval": "epoch", "monitor": plateau_metric(scheduler), "reduce_on_plateau": True}
        return {"optimizer": optimizer, "lr_scheduler": cast(Any, config)}
