"""Training of DeepFillv2 (docs/papers/glcic_ca.md, "DeepFillv2")."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable

from inpaint_zoo.models.gated_conv.loss import GatedConvLoss
from inpaint_zoo.training import HALVED, AdversarialModule, Batch, Phase, Stages, Terms

__all__ = ["GatedConv"]

_ADAM: OptimizerCallable = partial(torch.optim.Adam, lr=1e-4, betas=(0.5, 0.999))


class GatedConv(AdversarialModule):
    """Training module of DeepFillv2, as in the released code.

    A training step takes two batches: the first updates the discriminator, the second updates the generator.

    Args:
        network: Registry name of the generator.
        generator_optimizer: Optimizer of the generator; the default learning rate is constant.
        discriminator_optimizer: Optimizer of the discriminator.
        discriminator_width: Channels of the discriminator's first feature map.
        l1: Weight of the L1 loss of each stage.
        adversarial: Weight of the generator's GAN loss.
        base: Arguments of `AdversarialModule`.
    """

    loss_range = (-1.0, 1.0)
    discriminator_weights = HALVED
    forward_passes = "fresh"
    step_batches = 2

    def __init__(
        self,
        network: str = "gated_conv",
        generator_optimizer: OptimizerCallable = _ADAM,
        discriminator_optimizer: OptimizerCallable = _ADAM,
        discriminator_width: int = 64,
        l1: float = 1.0,
        adversarial: float = 1.0,
        **base: Any,
    ) -> None:
        super().__init__(network, generator_optimizer, discriminator_optimizer, **base)
        self.add_discriminator("gated_conv", width=discriminator_width)
        self.weights = {"coarse_l1": l1, "fine_l1": l1, "adversarial": adversarial}
        self.losses = GatedConvLoss()

    def discriminator_phase(self, **changes: Any) -> Phase:
        """Return the discriminator's phase, which runs on the first of the two batches of a step."""
        return super().discriminator_phase(on="but_last", **changes)

    def generator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """Return the L1 terms of both stages, and the GAN loss of the last stage."""
        adversarial = self.losses.generator(self.discriminator, stages["fine"], batch)
        return self.losses.reconstruction(stages, batch) | {"adversarial": adversarial}

    def discriminator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """Return the discriminator's loss terms on the last stage."""
        return self.losses.discriminator(self.discriminator, stages["fine"], batch)
