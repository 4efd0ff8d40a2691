"""SM-PatchGAN loss: a GAN loss with soft labels from a blurred mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from inpaint_zoo.losses.checks import check_choice, check_mask
from inpaint_zoo.ops import without_autocast
from inpaint_zoo.ops.precision import full_precision

__all__ = ["SoftPatchLoss", "SoftTarget", "soft_label"]

SoftTarget = Literal["real", "released"]


def soft_label(mask: Tensor, kernel: int = 71, sigma: float = 10.0) -> Tensor:
    """Return the mask blurred by a Gaussian, (B, 1, H, W) in [0, 1].

    The mask is padded with zeros, so holes at the image border have labels below 1.

    Args:
        mask: (B, 1, H, W), 1 = hole.
        kernel: Size of the Gaussian window in pixels, odd.
        sigma: Standard deviation of the Gaussian in pixels.
    """
    offsets = torch.arange(kernel, dtype=torch.float64, device="cpu") - kernel // 2
    weights = torch.exp(-(offsets**2) / (2 * sigma**2))
    weights = (weights / weights.sum()).to(mask.device, full_precision(mask).dtype)
    with without_autocast(mask.device):
        rows = F.conv2d(full_precision(mask), weights.view(1, 1, -1, 1), padding=(kernel // 2, 0))
        return F.conv2d(rows, weights.view(1, 1, 1, -1), padding=(0, kernel // 2))


@dataclass(frozen=True)
class SoftPatchLoss:
    """SM-PatchGAN loss: least squares between upsampled patch logits and soft labels (0 = real, 1 = deep in the hole).

    The logits are upsampled to the size of the mask, bilinearly with aligned corners.

    Source: AOT-GAN's SM-PatchGAN; GRIG's ablation D.

    Args:
        target: Target label of the generator's loss. "real" is 0, evaluated in the hole: the mean over each image's
            hole pixels, then over the images. This is what the authors evidently intended. "released" is 1 over the
            whole image, which is what AOT-GAN's code computes (its mask cancels, and 1 is the discriminator's label for
            fake).
        kernel: See `soft_label`.
        sigma: See `soft_label`.

    Shape:
        logits (B, 1, h, w), mask (B, 1, H, W) with 1 = hole -> scalar.
    """

    target: SoftTarget = "real"
    kernel: int = 71
    sigma: float = 10.0

    def __post_init__(self) -> None:
        """Check ``target``."""
        check_choice("target", self.target, get_args(SoftTarget))

    def real(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return the discriminator's loss on the ground truth, whose labels are 0 everywhere."""
        return self._enlarge(logits, mask).square().mean()

    def fake(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return the discriminator's loss on the detached composite, whose labels are the blurred mask."""
        return (self._enlarge(logits, mask) - soft_label(mask, self.kernel, self.sigma)).square().mean()

    def discriminator(self, real: Tensor, fake: Tensor, mask: Tensor) -> Tensor:
        """Return the sum of the discriminator's losses `real` and `fake`."""
        return self.real(real, mask) + self.fake(fake, mask)

    def generator(self, fake: Tensor, mask: Tensor) -> Tensor:
        """Return the generator's loss; with the target "real", an image without a hole contributes 0."""
        logits = self._enlarge(fake, mask)
        if self.target == "released":
            return (logits - 1).square().mean()
        mask = full_precision(mask)
        area = mask.sum((1, 2, 3))  # (B,)
        return ((logits.square() * mask).sum((1, 2, 3)) / (area + 1e-12)).mean()

    def _enlarge(self, logits: Tensor, mask: Tensor) -> Tensor:
        size = (mask.shape[-2], mask.shape[-1])
        logits = F.interpolate(full_precision(logits), size, mode="bilinear", align_corners=True)
        check_mask(mask, logits)
        return logits
