"""Training of LGNet and of refinement behind any model (specs/lgnet.md, sections 5 and 8.3)."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable

from inpaint_zoo.combinators import LocalGlobal
from inpaint_zoo.errors import ZooError
from inpaint_zoo.layers import init_normal
from inpaint_zoo.models.lgnet.loss import LGNetLoss, LossWeights, perceptual_features
from inpaint_zoo.models.lgnet.network import LGNetGenerator
from inpaint_zoo.registry import create_discriminator, create_model, options_through
from inpaint_zoo.training import (
    AdversarialModule,
    Batch,
    ConstantThenLinear,
    InpaintingModule,
    Phase,
    Recipe,
    Stages,
    Terms,
)
from inpaint_zoo.weights import match_state

__all__ = ["LGNet", "LocalGlobalRefinement"]

REFINED = ("local", "global")
_ADAM: OptimizerCallable = partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))
_SCHEDULE: LRSchedulerCallable = partial(ConstantThenLinear, constant=100, decay=100)


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
        init_std: Standard deviation of the first weights.
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
        init_std: float = 0.02,
        **base: Any,
    ) -> None:
        super().__init__(network, **base)
        self.discriminator = create_discriminator("lgnet", width=discriminator_width)
        init_normal(self.discriminator, init_std)
        if base.get("init_weights") is None:
            init_normal(self.network, init_std)
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.factors = LossWeights(lambda_hole, lambda_tv, lambda_per, lambda_style)
        self.weights = self.factors.of(self.network.stage_names) | {"adversarial": lambda_gan}
        self.vgg_weights = vgg_weights

    def build_losses(self) -> None:
        """Look VGG-16 up."""
        refined = self.network.stage_names[1:]
        self.losses = LGNetLoss(perceptual_features(self, refined, self.factors, self.vgg_weights))

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


class LocalGlobalRefinement(InpaintingModule):
    """LGNet's refinement behind any model: local and global stage by LGNet's terms, without a discriminator.

    The first network is frozen, or learns with them: then its prediction carries the L1 terms of a coarse stage too
    (the paper trains it by its own losses, and publishes no code).

    Args:
        network: Registry name, such as "local_global:autoencoder".
        first_weights: Weight file or checkpoint of the first network, or "shipped".
        freeze_first: Leave it as it is.
        optimizer: Over what learns.
        scheduler: By epochs; 100 constant, 100 falling.
        lambda_hole: Weight of the hole's L1.
        lambda_tv: Weight of the total variation.
        lambda_per: Weight of the perceptual term.
        lambda_style: Weight of the style term.
        vgg_weights: File of VGG-16; None searches; "random" is for tests.
        init_std: Standard deviation of the first weights.
        network_options: Of `create_model`. They override the options that ``first_weights`` states.
        base: Arguments of `TrainingModule`.

    Raises:
        ZooError: The network is no `local_global:NAME`, or ``first_weights`` is of another network.
    """

    network: LocalGlobal
    start_arguments = InpaintingModule.start_arguments | {"first_weights"}

    def __init__(
        self,
        network: str,
        first_weights: str | None = None,
        freeze_first: bool = False,
        optimizer: OptimizerCallable = _ADAM,
        scheduler: LRSchedulerCallable | None = _SCHEDULE,
        lambda_hole: float = 6.0,
        lambda_tv: float = 0.1,
        lambda_per: float = 0.05,
        lambda_style: float = 120.0,
        vgg_weights: str | None = None,
        init_std: float = 0.02,
        network_options: dict[str, Any] | None = None,
        **base: Any,
    ) -> None:
        if not network.startswith("local_global:"):
            raise ZooError(f"`network` must be local_global:NAME, got '{network}'.")
        factors = LossWeights(lambda_hole, lambda_tv, lambda_per, lambda_style)
        still = {"coarse_valid": 0.0, "coarse_hole": 0.0} if freeze_first else {}
        inner = network.removeprefix("local_global:")
        first = create_model(inner, weights=first_weights) if first_weights is not None else None
        options = options_through(network, *first.origin) if first is not None and first.origin is not None else {}
        super().__init__(
            network,
            optimizer=optimizer,
            scheduler=scheduler,
            interval="epoch",
            weights=factors.of(("coarse", *REFINED)) | still,
            network_options={**options, **(network_options or {}), "freeze_first": freeze_first},
            **base,
        )
        self.factors = factors
        self.vgg_weights = vgg_weights
        if base.get("init_weights") is None:
            init_normal(self.network.local_net, init_std)
            init_normal(self.network.global_net, init_std)
        if first is not None:
            source = f"the first network of '{network}': {first_weights}"
            own = self.network.first
            own.load_state_dict(match_state(first.state_dict(), own.state_dict(), source))
            self.starts_trained = True

    def check_trainer(self, trainer: Trainer) -> None:
        """As the base; refuses to refine what a frozen, random network makes.

        Raises:
            ZooError: The first network is frozen and has no trained weights.
        """
        super().check_trainer(trainer)
        if self.network.freeze_first and not self.starts_trained:
            raise ZooError("The first network is frozen but untrained: --model.init_args.first_weights FILE names its.")

    def build_losses(self) -> None:
        """Look VGG-16 up."""
        self.losses = LGNetLoss(perceptual_features(self, REFINED, self.factors, self.vgg_weights))

    def loss(self, batch: Batch, stages: Stages) -> Terms:
        """The terms of all three stages."""
        return self.losses.reconstruction(stages, batch, REFINED)
