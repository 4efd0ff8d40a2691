"""Training of ISNet and its ablations (specs/isnet.md, sections 6 and 8)."""

from __future__ import annotations

from functools import partial
from typing import Any, cast, get_args

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor

from inpaint_zoo.errors import unknown_name
from inpaint_zoo.layers import VGGFeatures, init_normal
from inpaint_zoo.models.isnet.discriminator import ISNetDiscriminator
from inpaint_zoo.models.isnet.loss import (
    PERCEPTUAL_TAPS,
    PRESETS,
    STYLE_TAPS,
    GANType,
    ISNetLoss,
    Preset,
)
from inpaint_zoo.registry import create_discriminator
from inpaint_zoo.training import AdversarialModule, Batch, Phase, Recipe, Stages, Terms

__all__ = ["ISNet"]


def _adam(lr: float) -> OptimizerCallable:
    return partial(torch.optim.Adam, lr=lr, betas=(0.0, 0.9))


class ISNet(AdversarialModule):
    """ISNet as released: one forward pass, both gradients by the weights before the step, then both updates.

    The discriminator sees the truth and the prediction, the generator's terms the prediction again: three passes. Its
    features of the truth, which feature matching compares, are those of its own pass.

    Args:
        network: Registry name of an ISNet.
        generator_optimizer: Built over the generator's parameters; the rate is constant.
        discriminator_optimizer: Built over the discriminator's; a tenth of the generator's rate.
        generator_scheduler: Learning-rate schedule of the generator, by steps.
        discriminator_scheduler: ... of the discriminator.
        discriminator_width: Channels of its first map.
        preset: Weights and game: the paper's final ones (Eq. 5), its early ones (Eq. 4), or those that the released
            configuration holds, L1 and an nsgan term alone.
        l1: Weight of L1 over the hole fraction of the batch of all processes; like those below, by default the
            preset's.
        adversarial: Weight of the generator's adversarial term.
        style: Weight of the Gram matrices of VGG-19.
        perceptual: Weight of VGG-19's features.
        feature_matching: Weight of the discriminator's features.
        gan_type: The game; by default the preset's.
        init_std: Standard deviation of the drawn weights. A layer with spectral norm forgets their scale, but Adam's
            first steps are as long as its rate whatever they are: at a rate of 1e-3 they undo what was drawn by 0.001.
        vgg_weights: File of VGG-19; None searches; "random" is for tests.
        base: Arguments of `TrainingModule`.

    Raises:
        UnknownNameError: No such preset or game.
    """

    def __init__(
        self,
        network: str = "isnet",
        generator_optimizer: OptimizerCallable = _adam(1e-4),  # noqa: B008 a function, never changed
        discriminator_optimizer: OptimizerCallable = _adam(1e-5),  # noqa: B008
        generator_scheduler: LRSchedulerCallable | None = None,
        discriminator_scheduler: LRSchedulerCallable | None = None,
        discriminator_width: int = 64,
        preset: Preset = "eq5",
        l1: float | None = None,
        adversarial: float | None = None,
        style: float | None = None,
        perceptual: float | None = None,
        feature_matching: float | None = None,
        gan_type: GANType | None = None,
        init_std: float = 0.001,
        vgg_weights: str | None = None,
        **base: Any,
    ) -> None:
        if preset not in PRESETS:
            raise unknown_name("preset", preset, PRESETS)
        weights, game = PRESETS[preset]
        if gan_type is not None and gan_type not in get_args(GANType):
            raise unknown_name("`gan_type`:", gan_type, get_args(GANType))
        super().__init__(network, **base)
        self.discriminator = cast(ISNetDiscriminator, create_discriminator("isnet", width=discriminator_width))
        init_normal(self.discriminator, init_std)
        if base.get("init_weights") is None:
            init_normal(self.network, init_std)
        self.generator_optimizer = generator_optimizer
        self.discriminator_optimizer = discriminator_optimizer
        self.schedulers = {"generator": generator_scheduler, "discriminator": discriminator_scheduler}
        chosen = {
            "l1": l1,
            "adversarial": adversarial,
            "style": style,
            "perceptual": perceptual,
            "feature_matching": feature_matching,
        }
        self.weights = weights._replace(**{name: value for name, value in chosen.items() if value is not None})
        self.gan_type: GANType = game if gan_type is None else gan_type
        self.vgg_weights = vgg_weights
        self._real_maps: list[Tensor] = []

    def _features(self) -> VGGFeatures | None:
        if not (self.weights.perceptual or self.weights.style):
            return None
        taps = PERCEPTUAL_TAPS + STYLE_TAPS
        return self.unless_missing(
            lambda: VGGFeatures("vgg19", taps, fed_as="zero_one", weights=self.vgg_weights), "perceptual", "style"
        )

    def build_losses(self) -> None:
        """Look VGG-19 up."""
        self.losses = ISNetLoss(self._features(), self.gan_type)

    def recipe(self) -> Recipe:
        """Discriminator and generator on one forward pass, both updated when both gradients are there."""
        return Recipe(
            (
                Phase(
                    "discriminator",
                    ("discriminator",),
                    self.discriminator_loss,
                    self.discriminator_optimizer,
                    weights={"real": 0.5, "fake": 0.5},
                    scheduler=self.schedulers["discriminator"],
                ),
                Phase(
                    "generator",
                    ("network",),
                    self.generator_loss,
                    self.generator_optimizer,
                    weights=self.weights._asdict(),
                    scheduler=self.schedulers["generator"],
                ),
            ),
            forward="shared",
            together=True,
        )

    def discriminator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """The discriminator's terms; its features of the truth wait for the generator's turn."""
        terms, self._real_maps = self.losses.discriminator(self.discriminator, stages["prediction"], batch["image"])
        return terms

    def generator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """The terms of the raw prediction."""
        real_maps, self._real_maps = self._real_maps, []
        pred = stages["prediction"]
        return self.losses.reconstruction(pred, batch) | self.losses.generator(self.discriminator, pred, real_maps)
