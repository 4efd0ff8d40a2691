"""Training of AOT-GAN (docs/papers/grig.md, "AOT-GAN")."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable

from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.losses import PERCEPTUAL_TAPS, STYLE_TAPS
from inpaint_zoo.losses.soft_patch import SoftTarget
from inpaint_zoo.models.aot_gan.loss import AOTGANLoss
from inpaint_zoo.training import AdversarialModule, Batch, Stages, Terms

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
        discriminator_width: Channels of the discriminator's first feature map.
        l1: Weight of the L1 loss, computed on images in [-1, 1].
        style: Weight of the style loss on Gram matrices of VGG-19 features.
        perceptual: Weight of the perceptual loss on VGG-19 features.
        adversarial: Weight of the generator's GAN loss.
        target: Target labels of the generator's GAN loss: "real" is what the authors evidently intended, "released" is
            what their code computes; see `SoftPatchLoss`.
        init_std: Standard deviation of the initial weights.
        vgg_weights: Weight file of VGG-19; None searches the weight folders; "random" is for tests.
        base: Arguments of `AdversarialModule`.

    Raises:
        UnknownNameError: If ``target`` is unknown.
    """

    loss_range = (-1.0, 1.0)
    generator_first = True
    step_jointly = True

    def __init__(
        self,
        network: str = "aot_gan",
        generator_optimizer: OptimizerCallable = _ADAM,
        discriminator_optimizer: OptimizerCallable = _ADAM,
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
        super().__init__(network, generator_optimizer, discriminator_optimizer, **base)
        self.add_discriminator("aot_gan", init_std, width=discriminator_width)
        self.weights = {"l1": l1, "style": style, "perceptual": perceptual, "adversarial": adversarial}
        self.vgg_weights = vgg_weights
        self.losses = AOTGANLoss(None, target)

    def build_losses(self) -> None:
        """Load VGG-19 unless the perceptual and the style weight are 0."""
        taps, file = PERCEPTUAL_TAPS + STYLE_TAPS, self.vgg_weights
        self.losses.features = self.unless_missing(
            lambda: VGGFeatures("vgg19", taps, input_norm="imagenet", value_range=self.loss_range, weights=file),
            "perceptual",
            "style",
        )

    def generator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """Return the loss terms of the raw prediction, and the GAN loss of its composite."""
        pred = stages["prediction"]
        adversarial = self.losses.generator(self.discriminator, pred, batch)
        return self.losses.reconstruction(pred, batch) | {"adversarial": adversarial}

    def discriminator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """Return the discriminator's loss terms."""
        return self.losses.discriminator(self.discriminator, stages["prediction"], batch)
