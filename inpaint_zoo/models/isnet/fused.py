"""Inference form of ISNet's blocks: sums are computed in place, and feature maps are not concatenated."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from inpaint_zoo.layers.fusion import Activation, FusedConv2d, fuse

__all__ = ["FusedMerging", "FusedResidual"]


class FusedResidual(nn.Module):
    """Residual block, activation(skip(x) + layers(x)); without ``skip``, the result overwrites x.

    Args:
        layers: Convolution, activation, convolution.
        activation: Activation after the sum.
        skip: Module in the skip connection; the identity by default.
    """

    def __init__(self, layers: nn.Sequential, activation: nn.Module, skip: nn.Module | None = None) -> None:
        super().__init__()
        first, _, second = fuse(layers).children()
        self.first, self.second = first, cast(FusedConv2d, second)
        self.second.activation = Activation.of(activation)
        self.skip = nn.Identity() if skip is None else fuse(skip)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H, W)."""
        return self.second(self.first(x), into=self.skip(x))


class FusedMerging(nn.Module):
    """A convolution over concatenated feature maps, computed as the sum of one convolution per feature map.

    Args:
        convolution: The convolution over the concatenation, without spectral norm.
        sources: Channels of each feature map.
        activation: Activation after the sum.
    """

    def __init__(self, convolution: nn.Conv2d, sources: list[int], activation: nn.Module) -> None:
        super().__init__()
        parts: list[FusedConv2d] = []
        for weight in torch.split(convolution.weight.detach(), sources, dim=1):
            part = nn.Conv2d(1, 1, 1, padding=convolution.padding, bias=False)  # type: ignore[arg-type]
            part.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
            part.bias = None if parts else convolution.bias
            parts.append(FusedConv2d(part))
        parts[-1].activation = Activation.of(activation)
        self.parts = nn.ModuleList(parts)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Map a list of feature maps (B, C_i, H, W) to (B, target, H, W)."""
        first, *others = zip(self.parts, maps, strict=True)
        out = first[0](first[1])
        for part, x in others:
            out = part(x, into=out)
        return out
