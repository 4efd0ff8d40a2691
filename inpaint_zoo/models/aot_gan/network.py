"""AOT-GAN: blocks that gather context at several distances, at a quarter of the sides (specs/grig.md, section 18)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.layers.aot import AOTBlock

__all__ = ["AOTGANGenerator"]


class Enlarging(nn.Sequential):
    """Twice the sides bilinearly, corners aligned; a 3x3 convolution; ReLU."""

    def __init__(self, source: int, target: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(source, target, 3, padding=1)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, source, H, W) -> (B, target, 2 H, 2 W)."""
        x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)
        return super().forward(x)  # type: ignore[no-untyped-call]


class AOTGANGenerator(InpaintingNetwork):
    """Three convolutions to a quarter of the sides, AOT blocks, three convolutions back. No norm but the blocks' gates.

    Source: AOT-GAN (Zeng et al., TVCG 2023) as released; specs/grig.md, section 18. 15,200,835 parameters.

    Args:
        width: Channels at full size; twice as many at half the sides, four times at a quarter.
        blocks: How many AOT blocks.
        rates: Dilations of each block's branches; reflection wants quarters of the sides greater than the largest.

    Shape:
        `predict`: image (B, 3, H, W) in [-1, 1], hole 1 (white), mask (B, 1, H, W), H and W multiples of 4, at least
        ``min_size`` -> prediction in [-1, 1], raw.
    """

    value_range = (-1.0, 1.0)
    hole_value = 1.0
    divisor = 4
    takes_filling = True

    def __init__(self, width: int = 64, blocks: int = 8, rates: Sequence[int] = (1, 2, 4, 8)) -> None:
        super().__init__()
        one, two, four = width, 2 * width, 4 * width
        self.min_size = self.divisor * (max(rates) + 1)
        self.encoder = nn.Sequential(
            nn.ReflectionPad2d(3),
            nn.Conv2d(4, one, 7),
            nn.ReLU(inplace=True),
            nn.Conv2d(one, two, 4, 2, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(two, four, 4, 2, 1),
            nn.ReLU(inplace=True),
        )
        self.middle = nn.Sequential(*(AOTBlock(four, rates) for _ in range(blocks)))
        self.decoder = nn.Sequential()
        # the released names, which count the activations
        self.decoder.add_module("0", Enlarging(four, two))
        self.decoder.add_module("2", Enlarging(two, one))
        self.decoder.add_module("4", nn.Conv2d(one, 3, 3, padding=1))
        self.decoder.add_module("5", nn.Tanh())

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the raw prediction."""
        return {"prediction": self.decoder(self.middle(self.encoder(torch.cat([image, mask], dim=1))))}
