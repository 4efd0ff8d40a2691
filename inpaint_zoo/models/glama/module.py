"""Training of LaMa, GLaMa and GLaMa-2stage (docs/papers/glama.md, "Losses" and "Training")."""

from __future__ import annotations

from functools import partial
from typing import Any, TypedDict

import torch
from lightning.pytorch.cli import OptimizerCallable

from inpaint_zoo.combinators import TwoStage
from inpaint_zoo.layers import ADE20KFeatures
from inpaint_zoo.losses import FocalFrequencyLoss, FrequencyReduction, MaskMode, TotalVariation, TVReduction
from inpaint_zoo.models.glama.discriminator import LaMaDiscriminator
from inpaint_zoo.models.glama.loss import GLaMaLoss, LaMaLoss
from inpaint_zoo.training import AdversarialModule, Batch, Stages, Terms
from inpaint_zoo.weights import load_state

__all__ = ["FocalOptions", "GLaMa", "GLaMa2Stage", "LaMa"]


class FocalOptions(TypedDict, total=False):
    """Keyword arguments of `FocalFrequencyLoss`."""

    alpha: float
    patch_factor: int
    average_spectrum: bool
    log_matrix: bool
    batch_matrix: bool
    normalize: bool
    reduction: FrequencyReduction


def _adam(lr: float) -> OptimizerCallable:
    return partial(torch.optim.Adam, lr=lr)


class LaMa(AdversarialModule):
    """Training module of LaMa, as in the released code.

    Each step updates the generator first. The updated generator then makes a new prediction, on which the
    discriminator is updated.

    Args:
        network: Registry name of the generator.
        generator_optimizer: Optimizer of the generator.
        discriminator_optimizer: Optimizer of the discriminator.
        discriminator_width: Channels of the discriminator's first feature map.
        gradient_clip: Maximum gradient norm, applied to generator and discriminator; None disables clipping.
        l1: Weight of the L1 loss on known pixels.
        l1_hole: Weight of the L1 loss on hole pixels; 0 in the released code.
        adversarial: Weight of the generator's GAN loss.
        feature_matching: Weight of the feature matching loss on the discriminator's feature maps.
        perceptual: Weight of the perceptual loss on ADE20K features; 0 disables it, and the ADE20K weights are then
            not needed.
        r1: Weight of the gradient penalty (R1) on real images, applied at every discriminator step.
        paper_weights: Exchange the weights of the feature matching and the perceptual loss. GLaMa's Eq. 7 gives 30 and
            100 where LaMa's released code has 100 and 30.
        perceptual_weights: Weight file of the ADE20K encoder; None searches the weight folders; "random" is for tests.
        mask_mode: How the mask is resized to the discriminator's label map, see `mask_to_logits`; the released code
            uses "nearest".
        base: Arguments of `AdversarialModule`. The released code has no learning-rate schedules.
    """

    discriminator: LaMaDiscriminator
    generator_first = True
    forward_passes = "fresh"

    def __init__(
        self,
        network: str = "lama",
        generator_optimizer: OptimizerCallable = _adam(1e-3),  # noqa: B008 a function, never changed
        discriminator_optimizer: OptimizerCallable = _adam(1e-4),  # noqa: B008
        discriminator_width: int = 64,
        gradient_clip: float | None = 1.0,
        l1: float = 10.0,
        l1_hole: float = 0.0,
        adversarial: float = 10.0,
        feature_matching: float = 100.0,
        perceptual: float = 30.0,
        r1: float = 0.001,
        paper_weights: bool = False,
        perceptual_weights: str | None = None,
        mask_mode: MaskMode = "nearest",
        **base: Any,
    ) -> None:
        super().__init__(network, generator_optimizer, discriminator_optimizer, **base)
        self.add_discriminator("lama", width=discriminator_width)
        self.gradient_clip = gradient_clip
        self.weights = {
            "l1": l1,
            "l1_hole": l1_hole,
            "adversarial": adversarial,
            "feature_matching": perceptual if paper_weights else feature_matching,
            "perceptual": feature_matching if paper_weights else perceptual,
        }
        self.discriminator_weights = {"r1": r1}
        self.perceptual_weights = perceptual_weights
        self.mask_mode = mask_mode

    def _features(self) -> ADE20KFeatures | None:
        return self.unless_missing(lambda: ADE20KFeatures(self.perceptual_weights), "perceptual")

    def build_losses(self) -> None:
        """Create the losses; load the ADE20K encoder unless the perceptual weight is 0."""
        self.losses = LaMaLoss(self._features(), self.mask_mode)

    def generator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """Return the generator's loss terms on the last stage's prediction."""
        *_, pred = stages.values()
        return self.losses.generator(self.discriminator, pred, batch["image"], batch["mask"])

    def discriminator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """Return the discriminator's loss terms on the last stage's prediction."""
        *_, pred = stages.values()
        return self.losses.discriminator(self.discriminator, pred, batch["image"], batch["mask"])


class GLaMa(LaMa):
    """Training module of GLaMa: LaMa's training plus a total variation and a focal frequency loss (GLaMa, Eq. 11).

    The paper gives both losses the weight 1 and does not state their reduction. As means with weight 1, they have no
    measurable effect. The defaults are the smallest weights that had one in a short sweep (README.md in this folder).

    Args:
        network: Registry name of the generator.
        total_variation: Weight of the total variation loss.
        tv_reduction: Reduction of the total variation over the pixels and channels of an image; the paper states none.
        tv_beta: Exponent of the total variation, at least 1.
        focal_frequency: Weight of the focal frequency loss.
        focal_options: Arguments of `FocalFrequencyLoss`; the defaults are those of its authors' package.
        mask_mode: As in `LaMa`, but "area" by default: two of GLaMa's seven kinds of masks are grids with a period of
            2 to 5 px, on which "nearest" aliases. LaMa's released code uses "nearest"; GLaMa released no code.
        lama: Arguments of `LaMa`.
    """

    def __init__(
        self,
        network: str = "glama",
        total_variation: float = 10.0,
        tv_reduction: TVReduction = "mean",
        tv_beta: float = 2.0,
        focal_frequency: float = 100.0,
        focal_options: FocalOptions | None = None,
        mask_mode: MaskMode = "area",
        **lama: Any,
    ) -> None:
        super().__init__(network, mask_mode=mask_mode, **lama)
        self.weights |= {"total_variation": total_variation, "focal_frequency": focal_frequency}
        self.variation = TotalVariation(beta=tv_beta, joint=True, reduction=tv_reduction)
        self.frequency = FocalFrequencyLoss(**(focal_options or {}))

    def build_losses(self) -> None:
        """Create LaMa's losses plus the total variation and the focal frequency loss."""
        self.losses = GLaMaLoss(self._features(), self.mask_mode, self.variation, self.frequency)


class GLaMa2Stage(GLaMa):
    """Training module of GLaMa-2stage: train a second network, with GLaMa's losses, on a trained first one's output.

    Args:
        network: Registry name of a two-stage network.
        first_weights: Weight file or checkpoint of the first stage; None starts it from random weights.
        glama: Arguments of `GLaMa`.

    Raises:
        ZooError: When training starts, if the first stage is frozen and has no trained weights.
    """

    network: TwoStage
    start_arguments = GLaMa.start_arguments | {"first_weights"}

    def __init__(self, network: str = "glama_2stage", first_weights: str | None = None, **glama: Any) -> None:
        super().__init__(network, **glama)
        if first_weights is not None:
            self.start_first(load_state(first_weights), first_weights)
