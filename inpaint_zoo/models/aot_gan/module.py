"""Training of AOT-GAN (specs/grig.md, section 18)."""

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
    """AOT-GAN as released: one forward pass, both gradients by the weights before the step, then both updates.

    The discriminator passes over the composite for the generator, over it again for itself, and over the truth. In the
    released code it also keeps the gradient of the generator's adversarial term; here it is frozen there.

    Args:
        network: Registry name.
        generator_optimizer: Built over the generator's parameters; the rate is constant.
        discriminator_optimizer: Built over the discriminator's.
        generator_scheduler: Learning-rate schedule of the generator, by steps.
        discriminator_scheduler: ... of the discriminator.
        discriminator_width: Channels of its first map.
        l1: Weight of L1 in [-1, 1].
        style: Weight of the Gram matrices of VGG-19.
        perceptual: Weight of VGG-19's features.
        adversarial: Weight of the adversarial term.
        target: Of the generator's adversarial term: "real" is the evident intent, "released" what the code computes;
            see `SoftPatchLoss`.
        init_std: Standard deviation of the drawn weights.
        vgg_weights: File of VGG-19; None searches; "random" is for tests.
        base: Arguments of `TrainingModule`.

    Raises:
        UnknownNameError: No such target.
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
        """Look VGG-19 up, unless neither of its terms carries weight."""
        if self.weights["perceptual"] or self.weights["style"]:
            taps = PERCEPTUAL_TAPS + STYLE_TAPS
            self.losses.features = self.unless_missing(
                lambda: VGGFeatures("vgg19", taps, fed_as="imagenet", weights=self.vgg_weights), "perceptual", "style"
            )

    def recipe(self) -> Recipe:
        """Generator and discriminator on one forward pass, both updated when both gradients are there."""
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
            together=True,
        )

    def generator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """The terms of the raw prediction, and the adversarial one of its composite."""
        pred = stages["prediction"]
        adversarial = self.losses.generator(self.discriminator, pred, batch)
        return self.losses.reconstruction(pred, batch) | {"adversarial": adversarial}

    def discriminator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """The discriminator's terms."""
        return self.losses.discriminator(self.discriminator, stages["prediction"], batch)
