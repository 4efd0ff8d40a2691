"""AOT-GAN's loss terms (docs/papers/grig.md, "AOT-GAN")."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.losses import PERCEPTUAL_TAPS, STYLE_TAPS, MaskedL1, PerceptualLoss, SoftPatchLoss, StyleLoss
from inpaint_zoo.losses.soft_patch import SoftTarget
from inpaint_zoo.training import Batch, Terms, completed

__all__ = ["AOTGANLoss"]


class AOTGANLoss(nn.Module):
    """Unweighted loss terms: reconstruction terms on the raw prediction, SM-PatchGAN terms on the composite.

    Images and predictions are in [-1, 1].

    Args:
        features: VGG-19 that returns features at all nine taps, takes images in [-1, 1] and normalizes them by
            ImageNet's mean and standard deviation; None disables the perceptual and the style loss.
        target: Target labels of the generator's GAN loss, see `SoftPatchLoss`.
    """

    def __init__(self, features: VGGFeatures | None, target: SoftTarget = "real") -> None:
        super().__init__()
        self.features = features
        self.l1 = MaskedL1()
        self.perceptual = PerceptualLoss(PERCEPTUAL_TAPS)
        self.style = StyleLoss(STYLE_TAPS)
        self.gan_loss = SoftPatchLoss(target)

    def reconstruction(self, pred: Tensor, batch: Batch) -> Terms:
        """Return the terms ``l1`` and, if ``features`` is given, ``perceptual`` and ``style``.

        Args:
            pred: Raw prediction (B, 3, H, W).
            batch: Batch with the ground truth ``image`` and ``mask``, 1 = hole.
        """
        image = batch["image"]
        terms = {"l1": self.l1(pred, image, batch["mask"])}
        if self.features is not None:
            with torch.no_grad():
                target = self.features(image)
            seen = self.features(pred)
            terms |= {"perceptual": self.perceptual(seen, target), "style": self.style(seen, target)}
        return terms

    def generator(self, discriminator: nn.Module, pred: Tensor, batch: Batch) -> Tensor:
        """Return the generator's GAN loss on the composite.

        Args:
            discriminator: Discriminator whose parameters the caller has frozen.
            pred: Raw prediction (B, 3, H, W), with its graph.
            batch: Batch with the ground truth ``image`` and ``mask``, 1 = hole.
        """
        return self.gan_loss.generator(discriminator(completed(pred, batch)), batch["mask"])

    def discriminator(self, discriminator: nn.Module, pred: Tensor, batch: Batch) -> Terms:
        """Return the discriminator's terms ``fake`` and ``real``, each a mean over the upsampled logits.

        The composite passes through the discriminator before the ground truth, as in the released code. The order
        matters, because each pass in training mode updates the vectors of the spectral norm.

        Args:
            discriminator: Discriminator with trainable parameters.
            pred: Raw prediction (B, 3, H, W), detached.
            batch: Batch with the ground truth ``image`` and ``mask``, 1 = hole.
        """
        fake = self.gan_loss.fake(discriminator(completed(pred, batch)), batch["mask"])
        return {"fake": fake, "real": self.gan_loss.real(discriminator(batch["image"]), batch["mask"])}
