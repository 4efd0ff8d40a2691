"""DeepFillv2's discriminator, SN-PatchGAN (docs/papers/glcic_ca.md, "DeepFillv2")."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from inpaint_zoo.layers.spectral import SpectralConv2d

__all__ = ["SNPatchDiscriminator"]


class SNPatchDiscriminator(nn.Module):
    """SN-PatchGAN: six 5x5 convolutions with spectral norm and stride 2, each followed by LeakyReLU.

    Every element of the last feature map, in all channels, is a logit.

    Source: DeepFillv2 (Yu et al., ICCV 2019), section 3.2, as released. 5,946,816 parameters.

    Args:
        width: Channels of the first feature map; the second has twice as many, the others four times as many.

    Shape:
        image (B, 3, H, W) in [-1, 1], mask (B, 1, H, W) with 1 = hole -> logits (B, 4 width, H/64, W/64), sizes rounded
        up.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for source, target in pairwise((4, width, 2 * width, *4 * [4 * width])):
            layers += [SpectralConv2d(source, target, 5, 2, 2, bias=True), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Return the logits (B, 4 width, H/64, W/64)."""
        return self.layers(torch.cat([image, mask], dim=1))
