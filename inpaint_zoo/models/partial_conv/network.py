"""The U-Net of partial convolutions (docs/papers/glcic_ca.md, "Partial convolutions")."""

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

WIDEST = 8  # maximum number of channels, as a multiple of the first level's


class PartialConvGenerator(InpaintingNetwork):
    """U-Net of partial convolutions: every convolution uses known positions only, and each one shrinks the hole.

    Downsampling rounds sizes up, and upsampling restores the size of the encoder's feature map, so images of any size
    need no padding. Reflection padding would count as known pixels, whereas a partial convolution treats its own
    padding as unknown.

    Source: Liu et al., ECCV 2018, with NVIDIA's layer. 25,784,276 parameters with seven levels, 32,865,236 with eight.

    Args:
        levels: Number of downsamplings by 2: 7 for 256x256 images, 8 for 512x512.
        width: Channels of the first level; each of the next three doubles them.

    Shape:
        `predict`: image (B, 3, H, W) in [0, 1], mask (B, 1, H, W) with 1 = hole, any H and W -> raw stage `prediction`
        (B, 3, H, W), not bounded. Inside, images are normalized by ImageNet's mean and standard deviation. Positions
        without any known pixel in reach get ImageNet's mean.

    Raises:
        ZooError: If ``levels`` is below 1.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, levels: int = 7, width: int = 64) -> None:
        super().__init__()
        if levels < 1:
            raise ZooError(f"`levels` must be at least 1, got {levels}.")
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
        """Return the raw, unbounded prediction of the whole image."""
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
        return {"prediction": self.to_prediction(x * self.deviation + self.mean, image)}
