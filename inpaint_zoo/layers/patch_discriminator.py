"""The discriminator that judges patches of 70 px: AOT-GAN's, GRIG's and, by other names, ISNet's."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from inpaint_zoo.layers.spectral import SpectralConv2d

__all__ = ["patch_layers"]

STRIDES = (2, 2, 2, 1)  # of the hidden ones; the last convolution has 1


def patch_layers(width: int = 64, *, bias: bool = False, spectral_head: bool = True) -> nn.Sequential:
    """Five 4x4 convolutions, padded by 1, four of them with LeakyReLU behind: 30x30 logits at 256 px.

    Spectral norm and no other; receptive field 70 px. Families keep it under the name that their released state dicts
    have; the numbers in it (0, 2, 4, 6, 8 for the convolutions) are the authors'.

    Args:
        width: Channels of the first map; doubled by each of the next three.
        bias: Give the normalised convolutions biases.
        spectral_head: Normalise the last convolution too; otherwise it is a plain one with a bias.

    Shape:
        image (B, 3, H, W), H and W at least 24 -> logits (B, 1, H / 8 - 2, W / 8 - 2), rounded down.
    """
    *hidden, last = pairwise((3, width, 2 * width, 4 * width, 8 * width, 1))
    layers: list[nn.Module] = []
    for (source, target), stride in zip(hidden, STRIDES, strict=True):
        layers += [SpectralConv2d(source, target, 4, stride, 1, bias=bias), nn.LeakyReLU(0.2, inplace=True)]
    head = SpectralConv2d(*last, 4, 1, 1, bias=bias) if spectral_head else nn.Conv2d(*last, 4, 1, 1)
    return nn.Sequential(*layers, head)
