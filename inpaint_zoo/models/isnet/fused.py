"""ISNet's parts for inference: sums written in place, and no map that only lies beside another."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from inpaint_zoo.layers.fusion import Activation, FusedConv2d, fuse

__all__ = ["FusedMerging", "FusedResidual"]


class FusedResidual(nn.Module):
    """activation(x + layers(x)), written over x.

    Args:
        layers: Convolution, activation, convolution.
        activation: After the sum.
        skip: What stands for x in the sum; x itself by default.
    """

    def __init__(self, layers: nn.Sequential, activation: nn.Module, skip: nn.Module | None = None) -> None:
        super().__init__()
        first, _, second = fuse(layers).children()
        self.first, self.second = first, cast(FusedConv2d, second)
        self.second.activation = Activation.of(activation)
        self.skip = nn.Identity() if skip is None else fuse(skip)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W)."""
        return self.second(self.first(x), into=self.skip(x))


class FusedMerging(nn.Module):
    """One convolution over several maps as the sum of a convolution for each.

    Args:
        convolution: Plain.
        sources: Channels of each map.
        activation: After the sum.
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
        """[(B, C_i, H, W), ...] -> (B, target, H, W)."""
        first, *others = zip(self.parts, maps, strict=True)
        out = first[0](first[1])
        for part, x in others:
            out = part(x, into=out)
        return out
