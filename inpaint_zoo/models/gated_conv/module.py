"""Training of DeepFillv2 (specs/glcic_ca.md, section 12)."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable

from inpaint_zoo.models.gated_conv.loss import GatedConvLoss
from inpaint_zoo.registry import create_discriminator
from inpaint_zoo.training import AdversarialModule, Batch, Phase, Recipe, Stages, Terms

__all__ = ["GatedConv"]

_ADAM: OptimizerCallable = partial(torch.optim.Adam, lr=1e-4, betas=(0.5, 0.999))


class GatedConv(AdversarialModule):
    """DeepFillv2 as released: one update of the discriminator, then one of the generator on another batch.

    A step therefore takes two batches.

    Args:
        network: Registry name.
        generator_optimizer: Built over the generator's parameters; the rate is constant.
        discriminator_optimizer: Built over the discriminator's.
        generator_scheduler: Learning-rate schedule of the generator, by steps.
        discriminator_scheduler: ... of the discriminator.
        discriminator_width: Channels of its first map.
        l1: Weight of the reconstruction, each stage.
        adversarial: Weight of the adversarial term.
        base: Arguments of `TrainingModule`.
    """

    def __init__(
        self,
        network: str = "gated_conv",
        generator_optimizer: OptimizerCallable = _ADAM,
        discriminator_optimizer: OptimizerCallable = _ADAM,
        generator_scheduler: LRSchedulerCallable | None = None,
        discriminator_scheduler: LRSchedulerCallable | None = None,
        discriminator_width: int = 64,
        l1: float = 1.0,
        adversarial: float = 1.0,
        **base: Any,
    ) -> None:
        super().__init__(network, **base)
        self.discriminator = create_discriminator("gated_conv", width=discriminator_width)
        self.optimizers_of = {"generator": generator_optimizer, "discriminator": discriminator_optimizer}
        self.schedulers = {"generator": generator_scheduler, "discriminator": discriminator_scheduler}
        self.weights = {"coarse_l1": l1, "fine_l1": l1, "adversarial": adversarial}
        self.losses = GatedConvLoss()

    def recipe(self) -> Recipe:
        """Discriminator on the first batch of two, generator on the second."""
        return Recipe(
            (
                Phase(
                    "discriminator",
                    ("discriminator",),
                    self.discriminator_loss,
                    self.optimizers_of["discriminator"],
                    weights={"real": 0.5, "fake": 0.5},
                    scheduler=self.schedulers["discriminator"],
                    on="but_last",
                ),
                Phase(
                    "generator",
                    ("network",),
                    self.generator_loss,
                    self.optimizers_of["generator"],
                    weights=self.weights,
                    scheduler=self.schedulers["generator"],
                ),
            ),
            critics_per_step=2,
        )

    def generator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """The terms of both stages, and the adversarial one of the last."""
        adversarial = self.losses.generator(self.discriminator, stages["fine"], batch)
        return self.losses.reconstruction(stages, batch) | {"adversarial": adversarial}

    def discriminator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """The discriminator's terms on the last stage."""
        return self.losses.discriminator(self.discriminator, stages["fine"], batch)
