"""Inference form of GRIG's noise layers: the batch norm after the noise is folded into convolution and noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from inpaint_zoo.inference.fusion import FusedConv2d, fold, fuse
from inpaint_zoo.models.grig.blocks import Noise, UpTwice

__all__ = ["FusedNoise", "fuse_up_twice"]


class FusedNoise(nn.Module):
    """Noise with the following batch norm folded in: one gain per channel. The result overwrites the input.

    Args:
        noise: The noise layer before the norm.
        scale: The factor by which the norm multiplies each channel, (C,).
    """

    def __init__(self, noise: Noise, scale: Tensor) -> None:
        super().__init__()
        self.noise = noise
        self.register_buffer("gain", (noise.weight.detach() * scale.detach()).view(-1, 1, 1))
        self.gain: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus the scaled noise, (B, C, H, W), written into x."""
        drawn = self.noise.drawn(x)
        return x if drawn is None else x.addcmul_(self.gain.to(x.dtype), drawn.to(x.dtype))


@fuse.register(UpTwice)
def fuse_up_twice(block: UpTwice) -> nn.Sequential:
    """Fold the batch norms of the block into its convolutions and noise."""
    enlarge, *layers = block
    return nn.Sequential(enlarge, _with_noise(layers[:3]), layers[3], _with_noise(layers[4:7]), layers[7])


def _with_noise(layers: Sequence[nn.Module]) -> nn.Sequential:
    """Fuse convolution, noise and norm: fold the norm into the convolution's weights and the noise's gain."""
    convolution, noise, norm = cast(tuple[nn.Conv2d, Noise, nn.BatchNorm2d], layers)
    assert norm.running_var is not None
    folded = FusedConv2d(fold(convolution, norm))
    if not bool(noise.weight.any()):
        return nn.Sequential(folded)
    return nn.Sequential(folded, FusedNoise(noise, norm.weight / torch.sqrt(norm.running_var + norm.eps)))
