"""Training of LGNet and of refinement behind any model (specs/lgnet.md, sections 5 and 8.3)."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import nn

from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.models.lgnet.loss import TAPS, LGNetLoss
from inpaint_zoo.models.lgnet.network import LGNetGenerator
from inpaint_zoo.registry import create_discriminator
from inpaint_zoo.training import AdversarialModule, Batch, ConstantThenLinear, Phase, Recipe, Stages, Terms

__all__ = ["LGNet"]

_ADAM: OptimizerCallable = partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))
_SCHEDULE: LRSchedulerCallable = partial(ConstantThenLinear, constant=100, decay=100)


def init_normal(module: nn.Module) -> None:
    """Draw weights from N(0, 0.02), those of norms from N(1, 0.02), and zero the biases, as released.

    Args:
        module: A network; spectrally normalised layers are drawn too, their scale does not matter.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
            weight = cast(nn.Parameter, getattr(layer, "weight_orig", layer.weight))
            nn.init.normal_(weight, 1.0 if isinstance(layer, nn.BatchNorm2d) else 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class LGNet(AdversarialModule):
    """LGNet as released: one forward pass, the discriminator first, then one optimizer for each stage's network.

    The discriminator sees the composite of the first stage alone; later stages carry total variation, perceptual and
    style terms. With ``lambda_gan: 0`` it is trained all the same, and ignored.

    Args:
        network: Registry name of an LGNet.
        optimizer: Of each network and of the discriminator.
        scheduler: Of all of them, by epochs; 100 constant, 100 falling to 1/101.
        lambda_hole: Weight of the hole's L1, every stage.
        lambda_tv: Weight of the total variation.
        lambda_per: Weight of the perceptual term.
        lambda_style: Weight of the style term.
        lambda_gan: Weight of the adversarial term.
        discriminator_width: Channels of its first map.
        vgg_weights: File of VGG-16; None searches; "random" is for tests.
        base: Arguments of `TrainingModule`.
    """

    network: LGNetGenerator

    def __init__(
        self,
        network: str = "lgnet",
        optimizer: OptimizerCallable = _ADAM,
        scheduler: LRSchedulerCallable | None = _SCHEDULE,
        lambda_hole: float = 6.0,
        lambda_tv: float = 0.1,
        lambda_per: float = 0.05,
        lambda_style: float = 120.0,
        lambda_gan: float = 0.1,
        discriminator_width: int = 64,
        vgg_weights: str | None = None,
        **base: Any,
    ) -> None:
        super().__init__(network, **base)
        self.discriminator = create_discriminator("lgnet", width=discriminator_width)
        init_normal(self.discriminator)
        if base.get("init_weights") is None:
            init_normal(self.network)
        self.optimizer = optimizer
        self.scheduler = scheduler
        factors = {"hole": lambda_hole, "tv": lambda_tv, "perceptual": lambda_per, "style": lambda_style}
        self.weights = {
            f"{stage}_{term}": factor for stage in self.network.stage_names for term, factor in factors.items()
        } | {"adversarial": lambda_gan}
        self.perceives = lambda_per != 0 or lambda_style != 0
        self.vgg_weights = vgg_weights

    def build_losses(self) -> None:
        """Look VGG-16 up."""
        refined = self.network.stage_names[1:]
        features = None
        if self.perceives and refined:
            terms = [f"{stage}_{term}" for stage in refined for term in ("perceptual", "style")]
            features = self.unless_missing(
                lambda: VGGFeatures("vgg16", TAPS, fed_as="minus_one_one", weights=self.vgg_weights), *terms
            )
        self.losses = LGNetLoss(features)

    def recipe(self) -> Recipe:
        """Discriminator, then generators, on one forward pass."""
        return Recipe(
            (
                Phase(
                    "discriminator",
                    ("discriminator",),
                    self.discriminator_loss,
                    self.optimizer,
                    weights={"real": 0.5, "fake": 0.5},
                    scheduler=self.scheduler,
                    interval="epoch",
                ),
                Phase(
                    "generator",
                    tuple(f"network.nets.{name}" for name in self.network.nets),
                    self.generator_loss,
                    self.optimizer,
                    weights=self.weights,
                    scheduler=self.scheduler,
                    interval="epoch",
                    apart=True,
                ),
            ),
            forward="shared",
        )

    def generator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """The terms of all stages, and the adversarial one of the first."""
        terms = self.losses.reconstruction(stages, batch, self.network.stage_names[1:])
        return terms | {"adversarial": self.losses.generator(self.discriminator, stages[self.network.first], batch)}

    def discriminator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """The discriminator's terms on the first stage."""
        return self.losses.discriminator(self.discriminator, stages[self.network.first], batch)
