"""Training of partial convolutions (docs/papers/glcic_ca.md, "Partial convolutions")."""

from __future__ import annotations

from functools import partial
from typing import Any, Self

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import nn

from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.losses import POOL_TAPS
from inpaint_zoo.losses.total_variation import TVRegion
from inpaint_zoo.models.partial_conv.loss import PartialConvLoss
from inpaint_zoo.models.partial_conv.network import PartialConvGenerator
from inpaint_zoo.training import Batch, InpaintingModule, Stages, Terms

__all__ = ["PartialConv"]

_ADAM: OptimizerCallable = partial(torch.optim.Adam, lr=2e-4)


class PartialConv(InpaintingModule):
    """Training module of partial convolutions, without a discriminator.

    Training has two runs. Zeros in the holes distort the statistics of batch norm, so the second run, which starts from
    the first one's weights (``init_weights``), sets ``freeze_encoder_norms`` and continues with a lower learning rate.

    Args:
        network: Registry name of the network.
        optimizer: Optimizer of the network; the default learning rate is constant.
        scheduler: Learning-rate schedule, stepped per training step.
        freeze_encoder_norms: Keep the encoder's batch norms in eval mode, with fixed statistics.
        valid: Weight of the L1 loss on known pixels.
        hole: Weight of the L1 loss on hole pixels.
        perceptual: Weight of the perceptual loss on VGG-16 features.
        style: Weight of the style loss on Gram matrices of VGG-16 features.
        tv: Weight of the total variation loss.
        tv_region: Region of the total variation, see `PartialConvLoss`.
        vgg_weights: Weight file of VGG-16; None searches the weight folders; "random" is for tests.
        base: Arguments of `TrainingModule`.
    """

    network: PartialConvGenerator

    def __init__(
        self,
        network: str = "partial_conv",
        optimizer: OptimizerCallable = _ADAM,
        scheduler: LRSchedulerCallable | None = None,
        freeze_encoder_norms: bool = False,
        valid: float = 1.0,
        hole: float = 6.0,
        perceptual: float = 0.05,
        style: float = 120.0,
        tv: float = 0.1,
        tv_region: TVRegion = "image",
        vgg_weights: str | None = None,
        **base: Any,
    ) -> None:
        weights = {"valid": valid, "hole": hole, "perceptual": perceptual, "style": style, "tv": tv}
        super().__init__(network, optimizer, scheduler, weights=weights, **base)
        if not self.starts_trained:
            for layer in self.network.modules():
                if isinstance(layer, nn.Conv2d):
                    nn.init.kaiming_normal_(layer.weight)
        self.freeze_encoder_norms = freeze_encoder_norms
        self.tv_region = tv_region
        self.vgg_weights = vgg_weights
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Set the training mode, except for frozen batch norms."""
        super().train(mode)
        if self.freeze_encoder_norms:
            for layer in self.network.encoder.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.eval()
        return self

    def build_losses(self) -> None:
        """Create the losses; load VGG-16 unless the perceptual and the style weight are 0."""
        features = self.unless_missing(
            lambda: VGGFeatures("vgg16", POOL_TAPS, input_norm="imagenet", weights=self.vgg_weights),
            "perceptual",
            "style",
        )
        self.losses = PartialConvLoss(features, self.tv_region)

    def loss(self, batch: Batch, stages: Stages) -> Terms:
        """Return the loss terms of the raw prediction."""
        return self.losses(stages["prediction"], batch)
