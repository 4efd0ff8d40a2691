"""Training of the Context Encoder (specs/glcic_ca.md, section 11)."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn

from inpaint_zoo.errors import ZooError
from inpaint_zoo.layers import init_normal
from inpaint_zoo.models.context_encoder.loss import ContextEncoderLoss
from inpaint_zoo.models.context_encoder.network import ContextEncoderGenerator
from inpaint_zoo.ops import to_range
from inpaint_zoo.registry import create_discriminator
from inpaint_zoo.training import AdversarialModule, Batch, Phase, Recipe, Stages, Terms

__all__ = ["ContextEncoder"]

INIT_STD = 0.02


def _adam(lr: float) -> OptimizerCallable:
    return partial(torch.optim.Adam, lr=lr, betas=(0.5, 0.999))


class ContextEncoder(AdversarialModule):
    """The Context Encoder as released: one prediction, the discriminator first.

    Batches must have the network's own size. Biases of convolutions stay 0, as the authors set them before each step.

    Args:
        network: Registry name.
        generator_optimizer: Built over the generator's parameters; the rate is ten times the discriminator's.
        discriminator_optimizer: Built over the discriminator's.
        discriminator_width: Channels of its first map.
        l2: Weight of the squared error; the adversarial term has the rest to 1.
        overlap_weight: Weight of known pixels in the squared error; by default 10 where the centre alone is predicted
            (the hole must be smaller by the overlap, 4 px to each side), 1 where all is, as the authors run them.
        base: Arguments of `TrainingModule`.

    Raises:
        ZooError: ``l2`` is not between 0 and 1.
    """

    network: ContextEncoderGenerator

    def __init__(
        self,
        network: str = "context_encoder",
        generator_optimizer: OptimizerCallable = _adam(2e-3),  # noqa: B008 a function, never changed
        discriminator_optimizer: OptimizerCallable = _adam(2e-4),  # noqa: B008
        discriminator_width: int = 64,
        l2: float = 0.999,
        overlap_weight: float | None = None,
        **base: Any,
    ) -> None:
        super().__init__(network, **base)
        if not 0 < l2 <= 1:
            raise ZooError(f"`l2` must be above 0 and at most 1, got {l2}.")
        central = self.network.region == "center"
        self.discriminator = create_discriminator(
            "context_encoder", size=self.network.size // (2 if central else 1), width=discriminator_width
        )
        init_normal(self.discriminator, INIT_STD)
        if base.get("init_weights") is None:
            init_normal(self.network, INIT_STD)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.bias is not None:
                nn.init.zeros_(layer.bias.requires_grad_(False))
        self.generator_optimizer = generator_optimizer
        self.discriminator_optimizer = discriminator_optimizer
        self.l2 = l2
        known = overlap_weight if overlap_weight is not None else 10.0 if central else 1.0
        self.losses = ContextEncoderLoss(known)

    def recipe(self) -> Recipe:
        """Discriminator, then generator, on one forward pass."""
        return Recipe(
            (
                Phase("discriminator", ("discriminator",), self.discriminator_loss, self.discriminator_optimizer),
                Phase(
                    "generator",
                    ("network",),
                    self.generator_loss,
                    self.generator_optimizer,
                    weights={"l2": self.l2, "adversarial": 1 - self.l2},
                ),
            ),
            forward="shared",
        )

    def generator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """The generator's terms on the region."""
        pred, truth = self._regions(batch, stages)
        return self.losses.generator(self.discriminator, pred, truth, self.network.predicted(batch["mask"]))

    def discriminator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """The discriminator's terms on the region."""
        return self.losses.discriminator(self.discriminator, *self._regions(batch, stages))

    def _regions(self, batch: Batch, stages: Stages) -> tuple[Tensor, Tensor]:
        """Prediction and truth in [-1, 1] where the network predicts."""
        size = self.network.size
        if batch["image"].shape[-2:] != (size, size):
            raise ZooError(
                f"The Context Encoder trains at its own size: --data.init_args.size={size}, "
                f"got {tuple(batch['image'].shape)}."
            )
        pred, truth = (to_range(x, -1, 1) for x in (stages["prediction"], batch["image"]))
        return self.network.predicted(pred), self.network.predicted(truth)
