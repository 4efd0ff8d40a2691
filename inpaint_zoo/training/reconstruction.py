"""Training of any network with reconstruction losses only: the same recipe for all architectures."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor

from inpaint_zoo.layers import FrozenFeatures
from inpaint_zoo.losses import masked_l1
from inpaint_zoo.metrics.lpips import load_lpips
from inpaint_zoo.ops import composite
from inpaint_zoo.ops.precision import full_precision
from inpaint_zoo.training.one_optimizer import InpaintingModule
from inpaint_zoo.training.phases import Batch, Stages, Terms

__all__ = ["Reconstruction", "hole_log_mse"]

_ADAMW: OptimizerCallable = partial(torch.optim.AdamW, lr=1e-3, betas=(0.9, 0.99), weight_decay=1e-4)
EPSILON = 1e-5  # limits the gradient of images that are already reconstructed to about 50 dB


def hole_log_mse(pred: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over images of log10 of the mean squared error in the hole.

    Up to the factor -10 this is the mean PSNR of the hole. Compared with L1, it gives a smooth image, in which errors
    are small but visible, the same importance as a textured one.

    Args:
        pred: Prediction (B, 3, H, W) in [0, 1].
        target: Ground truth (B, 3, H, W) in [0, 1].
        mask: Mask (B, 1, H, W) with 1 = hole. An image without a hole contributes a constant.

    Returns:
        Scalar, float32 at least.

    Example:
        >>> import torch
        >>> mask = torch.tensor([[[[1.0, 0.0]]]])
        >>> round(hole_log_mse(torch.full((1, 3, 1, 2), 0.1), torch.zeros(1, 3, 1, 2), mask).item(), 3)
        -2.0
    """
    mask = full_precision(mask)
    error = (full_precision(pred) - full_precision(target)).square() * mask
    pixels = (pred.shape[1] * mask.flatten(1).sum(1)).clamp(min=1)
    return (error.flatten(1).sum(1) / pixels + EPSILON).log10().mean()


class Reconstruction(InpaintingModule):
    """Training module for any network, without a discriminator: L1, the hole's PSNR, and optionally LPIPS.

    It does not follow the recipe of a paper. Use it to compare architectures under equal conditions, to train with a
    small budget, or as the first phase before a family's own adversarial training (``init_weights``).

    All stages of the network get the L1 loss and the hole's logarithmic error. LPIPS applies to the composited result
    of the last stage.

    Args:
        network: Registry name of the network.
        optimizer: Optimizer of the network; the default is AdamW with a learning rate of 1e-3.
        scheduler: Learning-rate schedule, stepped per training step.
        known: Weight of the L1 loss on known pixels.
        hole: Weight of the L1 loss on hole pixels.
        log_mse: Weight of `hole_log_mse`; 0 disables it.
        earlier_stages: Weight of the losses of all stages before the last one, relative to the last one.
        lpips: Weight of LPIPS on SqueezeNet 1.1; 0 disables it, and SqueezeNet's weights are then not needed.
        squeeze_weights: Weight file of SqueezeNet 1.1; None searches the weight folders.
        base: Arguments of `TrainingModule`.
    """

    def __init__(
        self,
        network: str,
        optimizer: OptimizerCallable = _ADAMW,
        scheduler: LRSchedulerCallable | None = None,
        known: float = 1.0,
        hole: float = 6.0,
        log_mse: float = 0.3,
        earlier_stages: float = 0.5,
        lpips: float = 0.0,
        squeeze_weights: str | None = None,
        **base: Any,
    ) -> None:
        super().__init__(network, optimizer, scheduler, weights={"log_mse": log_mse, "lpips": lpips}, **base)
        self.known, self.hole, self.earlier_stages = known, hole, earlier_stages
        self.squeeze_weights = squeeze_weights
        self.lpips: FrozenFeatures | None = None

    def build_losses(self) -> None:
        """Load SqueezeNet 1.1 unless LPIPS has weight 0."""
        self.lpips = self.unless_missing(self._load_lpips, "lpips")

    def _load_lpips(self) -> FrozenFeatures:
        return FrozenFeatures(load_lpips("squeeze", weights=self.squeeze_weights), "squeezenet1_1")

    def loss(self, batch: Batch, stages: Stages) -> Terms:
        """Return the terms ``l1``, ``log_mse`` and, if it is used, ``lpips``."""
        image, mask = batch["image"], batch["mask"]
        *earlier, last = stages.values()
        weighted = [(self.earlier_stages, stage) for stage in earlier] + [(1.0, last)]
        l1 = [weight * masked_l1(stage, image, mask, self.known, self.hole) for weight, stage in weighted]
        log_mse = [weight * hole_log_mse(stage, image, mask) for weight, stage in weighted]
        terms = {"l1": torch.stack(l1).sum(), "log_mse": torch.stack(log_mse).sum()}
        if self.lpips is not None:
            result = composite(last, image, mask)
            terms["lpips"] = self.lpips.trunk(2 * full_precision(result) - 1, 2 * full_precision(image) - 1).mean()
        return terms
