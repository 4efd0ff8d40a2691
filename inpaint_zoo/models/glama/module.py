"""Training of LaMa, GLaMa and GLaMa-2stage (specs/glama.md, sections 5 and 6)."""

from __future__ import annotations

from typing import Any, TypedDict, cast

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable

from inpaint_zoo.combinators import TwoStage
from inpaint_zoo.errors import ZooError
from inpaint_zoo.layers import ADE20KFeatures
from inpaint_zoo.losses import FocalFrequencyLoss, FrequencyReduction, MaskMode, TotalVariation, TVReduction
from inpaint_zoo.models.glama.discriminator import LaMaDiscriminator
from inpaint_zoo.models.glama.loss import GLaMaLoss, LaMaLoss
from inpaint_zoo.registry import create_discriminator
from inpaint_zoo.training import AdversarialModule, Batch, Phase, Recipe, Stages, Terms
from inpaint_zoo.weights import load_state, match_state

__all__ = ["FocalOptions", "GLaMa", "GLaMa2Stage", "LaMa"]


class FocalOptions(TypedDict, total=False):
    """Options of `FocalFrequencyLoss`."""

    alpha: float
    patch_factor: int
    average_spectrum: bool
    log_matrix: bool
    batch_matrix: bool
    normalize: bool
    reduction: FrequencyReduction


def _adam(lr: float) -> OptimizerCallable:
    return lambda parameters: torch.optim.Adam(parameters, lr=lr)


class LaMa(AdversarialModule):
    """LaMa as released: the generator first, then the discriminator on a fresh prediction of the new weights.

    Args:
        network: Registry name.
        generator_optimizer: Built over the generator's parameters.
        discriminator_optimizer: Built over the discriminator's.
        generator_scheduler: Learning-rate schedule of the generator, by steps; constant as released.
        discriminator_scheduler: ... of the discriminator.
        discriminator_width: Channels of its first map.
        gradient_clip: Largest gradient norm of either; None leaves it.
        l1: Weight of L1 over known pixels.
        l1_hole: Weight of L1 over the hole's pixels; 0 as released, where other terms see to the hole.
        adversarial: Weight of the generator's adversarial term.
        feature_matching: Weight of the discriminator's features.
        perceptual: Weight of the ADE20K features; 0 needs no weights of theirs.
        r1: Weight of the gradient penalty on real pictures, at every step.
        paper_weights: Exchange the weights of feature matching and perceptual term: GLaMa's Eq. 7 gives 30 and 100
            where the released code has 100 and 30.
        perceptual_weights: File of the ADE20K encoder; None searches; "random" is for tests.
        mask_mode: How the mask becomes the discriminator's label map, see `mask_to_logits`; "nearest" as released.
        base: Arguments of `TrainingModule`.
    """

    def __init__(
        self,
        network: str = "lama",
        generator_optimizer: OptimizerCallable = _adam(1e-3),  # noqa: B008 a function, never changed
        discriminator_optimizer: OptimizerCallable = _adam(1e-4),  # noqa: B008
        generator_scheduler: LRSchedulerCallable | None = None,
        discriminator_scheduler: LRSchedulerCallable | None = None,
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
        super().__init__(network, **base)
        self.discriminator = cast(LaMaDiscriminator, create_discriminator("lama", width=discriminator_width))
        self.schedulers = {"generator": generator_scheduler, "discriminator": discriminator_scheduler}
        self.generator_optimizer = generator_optimizer
        self.discriminator_optimizer = discriminator_optimizer
        self.gradient_clip = gradient_clip
        self.weights = {
            "l1": l1,
            "l1_hole": l1_hole,
            "adversarial": adversarial,
            "feature_matching": perceptual if paper_weights else feature_matching,
            "perceptual": feature_matching if paper_weights else perceptual,
        }
        self.r1 = r1
        self.perceptual_weights = perceptual_weights
        self.mask_mode = mask_mode

    def _features(self) -> ADE20KFeatures | None:
        if self.weights["perceptual"] == 0:
            return None
        return self.unless_missing(lambda: ADE20KFeatures(self.perceptual_weights), "perceptual")

    def build_losses(self) -> None:
        """Look the perceptual network up."""
        self.losses = LaMaLoss(self._features(), self.mask_mode)

    def recipe(self) -> Recipe:
        """Generator, then discriminator, each with its own forward pass."""
        return Recipe(
            (
                Phase(
                    "generator",
                    ("network",),
                    self.generator_loss,
                    self.generator_optimizer,
                    weights=self.weights,
                    scheduler=self.schedulers["generator"],
                    clip=self.gradient_clip,
                ),
                Phase(
                    "discriminator",
                    ("discriminator",),
                    self.discriminator_loss,
                    self.discriminator_optimizer,
                    weights={"r1": self.r1},
                    scheduler=self.schedulers["discriminator"],
                    clip=self.gradient_clip,
                ),
            ),
            forward="fresh",
        )

    def generator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """The generator's terms on the last stage."""
        *_, pred = stages.values()
        return self.losses.generator(self.discriminator, pred, batch["image"], batch["mask"])

    def discriminator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """The discriminator's terms on the last stage."""
        *_, pred = stages.values()
        return self.losses.discriminator(self.discriminator, pred, batch["image"], batch["mask"])


class GLaMa(LaMa):
    """GLaMa: LaMa's training with a total variation and a focal frequency loss on the prediction (Eq. 11).

    The paper gives both losses the weight 1 and leaves their reduction open. With that weight, means have no measurable
    effect; the defaults are the smallest weights that had one in a short sweep (README.md beside this file).

    Args:
        network: Registry name.
        total_variation: Weight of the total variation.
        tv_reduction: Over the pixels and channels of an image; the paper does not say which one it takes.
        tv_beta: Exponent of the total variation, at least 1.
        focal_frequency: Weight of the focal frequency loss.
        focal_options: Of `FocalFrequencyLoss`, whose defaults are those of its authors' package.
        mask_mode: As in `LaMa`, but "area" by default: two of GLaMa's seven kinds of masks are grids of 2 to 5 px, on
            which "nearest" aliases. "nearest" is LaMa's released code; no code of GLaMa is known.
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
        """As LaMa's, with the two terms more."""
        self.losses = GLaMaLoss(self._features(), self.mask_mode, self.variation, self.frequency)


class GLaMa2Stage(GLaMa):
    """GLaMa-2stage: the second network trains by GLaMa's losses behind a first one that is trained already.

    Args:
        network: Registry name of a two-stage network.
        first_weights: Weight file or checkpoint of the first stage.
        glama: Arguments of `GLaMa`.
    """

    network: TwoStage
    start_arguments = GLaMa.start_arguments | {"first_weights"}

    def __init__(self, network: str = "glama_2stage", first_weights: str | None = None, **glama: Any) -> None:
        super().__init__(network, **glama)
        if first_weights is not None:
            first = self.network.first
            source = f"the first stage of '{network}': {first_weights}"
            first.load_state_dict(match_state(load_state(first_weights), first.state_dict(), source))
            self.starts_trained = True

    def check_trainer(self, trainer: Trainer) -> None:
        """As the base; refuses to refine what a frozen, random network makes.

        Raises:
            ZooError: The first stage is frozen and has no trained weights.
        """
        super().check_trainer(trainer)
        if self.network.freeze_first and not self.starts_trained:
            raise ZooError("The first stage is frozen but untrained: --model.init_args.first_weights FILE names its.")
