"""The SM-PatchGAN game: every pixel's label says how far it lies in the hole."""

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
    """The mask blurred by a Gaussian, with zeros beyond the picture: a hole at the border is never quite 1.

    Args:
        mask: (B, 1, H, W), 1 = hole.
        kernel: Odd side of the window.
        sigma: In pixels.
    """
    offsets = torch.arange(kernel, dtype=torch.float64, device="cpu") - kernel // 2
    weights = torch.exp(-(offsets**2) / (2 * sigma**2))
    weights = (weights / weights.sum()).to(mask.device, full_precision(mask).dtype)
    with without_autocast(mask.device):
        rows = F.conv2d(full_precision(mask), weights.view(1, 1, -1, 1), padding=(kernel // 2, 0))
        return F.conv2d(rows, weights.view(1, 1, 1, -1), padding=(0, kernel // 2))


@dataclass(frozen=True)
class SoftPatchLoss:
    """Least squares between patch logits, enlarged to the picture, and soft labels: 0 = real, 1 = deep in the hole.

    Source: AOT-GAN's SM-PatchGAN; GRIG's ablation D. The logits are enlarged bilinearly with aligned corners.

    Args:
        target: What the generator wants to hear. "real": 0 in the hole, the mean over each image's hole pixels, then
            over the images: the evident intent. "released": 1 over the whole picture, which is what AOT-GAN's code
            computes (its mask cancels, and the label is the discriminator's own for fake).
        kernel: Of `soft_label`.
        sigma: Of `soft_label`.

    Shape:
        logits (B, 1, h, w), mask (B, 1, H, W) with 1 = hole -> scalar.
    """

    target: SoftTarget = "real"
    kernel: int = 71
    sigma: float = 10.0

    def __post_init__(self) -> None:
        """Refuse an unknown target."""
        check_choice("target", self.target, get_args(SoftTarget))

    def real(self, logits: Tensor, mask: Tensor) -> Tensor:
        """The discriminator's side of the truth: 0 everywhere."""
        return self._enlarge(logits, mask).square().mean()

    def fake(self, logits: Tensor, mask: Tensor) -> Tensor:
        """... of the composite, from a detached picture: the blurred mask."""
        return (self._enlarge(logits, mask) - soft_label(mask, self.kernel, self.sigma)).square().mean()

    def discriminator(self, real: Tensor, fake: Tensor, mask: Tensor) -> Tensor:
        """The sum of both sides."""
        return self.real(real, mask) + self.fake(fake, mask)

    def generator(self, fake: Tensor, mask: Tensor) -> Tensor:
        """What the generator pays; an image without a hole adds 0, unless as released."""
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
