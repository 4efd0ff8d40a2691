"""Training of AOT-GAN (docs/papers/grig.md, "AOT-GAN")."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable

from inpaint_zoo.layers import VGGFeatures, init_normal
from inpaint_zoo.losses.soft_patch import SoftTarget
from inpaint_zoo.models.aot_gan.loss import PERCEPTUAL_TAPS, STYLE_TAPS, AOTGANLoss
from inpaint_zoo.registry import create_discriminator
from inpaint_zoo.training import AdversarialModule, Batch, Phase, Recipe, Stages, Terms

__all__ = ["AOTGAN"]

_ADAM: OptimizerCallable = partial(torch.optim.Adam, lr=1e-4, betas=(0.5, 0.999))


class AOTGAN(AdversarialModule):
    """Training module of AOT-GAN, as in the released code.

    Each step runs one forward pass of the generator. The gradients of both networks are computed with the weights from
    before the step; then both networks are updated. The discriminator runs three times per step: on the composite for
    the generator's loss, and on the composite and on the ground truth for its own loss. In the released code the
    generator's GAN loss also contributes to the discriminator's gradient; here it does not.

    Args:
        network: Registry name of the generator.
        generator_optimizer: Optimizer of the generator; the default learning rate is constant.
        discriminator_optimizer: Optimizer of the discriminator.
        generator_scheduler: Learning-rate schedule of the generator, stepped per training step.
        discriminator_scheduler: Learning-rate schedule of the discriminator, stepped per training step.
        discriminator_width: Channels of the discriminator's first feature map.
        l1: Weight of the L1 loss, computed on images in [-1, 1].
        style: Weight of the style loss on Gram matrices of VGG-19 features.
        perceptual: Weight of the perceptual loss on VGG-19 features.
        adversarial: Weight of the generator's GAN loss.
        target: Target labels of the generator's GAN loss: "real" is what the authors evidently intended, "released" is
            what their code computes; see `SoftPatchLoss`.
        init_std: Standard deviation of the initial weights.
        vgg_weights: Weight file of VGG-19; None searches the weight folders; "random" is for tests.
        base: Arguments of `TrainingModule`.

    Raises:
        UnknownNameError: If ``target`` is unknown.
    """

    def __init__(
        self,
        network: str = "aot_gan",
        generator_optimizer: OptimizerCallable = _ADAM,
        discriminator_optimizer: OptimizerCallable = _ADAM,
        generator_scheduler: LRSchedulerCallable | None = None,
        discriminator_scheduler: LRSchedulerCallable | None = None,
        discriminator_width: int = 64,
        l1: float = 1.0,
        style: float = 250.0,
        perceptual: float = 0.1,
        adversarial: float = 0.01,
        target: SoftTarget = "real",
        init_std: float = 0.02,
        vgg_weights: str | None = None,
        **base: Any,
    ) -> None:
        super().__init__(network, **base)
        self.discriminator = create_discriminator("aot_gan", width=discriminator_width)
        init_normal(self.discriminator, init_std)
        if base.get("init_weights") is None:
            init_normal(self.network, init_std)
        self.optimizers_of = {"generator": generator_optimizer, "discriminator": discriminator_optimizer}
        self.schedulers = {"generator": generator_scheduler, "discriminator": discriminator_scheduler}
        self.weights = {"l1": l1, "style": style, "perceptual": perceptual, "adversarial": adversarial}
        self.vgg_weights = vgg_weights
        self.losses = AOTGANLoss(None, target)

    def build_losses(self) -> None:
        """Load VGG-19 unless the perceptual and the style weight are 0."""
        if self.weights["perceptual"] or self.weights["style"]:
            taps = PERCEPTUAL_TAPS + STYLE_TAPS
            self.losses.features = self.unless_missing(
                lambda: VGGFeatures("vgg19", taps, input_norm="imagenet", weights=self.vgg_weights),
                "perceptual",
                "style",
            )

    def recipe(self) -> Recipe:
        """Return the update phases: one shared forward pass; both networks are updated after both backward passes."""
        return Recipe(
            (
                Phase(
                    "generator",
                    ("network",),
                    self.generator_loss,
                    self.optimizers_of["generator"],
                    weights=self.weights,
                    scheduler=self.schedulers["generator"],
                ),
                Phase(
                    "discriminator",
                    ("discriminator",),
                    self.discriminator_loss,
                    self.optimizers_of["discriminator"],
                    scheduler=self.schedulers["discriminator"],
                ),
            ),
            forward="shared",
            step_jointly=True,
        )

    def generator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """Return the loss terms of the raw prediction, and the GAN loss of its composite."""
        pred = stages["prediction"]
        adversarial = self.losses.generator(self.discriminator, pred, batch)
        return self.losses.reconstruction(pred, batch) | {"adversarial": adversarial}

    def discriminator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """Return the discriminator's loss terms."""
        return self.losses.discriminator(self.discriminator, stages["prediction"], batch)
