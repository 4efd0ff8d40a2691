"""GRIG's convolutional blocks, as FastGAN has them, and the noise between them (specs/grig.md, section 3.1)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from inpaint_zoo.layers.fusion import Fusable
from inpaint_zoo.layers.spectral import SpectralConv2d
from inpaint_zoo.models.grig.fused import fused_with_noise

__all__ = ["SLE", "Down", "Noise", "NoiseMode", "UpTwice", "fixed_noise", "up"]

NoiseMode = Literal["random", "const", "none"]

GOLDEN = 0x9E3779B9  # 2^32 over the golden ratio: how far one seed lies from the next
WORD = 0xFFFFFFFF


class Down(nn.Module):
    """Half the sides: the mean of two convolutions and of a pooled shortcut.

    Shape:
        (B, source, H, W) -> (B, target, H / 2, W / 2).
    """

    def __init__(self, source: int, target: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            SpectralConv2d(source, target, 4, 2, 1),
            nn.BatchNorm2d(target),
            nn.LeakyReLU(0.2, inplace=True),
            SpectralConv2d(target, target, 3, padding=1),
            nn.BatchNorm2d(target),
            nn.LeakyReLU(0.2, inplace=True),
        )
        self.direct = nn.Sequential(
            nn.AvgPool2d(2), SpectralConv2d(source, target, 1), nn.BatchNorm2d(target), nn.LeakyReLU(0.2, inplace=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """The mean of both ways."""
        return (self.main(x) + self.direct(x)) / 2


def _mixed(x: Tensor) -> Tensor:
    """A bijection of 32-bit words, held in int64, in which each bit of the input turns half of the output's."""
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & WORD
    x = ((x ^ (x >> 15)) * 0x846CA68B) & WORD
    return x ^ (x >> 16)


def fixed_noise(height: int, width: int, seed: int, device: torch.device) -> Tensor:
    """(1, 1, H, W) float32, standard normal, and a pure function of the seed and of each pixel's row and column.

    No generator's state is involved: every device, batch and run has the same numbers up to rounding.
    """
    row, column = (torch.arange(side, device=device) for side in (height, width))
    word = _mixed(_mixed(row + seed * GOLDEN & WORD)[:, None] ^ column)
    uniform, angle = (((w >> 8) + 1).float() / 2**24 for w in (word, _mixed(word ^ GOLDEN)))  # in (0, 1]
    return ((-2 * uniform.log()).sqrt() * (2 * torch.pi * angle).cos())[None, None]


class Noise(nn.Module):
    """x plus one noise map for all channels, times a learned gain that begins at 0.

    Args:
        seed: Of the fixed noise.

    Attributes:
        mode: In eval mode: a fresh map at each call, always the same one, or none. In training always a fresh one.

    Shape:
        (B, C, H, W) -> the same.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seed = seed
        self.mode: NoiseMode = "const"

    def drawn(self, x: Tensor) -> Tensor | None:
        """The noise for ``x``, of one channel, before its gain; None where there is none."""
        if self.training or self.mode == "random":
            return torch.randn(len(x), 1, *x.shape[-2:], dtype=x.dtype, device=x.device)
        return fixed_noise(x.shape[-2], x.shape[-1], self.seed, x.device) if self.mode == "const" else None

    def forward(self, x: Tensor) -> Tensor:
        """The sum, in the precision of ``x``."""
        noise = self.drawn(x)
        return x if noise is None else x + (self.weight * noise).to(x.dtype)


def _enlarged() -> nn.Module:
    return nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=True)


def up(source: int, target: int) -> nn.Sequential:
    """(B, source, H, W) -> (B, target, 2 H, 2 W): bilinear, then one convolution, its halves gating each other."""
    convolution = SpectralConv2d(source, 2 * target, 3, padding=1)
    return nn.Sequential(_enlarged(), convolution, nn.BatchNorm2d(2 * target), nn.GLU(dim=1))


class UpTwice(nn.Sequential, Fusable):
    """As `up`, with two convolutions and noise behind each.

    Args:
        source: Channels in.
        target: Channels out.
        seed: Of the first noise; the second has the next one.
    """

    def __init__(self, source: int, target: int, seed: int) -> None:
        super().__init__(_enlarged())
        for number, channels in enumerate((source, target)):
            self.extend([SpectralConv2d(channels, 2 * target, 3, padding=1), Noise(seed + number)])
            self.extend([nn.BatchNorm2d(2 * target), nn.GLU(dim=1)])

    def fused(self) -> nn.Module:
        """The form whose norms are part of the convolutions and of the noise."""
        enlarge, *layers = self
        return nn.Sequential(enlarge, fused_with_noise(layers[:3]), layers[3], fused_with_noise(layers[4:7]), layers[7])


class SLE(nn.Module):
    """Skip-layer excitation: one map's channels are weighed by what another map, of any size, looks like as a whole.

    Args:
        source: Channels of the map that drives the gate.
        target: Channels of the map that is weighed.

    Shape:
        driver (B, source, h, w), x (B, target, H, W) -> (B, target, H, W).
    """

    def __init__(self, source: int, target: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.AdaptiveAvgPool2d(4), SpectralConv2d(source, target, 4), nn.SiLU(), SpectralConv2d(target, target, 1)
        )

    def forward(self, driver: Tensor, x: Tensor) -> Tensor:
        """The weighed map."""
        return x * self.main(driver).sigmoid()
