"""ISNet's loss terms, on the raw prediction in [0, 1], and their published weights (docs/papers/isnet.md, "Losses")."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.losses import (
    PERCEPTUAL_TAPS,
    STYLE_TAPS,
    AdversarialLoss,
    FeatureMatching,
    GANName,
    MaskedL1,
    PerceptualLoss,
    StyleLoss,
)
from inpaint_zoo.models.isnet.discriminator import ISNetDiscriminator
from inpaint_zoo.training import Batch, Terms

__all__ = ["PRESETS", "GANType", "ISNetLoss", "LossWeights", "Preset"]

GANType = Literal["hinge", "nsgan", "lsgan"]
Preset = Literal["eq5", "eq4", "journal_config"]
GAN_LOSSES: dict[GANType, GANName] = {"hinge": "hinge", "nsgan": "non_saturating", "lsgan": "lsgan_sigmoid"}


class LossWeights(NamedTuple):
    """Loss weights of the generator's terms.

    Attributes:
        l1: Weight of the L1 loss, which is divided by the hole fraction of the batch of all processes.
        adversarial: Weight of the GAN loss.
        style: Weight of the style loss (Gram matrices of VGG features).
        perceptual: Weight of the perceptual loss (VGG features).
        feature_matching: Weight of the feature matching loss (discriminator features).
    """

    l1: float
    adversarial: float
    style: float
    perceptual: float
    feature_matching: float


PRESETS: dict[Preset, tuple[LossWeights, GANType]] = {
    "eq5": (LossWeights(1.0, 3.0, 3.0, 1.0, 0.0), "hinge"),
    "eq4": (LossWeights(1.0, 0.1, 250.0, 0.1, 10.0), "hinge"),
    "journal_config": (LossWeights(1.0, 1.0, 0.0, 0.0, 0.0), "nsgan"),
}


class ISNetLoss(nn.Module):
    """Unweighted loss terms of ISNet's generator and discriminator, on the whole raw prediction, never the composite.

    The hinge loss is the standard one. The released code adds 1 to the term of real images: the gradient is the same,
    but its logged discriminator loss is 0.5 larger.

    Args:
        features: VGG-19 that returns features at all nine taps and takes images in [0, 1] without ImageNet
            normalization; None disables the perceptual and the style loss.
        gan_type: GAN loss, computed on logits.
    """

    def __init__(self, features: VGGFeatures | None, gan_type: GANType = "hinge") -> None:
        super().__init__()
        self.features = features
        self.l1 = MaskedL1(divisor="hole_fraction")
        self.perceptual = PerceptualLoss(PERCEPTUAL_TAPS)
        self.style = StyleLoss(STYLE_TAPS)
        self.gan_loss = AdversarialLoss(GAN_LOSSES[gan_type])
        self.matching = FeatureMatching("l1", "sum")

    def reconstruction(self, pred: Tensor, batch: Batch) -> Terms:
        """Return the terms ``l1`` and, if ``features`` is given, ``perceptual`` and ``style``.

        Args:
            pred: Raw prediction (B, 3, H, W) in [0, 1].
            batch: Batch with the ground truth ``image`` in [0, 1] and ``mask``, 1 = hole.
        """
        terms = {"l1": self.l1(pred, batch["image"], batch["mask"])}
        if self.features is not None:
            with torch.no_grad():
                target = self.features(batch["image"])
            seen = self.features(pred)
            terms |= {"perceptual": self.perceptual(seen, target), "style": self.style(seen, target)}
        return terms

    def discriminator(self, discriminator: ISNetDiscriminator, pred: Tensor, real: Tensor) -> Terms:
        """Return the terms ``real`` and ``fake``, each a mean over the logits.

        The ground truth passes through the discriminator before the prediction does. The order matters, because each
        pass in training mode updates the vectors of the spectral norm.

        Args:
            discriminator: Discriminator with trainable parameters.
            pred: Raw prediction (B, 3, H, W) in [0, 1], detached.
            real: The discriminator's logits of the ground truth, with their graph.
        """
        return {"real": self.gan_loss.real(real), "fake": self.gan_loss.fake(discriminator(pred))}

    def generator(self, discriminator: ISNetDiscriminator, pred: Tensor, real_maps: list[Tensor]) -> Terms:
        """Return the terms ``adversarial`` and ``feature_matching``.

        Feature matching compares all five maps of the discriminator, including the logits.

        Args:
            discriminator: Discriminator whose parameters the caller has frozen.
            pred: Raw prediction (B, 3, H, W) in [0, 1], with its graph.
            real_maps: The discriminator's feature maps of the ground truth; they are detached.
        """
        logits, maps = discriminator.forward_features(pred)
        return {"adversarial": self.gan_loss.generator(logits), "feature_matching": self.matching(maps, real_maps)}
