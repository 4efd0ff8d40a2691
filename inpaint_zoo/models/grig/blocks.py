"""GRIG's convolutional blocks, as FastGAN has them, and the noise between them (specs/grig.md, section 3.1)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from inpaint_zoo.layers.spectral import SpectralConv2d

__all__ = ["SLE", "Down", "Noise", "NoiseMode", "fixed_noise", "up", "up_twice"]

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

    def forward(self, x: Tensor) -> Tensor:
        """The sum, in the precision of ``x``."""
        if self.training or self.mode == "random":
            noise = torch.randn(len(x), 1, *x.shape[-2:], dtype=x.dtype, device=x.device)
        elif self.mode == "const":
            noise = fixed_noise(x.shape[-2], x.shape[-1], self.seed, x.device)
        else:
            return x
        return x + (self.weight * noise).to(x.dtype)


def _enlarged() -> nn.Module:
    return nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=True)


def _glu(source: int, target: int, noise: int | None = None) -> list[nn.Module]:
    """A convolution, noise if its seed is given, batch norm, and one half of the channels gated by the other."""
    between: list[nn.Module] = [] if noise is None else [Noise(noise)]
    convolution = SpectralConv2d(source, 2 * target, 3, padding=1)
    return [convolution, *between, nn.BatchNorm2d(2 * target), nn.GLU(dim=1)]


def up(source: int, target: int) -> nn.Sequential:
    """(B, source, H, W) -> (B, target, 2 H, 2 W): bilinear, then one convolution, its halves gating each other."""
    return nn.Sequential(_enlarged(), *_glu(source, target))


def up_twice(source: int, target: int, seed: int) -> nn.Sequential:
    """As `up`, with two convolutions and noise behind each."""
    return nn.Sequential(_enlarged(), *_glu(source, target, seed), *_glu(target, target, seed + 1))


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
