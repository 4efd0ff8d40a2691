"""AOT-GAN's block: parallel dilated convolutions, blended with the input by a normalized gate."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from inpaint_zoo.errors import ZooError
from inpaint_zoo.layers.spectral import SpectralConv2d
from inpaint_zoo.ops.precision import full_precision, without_autocast

__all__ = ["AOTBlock"]


class AOTBlock(nn.Module):
    """AOT block: parallel dilated convolutions, blended with the input by a gate.

    The output is x (1 - s) + fuse(x) s. Here fuse(x) merges the dilated convolutions, and s is the sigmoid of a gate
    that is normalized by its own mean and standard deviation. All convolutions use reflection padding.

    Source: AOT-GAN (Zeng et al., TVCG 2023) as released; docs/papers/grig.md, "Blocks". 442,752 parameters with 128
    channels.

    Args:
        channels: Input and output channels, a multiple of the number of rates.
        rates: Dilations of the branches, which have equal numbers of channels.
        spectral: Use spectral norm, as GRIG does.

    Shape:
        (B, channels, H, W) -> (B, channels, H, W), H and W greater than every rate.

    Raises:
        ZooError: If ``channels`` is not a multiple of the number of rates.
    """

    def __init__(self, channels: int, rates: Sequence[int] = (1, 2, 4, 8), spectral: bool = False) -> None:
        super().__init__()
        if channels % len(rates):
            raise ZooError(f"`channels` must be a multiple of the {len(rates)} rates, got {channels}.")
        convolution = SpectralConv2d if spectral else nn.Conv2d
        self.rates = tuple(rates)
        for number, rate in enumerate(rates):  # names as in the released checkpoints
            branch = convolution(channels, channels // len(rates), 3, dilation=rate, bias=True)
            self.add_module(f"block{number:02d}", nn.Sequential(nn.ReflectionPad2d(rate), branch, nn.ReLU()))
        self.fuse = nn.Sequential(nn.ReflectionPad2d(1), convolution(channels, channels, 3, bias=True))
        self.gate = nn.Sequential(nn.ReflectionPad2d(1), convolution(channels, channels, 3, bias=True))

    def forward(self, x: Tensor) -> Tensor:
        """Return features of shape (B, channels, H, W)."""
        branches = [self.get_submodule(f"block{number:02d}")(x) for number in range(len(self.rates))]
        let_in = _normalized(self.gate(x)).sigmoid().to(x.dtype)
        return x * (1 - let_in) + self.fuse(torch.cat(branches, dim=1)) * let_in


def _normalized(gate: Tensor) -> Tensor:
    """Return 10 (gate - mean) / std - 5, with the mean and the unbiased standard deviation of each channel.

    Computed in float32: the 1e-9 that avoids a division by 0 for constant channels does not exist in half precision.
    """
    with without_autocast(gate.device):
        gate = full_precision(gate)
        std, mean = torch.std_mean(gate, dim=(-2, -1), keepdim=True)
        return 5 * (2 * (gate - mean) / (std + 1e-9) - 1)
