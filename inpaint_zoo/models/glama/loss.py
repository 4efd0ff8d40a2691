"""Unweighted loss terms of LaMa and GLaMa, on the raw prediction in [0, 1].

The loss weights are arguments of the training module. Source: docs/papers/glama.md, "Losses".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inpaint_zoo.layers import ADE20K_TAPS, ADE20KFeatures
from inpaint_zoo.losses import (
    AdversarialLoss,
    FeatureMatching,
    FocalFrequencyLoss,
    MaskMode,
    PerceptualLoss,
    TotalVariation,
    mask_to_logits,
    masked_l1,
    r1_penalty,
)
from inpaint_zoo.models.glama.discriminator import LaMaDiscriminator
from inpaint_zoo.ops import without_autocast
from inpaint_zoo.ops.precision import full_precision
from inpaint_zoo.training import Terms

__all__ = ["GLaMaLoss", "LaMaLoss"]


class LaMaLoss(nn.Module):
    """Unweighted loss terms of LaMa's generator and discriminator.

    All terms use the whole raw prediction, never the composite.

    Args:
        features: Network whose features the perceptual term compares; None disables this term.
        mask_mode: How the mask is resized to the discriminator's label map, see `mask_to_logits`. "nearest", as in the
            released code, loses thin strokes and aliases on fine grids.
    """

    def __init__(self, features: ADE20KFeatures | None, mask_mode: MaskMode = "nearest") -> None:
        super().__init__()
        self.features = features
        self.mask_mode = mask_mode
        self.gan_loss = AdversarialLoss("non_saturating")
        self.matching = FeatureMatching("mse", "mean")
        self.perceptual = PerceptualLoss(ADE20K_TAPS, "mse")

    def generator(self, discriminator: LaMaDiscriminator, pred: Tensor, image: Tensor, mask: Tensor) -> Terms:
        """Return the generator's terms.

        These are ``l1, l1_hole, adversarial, feature_matching`` and, if ``features`` is given, ``perceptual``.
        ``l1`` sums over known pixels, ``l1_hole`` over hole pixels; both are divided by the number of all pixels.
        The ground truth passes through the discriminator before the prediction, as in the authors' code, so that the
        running statistics of batch norm are updated in the same order.

        Args:
            discriminator: Discriminator whose parameters the caller has frozen.
            pred: Raw prediction (B, 3, H, W) in [0, 1], with its graph.
            image: Ground truth (B, 3, H, W) in [0, 1].
            mask: (B, 1, H, W), 1 = hole.
        """
        with torch.no_grad():
            _, real_maps = discriminator.forward_features(image)
        logits, maps = discriminator.forward_features(pred)
        terms = {
            "l1": masked_l1(pred, image, mask, known=1.0, hole=0.0),
            "l1_hole": masked_l1(pred, image, mask, known=0.0, hole=1.0),
            "adversarial": self.gan_loss.generator(logits),
            "feature_matching": self.matching(maps, real_maps),
        }
        if self.features is not None:
            with torch.no_grad():
                target = self.features(image)
            terms["perceptual"] = self.perceptual(self.features(pred), target)
        return terms

    def discriminator(self, discriminator: LaMaDiscriminator, pred: Tensor, image: Tensor, mask: Tensor) -> Terms:
        """Return the discriminator's terms ``real, fake, r1``.

        For the prediction, the label map (the resized mask) tells which logits are fake: 1 = fake, 0 = real. The terms
        are computed in float32 at least, even under autocast, because R1 needs a second derivative.

        Args:
            discriminator: Discriminator with trainable parameters.
            pred: Raw prediction (B, 3, H, W) in [0, 1], detached.
            image: Ground truth (B, 3, H, W) in [0, 1].
            mask: (B, 1, H, W), 1 = hole.
        """
        with without_autocast(image.device):
            real = full_precision(image.detach()).requires_grad_()
            real_logits = discriminator(real)
            fake_logits = discriminator(full_precision(pred))
            label = mask_to_logits(mask, fake_logits, self.mask_mode, discriminator)
            return {
                "real": self.gan_loss.real(real_logits),
                "fake": self.gan_loss.fake(fake_logits, label),
                "r1": r1_penalty(real_logits, real),
            }


class GLaMaLoss(LaMaLoss):
    """LaMa's terms, plus ``total_variation`` and ``focal_frequency`` for the generator (GLaMa, Eq. 8 to 11).

    Args:
        features: See `LaMaLoss`.
        mask_mode: See `LaMaLoss`.
        total_variation: The total variation loss. The paper uses beta = 2 and does not state the reduction.
        focal_frequency: The focal frequency loss.
    """

    def __init__(
        self,
        features: ADE20KFeatures | None,
        mask_mode: MaskMode,
        total_variation: TotalVariation,
        focal_frequency: FocalFrequencyLoss,
    ) -> None:
        super().__init__(features, mask_mode)
        self.total_variation = total_variation
        self.focal_frequency = focal_frequency

    def generator(self, discriminator: LaMaDiscriminator, pred: Tensor, image: Tensor, mask: Tensor) -> Terms:
        """Return LaMa's generator terms plus ``total_variation`` and ``focal_frequency``."""
        return {
            **super().generator(discriminator, pred, image, mask),
            "total_variation": self.total_variation(pred, mask),
            "focal_frequency": self.focal_frequency(pred, image),
        }
