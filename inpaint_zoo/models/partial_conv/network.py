"""The U-Net of partial convolutions (specs/glcic_ca.md, section 13)."""

from __future__ import annotations

from itertools import chain, repeat

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.errors import ZooError
from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.layers.features import IMAGENET_MEAN, IMAGENET_STD
from inpaint_zoo.layers.partial_conv import PartialBlock

__all__ = ["PartialConvGenerator"]

WIDEST = 8  # times the width of the first level


class PartialConvGenerator(InpaintingNetwork):
    """A U-Net whose every convolution sees known places only; the mask shrinks level by level.

    Each halving rounds up and each doubling goes back to the sides of the encoder's map, so nothing is padded: mirrored
    pixels would count as known ones, while the borders of a partial convolution are unknown by themselves.

    Source: Liu et al., ECCV 2018, with NVIDIA's layer. 25,784,276 parameters at seven levels, 32,865,236 at eight.

    Args:
        levels: Halvings: 7 for 256 px, 8 for 512 px.
        width: Channels of the first level, doubled by each of the next three.

    Shape:
        `predict`: image (B, 3, H, W) in [0, 1], mask (B, 1, H, W), any sides -> `prediction`, raw; inside, ImageNet's
        mean is 0 and its deviation 1. Where nothing is known, the mean.

    Raises:
        ZooError: No level.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, levels: int = 7, width: int = 64) -> None:
        super().__init__()
        if levels < 1:
            raise ZooError(f"`levels` must be 1 or more, got {levels}.")
        widths = [3] + [width * min(2**level, WIDEST) for level in range(levels)]
        kernels = chain((7, 5, 5), repeat(3))
        self.encoder = nn.ModuleList(
            PartialBlock(
                source,
                target,
                kernel,
                2,
                norm=level > 0,
                activation=nn.ReLU(inplace=True),
            )
            for level, (source, target, kernel) in enumerate(zip(widths[:-1], widths[1:], kernels, strict=False))
        )
        self.decoder = nn.ModuleList(
            PartialBlock(
                below + skip,
                skip,
                shares=(below, skip),
                norm=level > 0,
                activation=nn.LeakyReLU(0.2, inplace=True) if level else None,
            )
            for level, skip, below in reversed(list(zip(range(levels), widths[:-1], widths[1:], strict=True)))
        )
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(-1, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(IMAGENET_STD).view(-1, 1, 1), persistent=False)

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the raw prediction."""
        known = (1 - mask).float()
        x = (image - self.mean) / self.deviation * known
        skips = []
        for block in self.encoder:
            skips.append((x, known))
            x, known = block(x, known)
        for block in self.decoder:
            skip, skip_known = skips.pop()
            size = skip.shape[-2:]
            x = torch.cat([F.interpolate(x, size), skip], dim=1)  # nearest
            known = torch.cat([F.interpolate(known, size), skip_known], dim=1)
            x, known = block(x, known)
        return {"prediction": x * self.deviation + self.mean}
