"""Training of the Context Encoder (docs/papers/glcic_ca.md)."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn

from inpaint_zoo.errors import ZooError
from inpaint_zoo.models.context_encoder.loss import ContextEncoderLoss
from inpaint_zoo.models.context_encoder.network import ContextEncoderGenerator
from inpaint_zoo.training import AdversarialModule, Batch, Stages, Terms

__all__ = ["ContextEncoder"]

INIT_STD = 0.02


def _adam(lr: float) -> OptimizerCallable:
    return partial(torch.optim.Adam, lr=lr, betas=(0.5, 0.999))


class ContextEncoder(AdversarialModule):
    """Training module of the Context Encoder, as in the released code.

    Each step runs one forward pass, updates the discriminator, then the generator. The training images must have the
    network's own size. The biases of convolutions stay 0; the authors reset them to 0 before each step.

    Args:
        network: Registry name of the generator.
        generator_optimizer: Optimizer of the generator; the default has ten times the discriminator's learning rate.
        discriminator_optimizer: Optimizer of the discriminator.
        discriminator_width: Channels of the discriminator's first feature map.
        l2: Weight of the squared error, above 0 and at most 1; the GAN loss has the weight 1 - l2.
        overlap_weight: Weight of known pixels in the squared error. None means, as in the authors' runs, 10 if only the
            center is predicted and 1 if the whole image is. For the center, the hole must be smaller than the region by
            the overlap, 4 px on each side.
        base: Arguments of `AdversarialModule`.

    Raises:
        ZooError: If ``l2`` is not in (0, 1], or, when training runs, if an image does not have the network's size.
    """

    network: ContextEncoderGenerator
    loss_range = (-1.0, 1.0)

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
        super().__init__(
            network,
            generator_optimizer,
            discriminator_optimizer,
            generator_scheduler=None,
            discriminator_scheduler=None,
            **base,
        )
        if not 0 < l2 <= 1:
            raise ZooError(f"`l2` must be above 0 and at most 1, got {l2}.")
        central = self.network.region == "center"
        region = self.network.size // (2 if central else 1)
        self.add_discriminator("context_encoder", INIT_STD, size=region, width=discriminator_width)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.bias is not None:
                nn.init.zeros_(layer.bias.requires_grad_(False))
        self.weights = {"l2": l2, "adversarial": 1 - l2}
        known = overlap_weight if overlap_weight is not None else 10.0 if central else 1.0
        self.losses = ContextEncoderLoss(known)

    def generator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """Return the generator's loss terms on the predicted region."""
        pred, target = self._regions(batch, stages)
        return self.losses.generator(self.discriminator, pred, target, self.network.predicted(batch["mask"]))

    def discriminator_loss(self, batch: Batch, stages: Stages) -> Terms:
        """Return the discriminator's loss terms on the predicted region."""
        return self.losses.discriminator(self.discriminator, *self._regions(batch, stages))

    def _regions(self, batch: Batch, stages: Stages) -> tuple[Tensor, Tensor]:
        """Return prediction and ground truth of the predicted region."""
        size = self.network.size
        if batch["image"].shape[-2:] != (size, size):
            raise ZooError(
                f"The Context Encoder trains at its own size: set --data.init_args.size={size}, "
                f"got images of shape {tuple(batch['image'].shape)}."
            )
        return self.network.predicted(stages["prediction"]), self.network.predicted(batch["image"])
