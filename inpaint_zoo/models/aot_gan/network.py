"""AOT-GAN's generator: blocks with several dilations at 1/4 resolution (docs/papers/grig.md)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.layers.aot import AOTBlock

__all__ = ["AOTGANGenerator"]


class UpsampleConv(nn.Sequential):
    """Bilinear upsampling by 2 with aligned corners, a 3x3 convolution and ReLU."""

    def __init__(self, source: int, target: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(source, target, 3, padding=1)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, source, H, W) to (B, target, 2H, 2W)."""
        x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)
        return super().forward(x)  # type: ignore[no-untyped-call]


class AOTGANGenerator(InpaintingNetwork):
    """AOT-GAN generator: three convolutions to 1/4 resolution, AOT blocks, three convolutions back.

    The only normalization is in the gates of the AOT blocks.

    Source: AOT-GAN (Zeng et al., TVCG 2023) as released; docs/papers/grig.md, "AOT-GAN". 15,200,835
    parameters.

    Args:
        width: Channels at full resolution; twice as many at 1/2, four times as many at 1/4 resolution.
        blocks: Number of AOT blocks.
        rates: Dilations of the branches of each block. Reflection padding needs feature maps at 1/4 resolution that are
            larger than the largest dilation.

    Shape:
        `predict`: image (B, 3, H, W) in [-1, 1] with 1 (white) in the hole, mask (B, 1, H, W) with 1 = hole, H and W
        multiples of 4 and at least ``min_size`` -> raw stage `prediction` (B, 3, H, W) in [-1, 1].
    """

    value_range = (-1.0, 1.0)
    hole_value = 1.0
    divisor = 4
    training_size = 512
    takes_hole_fill = True

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
        # names as in the released state dict, whose indices include the activations
        self.decoder.add_module("0", UpsampleConv(four, two))
        self.decoder.add_module("2", UpsampleConv(two, one))
        self.decoder.add_module("4", nn.Conv2d(one, 3, 3, padding=1))
        self.decoder.add_module("5", nn.Tanh())

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the raw prediction, in [-1, 1]."""
        raw = self.decoder(self.middle(self.encoder(torch.cat([image, mask], dim=1))))
        return {"prediction": self.to_prediction(raw, image)}
