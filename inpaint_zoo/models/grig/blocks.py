"""GRIG's convolutional blocks, taken from FastGAN, and its noise layers (docs/papers/grig.md, "Blocks")."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from inpaint_zoo.layers.spectral import SpectralConv2d

__all__ = ["SLE", "Down", "Noise", "NoiseMode", "UpTwice", "fixed_noise", "up"]

NoiseMode = Literal["random", "const", "none"]

GOLDEN = 0x9E3779B9  # 2^32 / golden ratio: spreads consecutive seeds over the 32-bit words
WORD = 0xFFFFFFFF


class Down(nn.Module):
    """Downsampling block: the mean of a path of two convolutions and a path of average pooling and a 1x1 convolution.

    Shape:
        (B, source, H, W) -> (B, target, H/2, W/2).
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
        """Return the mean of both paths, (B, target, H/2, W/2)."""
        return (self.main(x) + self.direct(x)) / 2


def _mixed(x: Tensor) -> Tensor:
    """Hash 32-bit words, stored as int64: a bijection in which each input bit flips about half of the output bits."""
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & WORD
    x = ((x ^ (x >> 15)) * 0x846CA68B) & WORD
    return x ^ (x >> 16)


def fixed_noise(height: int, width: int, seed: int, device: torch.device) -> Tensor:
    """Return standard normal noise (1, 1, H, W) in float32 that depends only on seed, row and column of each pixel.

    It uses no random generator: every device, batch and run gets the same numbers, up to rounding.
    """
    row, column = (torch.arange(side, device=device) for side in (height, width))
    word = _mixed(_mixed(row + seed * GOLDEN & WORD)[:, None] ^ column)
    uniform, angle = (((w >> 8) + 1).float() / 2**24 for w in (word, _mixed(word ^ GOLDEN)))  # in (0, 1]
    return ((-2 * uniform.log()).sqrt() * (2 * torch.pi * angle).cos())[None, None]


class Noise(nn.Module):
    """Noise layer: adds one noise map, shared by all channels, times a learned gain that starts at 0.

    Args:
        seed: Seed of the fixed noise.

    Attributes:
        mode: Noise in eval mode: "random" draws new noise at each call, "const" always uses the same noise, "none" adds
            no noise. In training mode the noise is always random.

    Shape:
        (B, C, H, W) -> (B, C, H, W).
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seed = seed
        self.mode: NoiseMode = "const"

    def drawn(self, x: Tensor) -> Tensor | None:
        """Return the noise for ``x`` before the gain, of shape (B, 1, H, W) or (1, 1, H, W); None if none is added."""
        if self.training or self.mode == "random":
            return torch.randn(len(x), 1, *x.shape[-2:], dtype=x.dtype, device=x.device)
        return fixed_noise(x.shape[-2], x.shape[-1], self.seed, x.device) if self.mode == "const" else None

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus the scaled noise, in the dtype of ``x``."""
        noise = self.drawn(x)
        return x if noise is None else x + (self.weight * noise).to(x.dtype)


def _enlarged() -> nn.Module:
    return nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=True)


def up(source: int, target: int) -> nn.Sequential:
    """Return an upsampling block (B, source, H, W) -> (B, target, 2H, 2W): bilinear, convolution, batch norm, GLU."""
    convolution = SpectralConv2d(source, 2 * target, 3, padding=1)
    return nn.Sequential(_enlarged(), convolution, nn.BatchNorm2d(2 * target), nn.GLU(dim=1))


class UpTwice(nn.Sequential):
    """Upsampling block like `up`, but with two convolutions, each followed by noise.

    Args:
        source: Input channels.
        target: Output channels.
        seed: Seed of the first noise layer; the second one uses ``seed + 1``.
    """

    def __init__(self, source: int, target: int, seed: int) -> None:
        super().__init__(_enlarged())
        for number, channels in enumerate((source, target)):
            self.extend([SpectralConv2d(channels, 2 * target, 3, padding=1), Noise(seed + number)])
            self.extend([nn.BatchNorm2d(2 * target), nn.GLU(dim=1)])


class SLE(nn.Module):
    """Skip-layer excitation: channel attention whose weights are computed from another feature map of any size.

    Args:
        source: Channels of the feature map that the weights are computed from.
        target: Channels of the feature map that is weighted.

    Shape:
        driver (B, source, h, w), x (B, target, H, W) -> (B, target, H, W).
    """

    def __init__(self, source: int, target: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.AdaptiveAvgPool2d(4), SpectralConv2d(source, target, 4), nn.SiLU(), SpectralConv2d(target, target, 1)
        )

    def forward(self, driver: Tensor, x: Tensor) -> Tensor:
        """Return ``x`` with each channel multiplied by its weight in (0, 1)."""
        return x * self.main(driver).sigmoid()
