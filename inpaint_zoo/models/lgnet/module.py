"""Training of LGNet, and of LGNet's refinement stages after any other model.

Source: docs/papers/lgnet.md, "Training" and "Refinement of other models".
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable

from inpaint_zoo.combinators import LocalGlobal
from inpaint_zoo.errors import ZooError
from inpaint_zoo.layers import init_normal
from inpaint_zoo.models.lgnet.loss import LGNetLoss, LossWeights, perceptual_features
from inpaint_zoo.models.lgnet.network import LGNetGenerator
from inpaint_zoo.registry import create_model, options_through
from inpaint_zoo.training import (
    HALVED,
    AdversarialModule,
    Batch,
    ConstantThenLinear,
    InpaintingModule,
    Phase,
    Stages,
    Terms,
)

__all__ = ["LGNet", "LocalGlobalRefinement"]

REFINED = ("local", "global")
_ADAM: OptimizerCallable = partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))
_SCHEDULE: LRSchedulerCallable = partial(ConstantThenLinear, constant=100, decay=100)


class LGNet(AdversarialModule):
    """Training module of LGNet, as in the released code.

    Each step runs one forward pass, updates the discriminator and then the network of every stage, each with its own
    optimizer. The discriminator sees only the composite of the first stage. The later stages have total variation,
    perceptual and style terms instead. With ``lambda_gan: 0`` the discriminator is still trained, but has no effect on
    the generator.

    Args:
        network: Registry name of an LGNet generator.
        optimizer: Optimizer, created once per stage network and once for the discriminator.
        scheduler: Learning-rate schedule of all optimizers, stepped per epoch. The default is constant for 100 epochs
            and then falls linearly over 100 epochs to 1/101 of the initial learning rate.
        lambda_hole: Weight of the L1 loss on hole pixels, for every stage.
        lambda_tv: Weight of the total variation loss.
        lambda_per: Weight of the perceptual loss.
        lambda_style: Weight of the style loss.
        lambda_gan: Weight of the generator's GAN loss.
        discriminator_width: Channels of the discriminator's first feature map.
        vgg_weights: Weight file of VGG-16; None searches the weight folders; "random" is for tests.
        init_std: Standard deviation of the initial weights.
        base: Arguments of `TrainingModule`.
    """

    network: LGNetGenerator
    loss_range = (-1.0, 1.0)
    discriminator_weights = HALVED
    interval = "epoch"

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
        super().__init__(
            network,
            generator_optimizer=optimizer,
            discriminator_optimizer=optimizer,
            generator_scheduler=scheduler,
            discriminator_scheduler=scheduler,
            **base,
        )
        self.add_discriminator("lgnet", init_std, width=discriminator_width)
        factors = LossWeights(lambda_hole, lambda_tv, lambda_per, lambda_style)
        self.weights = factors.of(self.network.stage_names) | {"adversarial": lambda_gan}
        self.vgg_weights = vgg_weights

    def build_losses(self) -> None:
        """Create the losses; load VGG-16 if a perceptual or style term needs it."""
        self.losses = LGNetLoss(perceptual_features(self, self.network.stage_names[1:], self.vgg_weights))

    def generator_phase(self, **changes: Any) -> Phase:
        """Return the generator's phase, with an optimizer for the network of each stage."""
        nets = tuple(f"network.nets.{name}" for name in self.network.nets)
        return super().generator_phase(trains=nets, separate_optimizers=True, **changes)

    def generator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """Return the loss terms of all stages, and the GAN loss of the first stage."""
        terms = self.losses.reconstruction(stages, batch, self.network.stage_names[1:])
        return terms | {"adversarial": self.losses.generator(self.discriminator, stages[self.network.first], batch)}

    def discriminator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """Return the discriminator's loss terms on the first stage."""
        return self.losses.discriminator(self.discriminator, stages[self.network.first], batch)


class LocalGlobalRefinement(InpaintingModule):
    """Training module of LGNet's local and global refinement stages after any other model, without a discriminator.

    The first network is either frozen, or trained together with the refinement stages. In the latter case its
    prediction also gets the L1 terms of LGNet's coarse stage. (The paper trains the first network with that network's
    own losses, and published no code for it.)

    Args:
        network: Registry name, such as "local_global:autoencoder".
        first_weights: Weight file or checkpoint of the first network, or "shipped".
        freeze_first: Keep the first network's weights fixed.
        optimizer: Optimizer of the trainable parameters.
        scheduler: Learning-rate schedule, stepped per epoch. The default is constant for 100 epochs and then falls
            linearly over 100 epochs.
        lambda_hole: Weight of the L1 loss on hole pixels.
        lambda_tv: Weight of the total variation loss.
        lambda_per: Weight of the perceptual loss.
        lambda_style: Weight of the style loss.
        vgg_weights: Weight file of VGG-16; None searches the weight folders; "random" is for tests.
        init_std: Standard deviation of the initial weights.
        network_options: Arguments of `create_model`; they override the options stored in ``first_weights``.
        base: Arguments of `TrainingModule`.

    Raises:
        ZooError: If ``network`` is not `local_global:NAME`, or ``first_weights`` belongs to another network.
    """

    network: LocalGlobal
    loss_range = (-1.0, 1.0)
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
            raise ZooError(f"`network` must be local_global:NAME, where NAME is a model, got '{network}'.")
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
        self.vgg_weights = vgg_weights
        if not self.starts_trained:
            init_normal(self.network.local_net, init_std)
            init_normal(self.network.global_net, init_std)
        if first is not None:
            self.start_first(first.state_dict(), str(first_weights))

    def build_losses(self) -> None:
        """Create the losses; load VGG-16 if a perceptual or style term needs it."""
        self.losses = LGNetLoss(perceptual_features(self, REFINED, self.vgg_weights))

    def loss(self, batch: Batch, stages: Stages) -> Terms:
        """Return the loss terms of all three stages."""
        return self.losses.reconstruction(stages, batch, REFINED)
