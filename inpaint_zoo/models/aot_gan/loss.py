"""AOT-GAN's losses, in [-1, 1] (specs/grig.md, section 18)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.losses import MaskedL1, PerceptualLoss, SoftPatchLoss, StyleLoss
from inpaint_zoo.losses.soft_patch import SoftTarget
from inpaint_zoo.ops import to_range
from inpaint_zoo.training import Batch, Terms, completed

__all__ = ["PERCEPTUAL_TAPS", "STYLE_TAPS", "AOTGANLoss"]

PERCEPTUAL_TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
STYLE_TAPS = ("relu2_2", "relu3_4", "relu4_4", "relu5_2")


class AOTGANLoss(nn.Module):
    """The terms of both players, unweighted: reconstruction on the raw prediction, SM-PatchGAN on the composite.

    Args:
        features: VGG-19 at all nine taps, with ImageNet's mean and deviation; None leaves both its terms out.
        target: What the generator wants to hear; see `SoftPatchLoss`.
    """

    def __init__(self, features: VGGFeatures | None, target: SoftTarget = "real") -> None:
        super().__init__()
        self.features = features
        self.l1 = MaskedL1()
        self.perceptual = PerceptualLoss(PERCEPTUAL_TAPS)
        self.style = StyleLoss(STYLE_TAPS)
        self.game = SoftPatchLoss(target)

    def reconstruction(self, pred: Tensor, batch: Batch) -> Terms:
        """Terms ``l1`` and, with features, ``perceptual`` and ``style``.

        Args:
            pred: (B, 3, H, W) in [0, 1], raw.
            batch: With image in [0, 1] and mask.
        """
        image = batch["image"]
        terms = {"l1": self.l1(to_range(pred, -1, 1), to_range(image, -1, 1), batch["mask"])}
        if self.features is not None:
            with torch.no_grad():
                truth = self.features(image)
            seen = self.features(pred)
            terms |= {"perceptual": self.perceptual(seen, truth), "style": self.style(seen, truth)}
        return terms

    def generator(self, discriminator: nn.Module, pred: Tensor, batch: Batch) -> Tensor:
        """The adversarial term.

        Args:
            discriminator: Its parameters take no gradient here; the caller has frozen them.
            pred: (B, 3, H, W) in [0, 1], raw, with its graph.
            batch: With image in [0, 1] and mask.
        """
        return self.game.generator(discriminator(completed(pred, batch)), batch["mask"])

    def discriminator(self, discriminator: nn.Module, pred: Tensor, batch: Batch) -> Terms:
        """Terms ``fake`` and ``real``, means over the pixels; the composite passes first, as released.

        Args:
            discriminator: Each pass in training turns the spectral norm's vectors.
            pred: (B, 3, H, W) in [0, 1], detached.
            batch: With image in [0, 1] and mask.
        """
        fake = self.game.fake(discriminator(completed(pred, batch)), batch["mask"])
        return {"fake": fake, "real": self.game.real(discriminator(to_range(batch["image"], -1, 1)), batch["mask"])}
