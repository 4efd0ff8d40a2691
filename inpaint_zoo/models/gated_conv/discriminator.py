"""SN-PatchGAN (specs/glcic_ca.md, section 12)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from inpaint_zoo.layers.spectral import SpectralConv2d

__all__ = ["SNPatchDiscriminator"]


class SNPatchDiscriminator(nn.Module):
    """Six spectrally normalised 5x5 convolutions, stride 2, LeakyReLU after each: every element of the last is a logit.

    Source: DeepFillv2 (Yu et al., ICCV 2019), section 3.2, as released. 5,946,816 parameters.

    Args:
        width: Channels of the first map; 2, then 4 times as many follow.

    Shape:
        image (B, 3, H, W) in [-1, 1], mask (B, 1, H, W), 1 = hole -> logits (B, 4 width, H / 64, W / 64), rounded up.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for source, target in pairwise((4, width, 2 * width, *4 * [4 * width])):
            layers += [SpectralConv2d(source, target, 5, 2, 2, bias=True), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """The logits."""
        return self.layers(torch.cat([image, mask], dim=1))
