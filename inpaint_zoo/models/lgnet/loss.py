"""LGNet's losses, in [-1, 1], on the raw prediction and the composite of each stage (specs/lgnet.md, section 4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.losses import AdversarialLoss, MaskedL1, PerceptualLoss, StyleLoss, TotalVariation
from inpaint_zoo.ops import composite, from_range, to_range
from inpaint_zoo.training import Batch, Stages, Terms, TrainingModule, completed

__all__ = ["LGNetLoss", "LossWeights", "perceptual_features"]

TAPS = ("pool1", "pool2", "pool3")


class LossWeights(NamedTuple):
    """The factors of specs/lgnet.md, section 4; the L1 of known pixels weighs 1.

    Attributes:
        hole: Of the hole's L1.
        tv: Of the total variation.
        perceptual: Of VGG's features.
        style: Of their Gram matrices.
    """

    hole: float = 6.0
    tv: float = 0.1
    perceptual: float = 0.05
    style: float = 120.0

    def of(self, stages: Iterable[str]) -> dict[str, float]:
        """By the names of the terms of these stages."""
        return {f"{stage}_{term}": factor for stage in stages for term, factor in self._asdict().items()}


def perceptual_features(
    module: TrainingModule, refined: Sequence[str], weights: LossWeights, file: str | None
) -> VGGFeatures | None:
    """VGG-16, looked up, for the terms of the stages that refine; None where they carry no weight or may be dropped.

    Args:
        module: Says what happens when the weights are nowhere.
        refined: Names of the stages.
        weights: Of the terms.
        file: See `VGGFeatures`.
    """
    if not refined or not (weights.perceptual or weights.style):
        return None
    terms = [f"{stage}_{term}" for stage in refined for term in ("perceptual", "style")]
    return module.unless_missing(lambda: VGGFeatures("vgg16", TAPS, fed_as="minus_one_one", weights=file), *terms)


class LGNetLoss(nn.Module):
    """The terms of all stages, named ``<stage>_<term>`` and unweighted.

    ``valid`` and ``hole`` (L1, each region by its own area, image by image) for every stage; ``tv``, ``perceptual`` and
    ``style`` for those that refine. The last two add what the raw prediction costs and what the composite costs.

    Args:
        features: VGG-16, fed [-1, 1] without ImageNet's mean, its result L1 of means; None leaves both terms out.
    """

    def __init__(self, features: VGGFeatures | None) -> None:
        super().__init__()
        self.features = features
        self.valid = MaskedL1(1.0, 0.0, "area_per_image")
        self.hole = MaskedL1(0.0, 1.0, "area_per_image")
        self.variation = TotalVariation("masked")
        self.perceptual = PerceptualLoss(TAPS)
        self.style = StyleLoss(TAPS)
        self.game = AdversarialLoss("lsgan")

    def reconstruction(self, stages: Stages, batch: Batch, refined: Sequence[str]) -> Terms:
        """The terms of all stages.

        Args:
            stages: Raw predictions in [0, 1].
            batch: With image in [0, 1] and mask.
            refined: Stages that carry variation, perceptual and style terms.
        """
        image, mask = to_range(batch["image"], -1, 1), batch["mask"]
        native = {name: to_range(stage, -1, 1) for name, stage in stages.items()}
        merged = {name: composite(pred, image, mask) for name, pred in native.items()}
        terms: Terms = {}
        for name, pred in native.items():
            terms[f"{name}_valid"] = self.valid(pred, image, mask)
            terms[f"{name}_hole"] = self.hole(pred, image, mask)
        for name in refined:
            terms[f"{name}_tv"] = self.variation(merged[name], mask)
        if self.features is not None and refined:
            terms |= self._perceived(self.features, {name: (stages[name], merged[name]) for name in refined}, batch)
        return terms

    def _perceived(self, features: VGGFeatures, pairs: dict[str, tuple[Tensor, Tensor]], batch: Batch) -> Terms:
        """Perceptual and style terms; every picture passes the network once, the truth for all stages."""
        truth = features.each(batch["image"].detach())[0]
        truth = {tap: value.detach() for tap, value in truth.items()}
        pictures = [picture for raw, merged in pairs.values() for picture in (raw, from_range(merged, -1, 1))]
        seen = iter(features.each(*pictures))
        terms: Terms = {}
        for name in pairs:
            raw, merged = next(seen), next(seen)
            terms[f"{name}_perceptual"] = self.perceptual(raw, truth) + self.perceptual(merged, truth)
            terms[f"{name}_style"] = self.style(raw, truth) + self.style(merged, truth)
        return terms

    def generator(self, discriminator: nn.Module, pred: Tensor, batch: Batch) -> Tensor:
        """The adversarial term: the composite of ``pred``, raw in [0, 1], should count as real."""
        return self.game.generator(discriminator(completed(pred, batch)))

    def discriminator(self, discriminator: nn.Module, pred: Tensor, batch: Batch) -> Terms:
        """Terms ``real`` and ``fake``, each a mean over the logits; the composite passes first."""
        fake = self.game.fake(discriminator(completed(pred, batch).detach()))
        return {"fake": fake, "real": self.game.real(discriminator(to_range(batch["image"], -1, 1)))}
