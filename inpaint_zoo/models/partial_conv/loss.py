"""The losses of partial convolutions, on pictures of ImageNet's deviation (specs/glcic_ca.md, section 13)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.layers.features import IMAGENET_STD
from inpaint_zoo.losses import MaskedL1, PerceptualLoss, StyleLoss, TotalVariation
from inpaint_zoo.losses.total_variation import TVRegion
from inpaint_zoo.ops import composite
from inpaint_zoo.training import Batch, Terms

__all__ = ["TAPS", "PartialConvLoss"]

TAPS = ("pool1", "pool2", "pool3")


class PartialConvLoss(nn.Module):
    """Terms ``valid``, ``hole``, ``tv`` and, with features, ``perceptual`` and ``style``; all are means, unweighted.

    The last two add what the raw prediction costs and what the composite costs.

    Args:
        features: VGG-16 with ImageNet's mean and deviation; None leaves both terms out.
        tv_region: Where the composite's variation counts: everywhere as in the port, or in the "dilated_hole" of the
            article.
    """

    deviation: Tensor

    def __init__(self, features: VGGFeatures | None, tv_region: TVRegion = "image") -> None:
        super().__init__()
        self.features = features
        self.valid = MaskedL1(1.0, 0.0, "pixels")
        self.hole = MaskedL1(0.0, 1.0, "pixels")
        self.variation = TotalVariation(tv_region)
        self.perceptual = PerceptualLoss(TAPS)
        self.style = StyleLoss(TAPS)
        self.register_buffer("deviation", torch.tensor(IMAGENET_STD).view(-1, 1, 1), persistent=False)

    def forward(self, pred: Tensor, batch: Batch) -> Terms:
        """The terms.

        Args:
            pred: (B, 3, H, W) in [0, 1], raw.
            batch: With image in [0, 1] and mask.
        """
        image, mask = batch["image"], batch["mask"]
        merged = composite(pred, image, mask)
        # differences alone count: the mean that the network takes off need not be
        scaled, truth = pred / self.deviation, image / self.deviation
        terms = {
            "valid": self.valid(scaled, truth, mask),
            "hole": self.hole(scaled, truth, mask),
            "tv": self.variation(merged / self.deviation, mask),
        }
        if self.features is not None:
            with torch.no_grad():
                seen_truth = self.features(image)
            sides = self.features.each(pred, merged)
            for name, term in (("perceptual", self.perceptual), ("style", self.style)):
                terms[name] = torch.stack([term(side, seen_truth) for side in sides]).sum()
        return terms
