"""LGNet's loss terms on the raw prediction and the composite of each stage (docs/papers/lgnet.md, "Losses").

Images and predictions are in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.losses import POOL_TAPS, AdversarialLoss, MaskedL1, PerceptualLoss, StyleLoss, TotalVariation
from inpaint_zoo.training import Batch, Stages, Terms, TrainingModule, completed

__all__ = ["LGNetLoss", "LossWeights", "perceptual_features"]


class LossWeights(NamedTuple):
    """Loss weights of LGNet's generator; the L1 loss on known pixels has weight 1.

    Attributes:
        hole: Weight of the L1 loss on hole pixels.
        tv: Weight of the total variation loss.
        perceptual: Weight of the perceptual loss (VGG features).
        style: Weight of the style loss (Gram matrices of VGG features).
    """

    hole: float = 6.0
    tv: float = 0.1
    perceptual: float = 0.05
    style: float = 120.0

    def of(self, stages: Iterable[str]) -> dict[str, float]:
        """Return the weights of the given stages, by the names of the loss terms (``<stage>_<term>``)."""
        return {f"{stage}_{term}": factor for stage in stages for term, factor in self._asdict().items()}


def perceptual_features(module: TrainingModule, refined: Sequence[str], file: str | None) -> VGGFeatures | None:
    """Load VGG-16 for the perceptual and style terms of the refinement stages.

    Return None if no stage refines, if both loss weights are 0, or if VGG's weights are missing and the terms may be
    dropped.

    Args:
        module: Training module, whose ``on_missing`` decides what happens if VGG's weights are missing.
        refined: Names of the refinement stages.
        file: Weight file, see `VGGFeatures`.
    """
    terms = [f"{stage}_{term}" for stage in refined for term in ("perceptual", "style")]
    return module.unless_missing(
        lambda: VGGFeatures("vgg16", POOL_TAPS, input_norm="minus_one_one", value_range=(-1, 1), weights=file), *terms
    )


class LGNetLoss(nn.Module):
    """Unweighted loss terms of all stages, named ``<stage>_<term>``.

    Every stage has the terms ``valid`` and ``hole``: L1 on known and on hole pixels, divided by the area of the region
    in each image. The refinement stages also have ``tv``, ``perceptual`` and ``style``. The last two are each the
    sum of the loss on the raw prediction and the loss on the composite.

    Args:
        features: VGG-16 that takes images in [-1, 1] without ImageNet normalization; None disables the perceptual and
            the style terms.
    """

    def __init__(self, features: VGGFeatures | None) -> None:
        super().__init__()
        self.features = features
        self.valid = MaskedL1(1.0, 0.0, "area_per_image")
        self.hole = MaskedL1(0.0, 1.0, "area_per_image")
        self.variation = TotalVariation("masked")
        self.perceptual = PerceptualLoss(POOL_TAPS)
        self.style = StyleLoss(POOL_TAPS)
        self.gan_loss = AdversarialLoss("lsgan")

    def reconstruction(self, stages: Stages, batch: Batch, refined: Sequence[str]) -> Terms:
        """Return the generator's terms of all stages, except the GAN loss.

        Args:
            stages: Raw predictions by the names of the stages.
            batch: Batch with the ground truth ``image`` and ``mask``, 1 = hole.
            refined: Names of the stages that have total variation, perceptual and style terms.
        """
        image, mask = batch["image"], batch["mask"]
        merged = {name: completed(pred, batch) for name, pred in stages.items()}
        terms: Terms = {}
        for name, pred in stages.items():
            terms[f"{name}_valid"] = self.valid(pred, image, mask)
            terms[f"{name}_hole"] = self.hole(pred, image, mask)
        for name in refined:
            terms[f"{name}_tv"] = self.variation(merged[name], mask)
        if self.features is not None and refined:
            terms |= self._perceived(self.features, {name: (stages[name], merged[name]) for name in refined}, batch)
        return terms

    def _perceived(self, features: VGGFeatures, pairs: dict[str, tuple[Tensor, Tensor]], batch: Batch) -> Terms:
        """Return the perceptual and style terms; VGG sees each image once, and the ground truth once for all stages."""
        target = features.each(batch["image"].detach())[0]
        target = {tap: value.detach() for tap, value in target.items()}
        seen = iter(features.each(*(image for pair in pairs.values() for image in pair)))
        terms: Terms = {}
        for name in pairs:
            raw, merged = next(seen), next(seen)
            terms[f"{name}_perceptual"] = self.perceptual(raw, target) + self.perceptual(merged, target)
            terms[f"{name}_style"] = self.style(raw, target) + self.style(merged, target)
        return terms

    def generator(self, discriminator: nn.Module, pred: Tensor, batch: Batch) -> Tensor:
        """Return the generator's GAN loss on the composite of the raw prediction ``pred``."""
        return self.gan_loss.generator(discriminator(completed(pred, batch)))

    def discriminator(self, discriminator: nn.Module, pred: Tensor, batch: Batch) -> Terms:
        """Return the discriminator's terms ``real`` and ``fake``, each a mean over the logits.

        The composite passes through the discriminator before the ground truth, as in the released code.
        """
        fake = self.gan_loss.fake(discriminator(completed(pred, batch).detach()))
        return {"fake": fake, "real": self.gan_loss.real(discriminator(batch["image"]))}
