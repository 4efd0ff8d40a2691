"""The convolutional autoencoder baseline of the GLCIC / Contextual Attention study (docs/papers/glcic_ca.md)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = ["AutoencoderGenerator"]


def _encoder_level(channels_in: int, channels: int) -> nn.Sequential:
    """Return two 3x3 convolutions with batch norm and ReLU, followed by max pooling by 2."""
    layers: list[nn.Module] = []
    for source in (channels_in, channels):
        layers += [nn.Conv2d(source, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.MaxPool2d(2))


def _decoder_level(channels_in: int, channels: int) -> nn.Sequential:
    """Return a 4x4 transposed convolution that upsamples by 2, with batch norm and ReLU."""
    return nn.Sequential(
        nn.ConvTranspose2d(channels_in, channels, 4, stride=2, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


class AutoencoderGenerator(InpaintingNetwork):
    """Convolutional autoencoder with a bottleneck at 1/16 resolution and without skip connections.

    The mask is not an input of the network; hole pixels are 0.

    Source: section III-A-2 of the study, which does not specify the layers; the channels are chosen here
    (docs/papers/glcic_ca.md, "Autoencoder"). 7,446,147 parameters with the default channels.

    Args:
        widths: Channels of the four encoder levels, starting at full resolution.

    Shape:
        `predict`: image (B, 3, H, W) in [-1, 1] with 0 in the hole, H and W multiples of 16 -> raw stage `prediction`
        (B, 3, H, W) in [-1, 1].
    """

    divisor = 16
    min_size = 16
    value_range = (-1.0, 1.0)
    hole_value = 0.0
    takes_hole_fill = True

    def __init__(self, widths: Sequence[int] = (64, 128, 256, 512)) -> None:
        super().__init__()
        ins = (3, *widths[:-1])
        self.encoder = nn.Sequential(
            *(_encoder_level(source, width) for source, width in zip(ins, widths, strict=True))
        )
        downwards = list(reversed(widths))  # 512, 256, 128, 64
        self.decoder = nn.Sequential(
            *(_decoder_level(source, width) for source, width in pairwise(downwards)),
            nn.ConvTranspose2d(widths[0], 3, 4, stride=2, padding=1),
            nn.Tanh(),
        )

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the raw reconstruction of the whole image, in [-1, 1]; ``mask`` is not used."""
        code = self.encoder(image)  # (B, widths[-1], H/16, W/16)
        return {"prediction": self.to_prediction(self.decoder(code), image)}
