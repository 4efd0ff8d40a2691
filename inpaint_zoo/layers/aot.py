"""AOT-GAN's block: what dilated convolutions see at several distances, let in by a gate that is normalised per map."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from inpaint_zoo.errors import ZooError
from inpaint_zoo.layers.fusion import Fusable, fuse
from inpaint_zoo.layers.spectral import SpectralConv2d
from inpaint_zoo.ops.precision import full_precision, without_autocast

__all__ = ["AOTBlock"]


class AOTBlock(Fusable):
    """x (1 - s) + fuse(x) s, where fuse merges dilated convolutions and s is the sigmoid of a gate's own statistics.

    Source: AOT-GAN (Zeng et al., TVCG 2023) as released; specs/grig.md, section 3.1. Reflection padding throughout.
    442,752 parameters at 128 channels.

    Args:
        channels: In and out, a multiple of the number of rates.
        rates: Dilations of the branches, each of which makes an equal part of the channels.
        spectral: Divide the weights by their spectral norm, as GRIG does.

    Shape:
        (B, channels, H, W) -> the same; H and W greater than every rate.

    Raises:
        ZooError: The channels cannot be shared out evenly.
    """

    def __init__(self, channels: int, rates: Sequence[int] = (1, 2, 4, 8), spectral: bool = False) -> None:
        super().__init__()
        if channels % len(rates):
            raise ZooError(f"`channels` must be a multiple of the {len(rates)} rates, got {channels}.")
        convolution = SpectralConv2d if spectral else nn.Conv2d
        self.rates = tuple(rates)
        for number, rate in enumerate(rates):  # the names are the released checkpoints'
            branch = convolution(channels, channels // len(rates), 3, dilation=rate, bias=True)
            self.add_module(f"block{number:02d}", nn.Sequential(nn.ReflectionPad2d(rate), branch, nn.ReLU()))
        self.fuse = nn.Sequential(nn.ReflectionPad2d(1), convolution(channels, channels, 3, bias=True))
        self.gate = nn.Sequential(nn.ReflectionPad2d(1), convolution(channels, channels, 3, bias=True))

    def forward(self, x: Tensor) -> Tensor:
        """The gated sum."""
        branches = [self.get_submodule(f"block{number:02d}")(x) for number in range(len(self.rates))]
        let_in = _normalized(self.gate(x)).sigmoid().to(x.dtype)
        return x * (1 - let_in) + self.fuse(torch.cat(branches, dim=1)) * let_in

    def fused(self) -> nn.Module:
        """The form that goes over the gate and the sum few times."""
        return _Fused(self)


def _normalized(gate: Tensor) -> Tensor:
    """Ten times the distance from each map's mean in its (unbiased) standard deviations, less 5: -5 where they agree.

    In float32: half precision has no number for the summand that keeps a constant map's deviation from 0.
    """
    with without_autocast(gate.device):
        gate = full_precision(gate)
        std, mean = torch.std_mean(gate, dim=(-2, -1), keepdim=True)
        return 5 * (2 * (gate - mean) / (std + 1e-9) - 1)


class _Fused(nn.Module):
    """An `AOTBlock` for inference."""

    def __init__(self, block: AOTBlock) -> None:
        super().__init__()
        self.branches = nn.ModuleList(fuse(block.get_submodule(f"block{k:02d}")) for k in range(len(block.rates)))
        self.fuse, self.gate = fuse(block.fuse), fuse(block.gate)

    def forward(self, x: Tensor) -> Tensor:
        """As the block's."""
        merged = self.fuse(torch.cat([branch(x) for branch in self.branches], dim=1))
        with without_autocast(x.device):
            gate = full_precision(self.gate(x))
            gate = gate - gate.mean(dim=(-2, -1), keepdim=True)
            # the deviation in two plain passes: `std_mean` is slow where channels lie last
            freedom = gate.shape[-2] * gate.shape[-1] - 1
            std = (gate.square().sum(dim=(-2, -1), keepdim=True) / freedom).sqrt_()
            let_in = gate.mul_(10 / (std + 1e-9)).sub_(5).sigmoid_().to(merged.dtype)
            return torch.lerp(x.to(merged.dtype), merged, let_in)
