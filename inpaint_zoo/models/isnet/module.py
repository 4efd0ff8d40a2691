"""Training of ISNet and its ablations (docs/papers/isnet.md, "Losses" and "Training")."""

from __future__ import annotations

from functools import partial
from typing import Any, get_args

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from inpaint_zoo.errors import unknown_name
from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.losses import PERCEPTUAL_TAPS, STYLE_TAPS
from inpaint_zoo.models.isnet.discriminator import ISNetDiscriminator
from inpaint_zoo.models.isnet.loss import PRESETS, GANType, ISNetLoss, Preset
from inpaint_zoo.training import HALVED, AdversarialModule, Batch, Stages, Terms

__all__ = ["ISNet"]


def _adam(lr: float) -> OptimizerCallable:
    return partial(torch.optim.Adam, lr=lr, betas=(0.0, 0.9))


class ISNet(AdversarialModule):
    """Training module of ISNet, as in the released code.

    Each step runs one forward pass of the generator. The gradients of both networks are computed with the weights from
    before the step; then both networks are updated. The discriminator runs three times per step: on the ground truth
    and on the prediction for its own loss, and on the prediction for the generator's loss. Feature matching reuses
    the ground truth's feature maps from the first of these passes.

    Args:
        network: Registry name of an ISNet generator.
        generator_optimizer: Optimizer of the generator.
        discriminator_optimizer: Optimizer of the discriminator; the default has a tenth of the generator's learning
            rate.
        discriminator_width: Channels of the discriminator's first feature map.
        preset: Default loss weights and GAN loss: "eq5" are the paper's final ones (Eq. 5), "eq4" its earlier ones
            (Eq. 4), "journal_config" those of the released configuration, which uses only L1 and "nsgan".
        l1: Weight of the L1 loss, which is divided by the hole fraction of the batch of all processes. None, here and
            for the following weights, takes the preset's value.
        adversarial: Weight of the generator's GAN loss.
        style: Weight of the style loss on Gram matrices of VGG-19 features.
        perceptual: Weight of the perceptual loss on VGG-19 features.
        feature_matching: Weight of the feature matching loss on the discriminator's feature maps.
        gan_type: GAN loss; None takes the preset's.
        init_std: Standard deviation of the initial weights. Spectral norm removes the scale of the weights from the
            layer's output, but Adam's first steps change each weight by about the learning rate. At a learning rate of
            1e-3 these steps are as large as weights initialized with 0.001 and soon overwrite the initialization.
        vgg_weights: Weight file of VGG-19; None searches the weight folders; "random" is for tests.
        base: Arguments of `AdversarialModule`.

    Raises:
        UnknownNameError: If the preset or the GAN loss is unknown.
    """

    discriminator: ISNetDiscriminator
    discriminator_weights = HALVED
    step_jointly = True

    def __init__(
        self,
        network: str = "isnet",
        generator_optimizer: OptimizerCallable = _adam(1e-4),  # noqa: B008 a function, never changed
        discriminator_optimizer: OptimizerCallable = _adam(1e-5),  # noqa: B008
        discriminator_width: int = 64,
        preset: Preset = "eq5",
        l1: float | None = None,
        adversarial: float | None = None,
        style: float | None = None,
        perceptual: float | None = None,
        feature_matching: float | None = None,
        gan_type: GANType | None = None,
        init_std: float = 0.001,
        vgg_weights: str | None = None,
        **base: Any,
    ) -> None:
        if preset not in PRESETS:
            raise unknown_name("preset", preset, PRESETS)
        weights, gan_loss = PRESETS[preset]
        if gan_type is not None and gan_type not in get_args(GANType):
            raise unknown_name("`gan_type`:", gan_type, get_args(GANType))
        super().__init__(network, generator_optimizer, discriminator_optimizer, **base)
        self.add_discriminator("isnet", init_std, width=discriminator_width)
        chosen = {
            "l1": l1,
            "adversarial": adversarial,
            "style": style,
            "perceptual": perceptual,
            "feature_matching": feature_matching,
        }
        self.weights = weights._asdict() | {name: value for name, value in chosen.items() if value is not None}
        self.gan_type: GANType = gan_loss if gan_type is None else gan_type
        self.vgg_weights = vgg_weights

    def build_losses(self) -> None:
        """Create the losses; load VGG-19 unless the perceptual and the style weight are 0."""
        taps, file = PERCEPTUAL_TAPS + STYLE_TAPS, self.vgg_weights
        features = self.unless_missing(
            lambda: VGGFeatures("vgg19", taps, input_norm="zero_one", weights=file), "perceptual", "style"
        )
        self.losses = ISNetLoss(features, self.gan_type)

    def prepare(self, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """Return the discriminator's logits and feature maps of the ground truth, which both losses use."""
        return self.discriminator.forward_features(batch["image"])

    def discriminator_loss(self, batch: Batch, stages: Stages, real: Tensor, real_maps: list[Tensor]) -> Terms:
        """Return the discriminator's loss terms."""
        return self.losses.discriminator(self.discriminator, stages["prediction"], real)

    def generator_loss(self, batch: Batch, stages: Stages, real: Tensor, real_maps: list[Tensor]) -> Terms:
        """Return the generator's loss terms on the raw prediction."""
        pred = stages["prediction"]
        return self.losses.reconstruction(pred, batch) | self.losses.generator(self.discriminator, pred, real_maps)
