"""The losses of partial convolutions, on images divided by ImageNet's standard deviation (docs/papers/glcic_ca.md)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.layers.features import IMAGENET_STD
from inpaint_zoo.losses import POOL_TAPS, MaskedL1, PerceptualLoss, StyleLoss, TotalVariation
from inpaint_zoo.losses.total_variation import TVRegion
from inpaint_zoo.ops import composite
from inpaint_zoo.training import Batch, Terms

__all__ = ["PartialConvLoss"]


class PartialConvLoss(nn.Module):
    """Unweighted loss terms ``valid``, ``hole``, ``tv`` and, with features, ``perceptual`` and ``style``.

    All terms are means. The last two are each the sum of the loss on the raw prediction and on the composite.

    Args:
        features: VGG-16 that normalizes images by ImageNet's mean and standard deviation; None disables the perceptual
            and the style loss.
        tv_region: Region of the composite's total variation: "image" is the whole image, as in the port;
            "dilated_hole" is the paper's region.
    """

    deviation: Tensor

    def __init__(self, features: VGGFeatures | None, tv_region: TVRegion = "image") -> None:
        super().__init__()
        self.features = features
        self.valid = MaskedL1(1.0, 0.0, "pixels")
        self.hole = MaskedL1(0.0, 1.0, "pixels")
        self.variation = TotalVariation(tv_region)
        self.perceptual = PerceptualLoss(POOL_TAPS)
        self.style = StyleLoss(POOL_TAPS)
        self.register_buffer("deviation", torch.tensor(IMAGENET_STD).view(-1, 1, 1), persistent=False)

    def forward(self, pred: Tensor, batch: Batch) -> Terms:
        """Return the loss terms by name.

        Args:
            pred: Raw prediction (B, 3, H, W), scaled as images in [0, 1].
            batch: Batch with the ground truth ``image`` in [0, 1] and ``mask``, 1 = hole.
        """
        image, mask = batch["image"], batch["mask"]
        merged = composite(pred, image, mask)
        # the terms use only differences, so ImageNet's mean cancels
        scaled, target = pred / self.deviation, image / self.deviation
        terms = {
            "valid": self.valid(scaled, target, mask),
            "hole": self.hole(scaled, target, mask),
            "tv": self.variation(merged / self.deviation, mask),
        }
        if self.features is not None:
            with torch.no_grad():
                seen_target = self.features(image)
            sides = self.features.each(pred, merged)
            for name, term in (("perceptual", self.perceptual), ("style", self.style)):
                terms[name] = torch.stack([term(side, seen_target) for side in sides]).sum()
        return terms
