"""Training of partial convolutions (specs/glcic_ca.md, section 13)."""

from __future__ import annotations

from functools import partial
from typing import Any, Self

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import nn

from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.losses.total_variation import TVRegion
from inpaint_zoo.models.partial_conv.loss import TAPS, PartialConvLoss
from inpaint_zoo.models.partial_conv.network import PartialConvGenerator
from inpaint_zoo.training import Batch, InpaintingModule, Stages, Terms

__all__ = ["PartialConv"]

_ADAM: OptimizerCallable = partial(torch.optim.Adam, lr=2e-4)


class PartialConv(InpaintingModule):
    """Reconstruction, perceptual, style and variation terms; no discriminator.

    In two phases: the statistics of batch norms count the holes' zeros, so the second one leaves those of the encoder
    as they are, while everything learns on at a lower rate. It starts from ``init_weights``.

    Args:
        network: Registry name.
        optimizer: Built over the network's parameters; the rate is constant.
        scheduler: Learning-rate schedule, by steps.
        freeze_encoder_norms: Keep the encoder's batch norms in eval mode.
        valid: Weight of L1 over known pixels.
        hole: Weight of L1 over the hole's pixels.
        perceptual: Weight of VGG-16's features.
        style: Weight of their Gram matrices.
        tv: Weight of the total variation.
        tv_region: See `PartialConvLoss`.
        vgg_weights: File of VGG-16; None searches; "random" is for tests.
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
        if base.get("init_weights") is None:
            for layer in self.network.modules():
                if isinstance(layer, nn.Conv2d):
                    nn.init.kaiming_normal_(layer.weight)
        self.freeze_encoder_norms = freeze_encoder_norms
        self.tv_region = tv_region
        self.vgg_weights = vgg_weights
        self.train()

    def train(self, mode: bool = True) -> Self:
        """As usual, but for norms that are frozen."""
        super().train(mode)
        if self.freeze_encoder_norms:
            for layer in self.network.encoder.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.eval()
        return self

    def build_losses(self) -> None:
        """Look VGG-16 up, unless neither of its terms carries weight."""
        features = None
        if self.weights["perceptual"] or self.weights["style"]:
            features = self.unless_missing(
                lambda: VGGFeatures("vgg16", TAPS, fed_as="imagenet", weights=self.vgg_weights), "perceptual", "style"
            )
        self.losses = PartialConvLoss(features, self.tv_region)

    def loss(self, batch: Batch, stages: Stages) -> Terms:
        """The terms of the raw prediction."""
        return self.losses(stages["prediction"], batch)
