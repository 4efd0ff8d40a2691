"""Inference form of ISNet's blocks: sums are computed in place, and feature maps are not concatenated."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from inpaint_zoo.inference.fusion import Activation, FusedConv2d, fuse, without_spectral_norm
from inpaint_zoo.models.isnet.network import Merging, ResidualBlock, Stem

__all__ = ["FusedMerging", "FusedResidual"]


@fuse.register(ResidualBlock)
@fuse.register(Stem)
class FusedResidual(nn.Module):
    """Inference form of `ResidualBlock`, whose result overwrites its input, and of `Stem`."""

    def __init__(self, block: ResidualBlock | Stem) -> None:
        super().__init__()
        first, _, second = fuse(block.layers).children()
        self.first, self.second = first, cast(FusedConv2d, second)
        self.second.activation = Activation.of(block.activation)
        self.skip = fuse(block.skip) if isinstance(block, Stem) else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H, W)."""
        return self.second(self.first(x), into=self.skip(x))


@fuse.register(Merging)
class FusedMerging(nn.Module):
    """Inference form of `Merging`: the sum of one convolution per feature map, which are not concatenated."""

    def __init__(self, layer: Merging) -> None:
        super().__init__()
        convolution = without_spectral_norm(layer.convolution)
        parts: list[FusedConv2d] = []
        for weight in torch.split(convolution.weight.detach(), layer.sources, dim=1):
            part = nn.Conv2d(1, 1, 1, padding=convolution.padding, bias=False)  # type: ignore[arg-type]
            part.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
            part.bias = None if parts else convolution.bias
            parts.append(FusedConv2d(part))
        parts[-1].activation = Activation.of(layer.activation)
        self.parts = nn.ModuleList(parts)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Map a list of feature maps (B, C_i, H, W) to (B, target, H, W)."""
        first, *others = zip(self.parts, maps, strict=True)
        out = first[0](first[1])
        for part, x in others:
            out = part(x, into=out)
        return out
