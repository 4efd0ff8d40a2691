"""Training of DeepFillv2 (docs/papers/glcic_ca.md, "DeepFillv2")."""

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
    """Training module of DeepFillv2, as in the released code.

    A training step takes two batches: the first updates the discriminator, the second updates the generator.

    Args:
        network: Registry name of the generator.
        generator_optimizer: Optimizer of the generator; the default learning rate is constant.
        discriminator_optimizer: Optimizer of the discriminator.
        generator_scheduler: Learning-rate schedule of the generator, stepped per training step.
        discriminator_scheduler: Learning-rate schedule of the discriminator, stepped per training step.
        discriminator_width: Channels of the discriminator's first feature map.
        l1: Weight of the L1 loss of each stage.
        adversarial: Weight of the generator's GAN loss.
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
        """Return the update phases: discriminator on the first of two batches, generator on the second."""
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
        """Return the L1 terms of both stages, and the GAN loss of the last stage."""
        adversarial = self.losses.generator(self.discriminator, stages["fine"], batch)
        return self.losses.reconstruction(stages, batch) | {"adversarial": adversarial}

    def discriminator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """Return the discriminator's loss terms on the last stage."""
        return self.losses.discriminator(self.discriminator, stages["fine"], batch)
