"""LaMa's and GLaMa's losses, on the raw prediction in [0, 1] (specs/glama.md, section 5). Weights are the module's."""

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
from inpaint_zoo.training import Terms

__all__ = ["GLaMaLoss", "LaMaLoss"]


class LaMaLoss(nn.Module):
    """The terms of both players, unweighted.

    Neither compositing nor the hole's weight enters: the discriminator and all terms see the whole raw prediction, and
    L1 counts known pixels only, averaged over all of them.

    Args:
        features: Of the perceptual term; None leaves that out.
        mask_mode: How the mask becomes the discriminator's label map, see `mask_to_logits`; "nearest" as released,
            which loses thin strokes and aliases on fine grids.
    """

    def __init__(self, features: ADE20KFeatures | None, mask_mode: MaskMode = "nearest") -> None:
        super().__init__()
        self.features = features
        self.mask_mode = mask_mode
        self.game = AdversarialLoss("non_saturating")
        self.matching = FeatureMatching("mse", "mean")
        self.perceptual = PerceptualLoss(ADE20K_TAPS, "mse")

    def generator(self, discriminator: LaMaDiscriminator, pred: Tensor, image: Tensor, mask: Tensor) -> Terms:
        """Terms ``l1, l1_hole, adversarial, feature_matching`` and, with features, ``perceptual``.

        The truth passes through the discriminator first, so that its batch norms see what the authors' see.

        Args:
            discriminator: Its parameters take no gradient here; the caller has frozen them.
            pred: (B, 3, H, W) in [0, 1], with its graph.
            image: (B, 3, H, W), the truth.
            mask: (B, 1, H, W), 1 = hole.
        """
        with torch.no_grad():
            _, real_maps = discriminator.look(image)
        logits, maps = discriminator.look(pred)
        terms = {
            "l1": masked_l1(pred, image, mask, known=1.0, hole=0.0),
            "l1_hole": masked_l1(pred, image, mask, known=0.0, hole=1.0),
            "adversarial": self.game.generator(logits),
            "feature_matching": self.matching(maps, real_maps),
        }
        if self.features is not None:
            with torch.no_grad():
                truth = self.features(image)
            terms["perceptual"] = self.perceptual(self.features(pred), truth)
        return terms

    def discriminator(self, discriminator: LaMaDiscriminator, pred: Tensor, image: Tensor, mask: Tensor) -> Terms:
        """Terms ``real, fake, r1``: patches of the prediction count as fake as far as the label map says.

        In float32 under autocast too: R1 differentiates twice.

        Args:
            discriminator: With gradients.
            pred: (B, 3, H, W) in [0, 1], detached.
            image: (B, 3, H, W), the truth.
            mask: (B, 1, H, W), 1 = hole.
        """
        with without_autocast(image.device):
            real = image.detach().float().requires_grad_()
            real_logits = discriminator(real)
            fake_logits = discriminator(pred.float())
            label = mask_to_logits(mask, fake_logits, self.mask_mode, discriminator)
            return {
                "real": self.game.real(real_logits),
                "fake": self.game.fake(fake_logits, label),
                "r1": r1_penalty(real_logits, real),
            }


class GLaMaLoss(LaMaLoss):
    """LaMa's terms and two more for the generator: ``total_variation`` and ``focal_frequency`` (Eq. 8 to 11).

    Args:
        features: See `LaMaLoss`.
        mask_mode: See `LaMaLoss`.
        total_variation: Which form; the paper's beta is 2, its reduction unpublished.
        focal_frequency: With its options.
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
        """As LaMa's, with the two terms more."""
        return {
            **super().generator(discriminator, pred, image, mask),
            "total_variation": self.total_variation(pred, mask),
            "focal_frequency": self.focal_frequency(pred, image),
        }
