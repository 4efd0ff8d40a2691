"""ISNet's discriminator: EdgeConnect's 70 px patches (specs/isnet.md, section 5)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from inpaint_zoo.layers.spectral import SpectralConv2d

__all__ = ["ISNetDiscriminator"]

STRIDES = (2, 2, 2, 1, 1)


class ISNetDiscriminator(nn.Module):
    """Five spectrally normalised 4x4 convolutions, padded by 1: 30x30 logits at 256 px.

    Source: ISNet as released. 2,763,776 parameters; receptive field 70 px.

    Args:
        width: Channels of the first map; doubled by each of the next three.

    Shape:
        image (B, 3, H, W) in [0, 1], H and W at least 24 -> logits (B, 1, H', W').
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        widths = (3, width, 2 * width, 4 * width, 8 * width, 1)
        for number, ((source, target), stride) in enumerate(zip(pairwise(widths), STRIDES, strict=True), 1):
            activation = [nn.LeakyReLU(0.2)] if number < len(STRIDES) else []
            self.add_module(f"conv{number}", nn.Sequential(SpectralConv2d(source, target, 4, stride, 1), *activation))

    def look(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits, and all five maps for feature matching and the like: four after their activation, and the logits."""
        features = []
        for layer in self.children():
            image = layer(image)
            features.append(image)
        return image, features

    def forward(self, image: Tensor) -> Tensor:
        """The logits alone."""
        return self.look(image)[0]
