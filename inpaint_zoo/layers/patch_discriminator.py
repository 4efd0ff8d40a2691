"""Layers of the patch discriminator with a receptive field of 70 px, which AOT-GAN, GRIG and ISNet use."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from inpaint_zoo.layers.spectral import SpectralConv2d

__all__ = ["patch_layers"]

STRIDES = (2, 2, 2, 1)  # strides of the hidden convolutions; the last convolution has stride 1


def patch_layers(width: int = 64, *, bias: bool = False, spectral_head: bool = True) -> nn.Sequential:
    """Return five 4x4 convolutions with padding 1, with LeakyReLU after the first four.

    The convolutions have spectral norm and no other normalization. A 256x256 image gives 30x30 logits; the receptive
    field is 70 px. Each family stores the result under the attribute name of its released state dict; the indices (0,
    2, 4, 6, 8 for the convolutions) are the authors'.

    Args:
        width: Channels of the first feature map; each of the next three convolutions doubles them.
        bias: Whether the convolutions with spectral norm have a bias.
        spectral_head: Whether the last convolution has spectral norm; without it, it has a bias.

    Shape:
        image (B, 3, H, W), H and W at least 24 -> logits (B, 1, H/8 - 2, W/8 - 2), rounded down.
    """
    *hidden, last = pairwise((3, width, 2 * width, 4 * width, 8 * width, 1))
    layers: list[nn.Module] = []
    for (source, target), stride in zip(hidden, STRIDES, strict=True):
        layers += [SpectralConv2d(source, target, 4, stride, 1, bias=bias), nn.LeakyReLU(0.2, inplace=True)]
    head = SpectralConv2d(*last, 4, 1, 1, bias=bias) if spectral_head else nn.Conv2d(*last, 4, 1, 1)
    return nn.Sequential(*layers, head)
