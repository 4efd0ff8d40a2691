"""The convolutional autoencoder baseline of the GLCIC / Contextual Attention study (specs/glcic_ca.md, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = ["AutoencoderGenerator"]


def _encoder_level(channels_in: int, channels: int) -> nn.Sequential:
    """Two 3x3 convolutions with batch norm and ReLU, then half the sides."""
    layers: list[nn.Module] = []
    for source in (channels_in, channels):
        layers += [nn.Conv2d(source, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.MaxPool2d(2))


def _decoder_level(channels_in: int, channels: int) -> nn.Sequential:
    """Twice the sides by a 4x4 transposed convolution."""
    return nn.Sequential(
        nn.ConvTranspose2d(channels_in, channels, 4, stride=2, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


class AutoencoderGenerator(InpaintingNetwork):
    """Encoder, bottleneck at a sixteenth of the sides, decoder; no skip connection, and the mask is not fed.

    Source: paper section III-A-2, which leaves the layers open; widths as the zoo's specification fixes them. 7,446,147
    parameters at the default widths. Adversarial and perceptual terms: none, the loss is the MSE of the whole output.

    Args:
        widths: Channels of the four encoder levels, from full size down.

    Shape:
        `predict`: image (B, 3, H, W) in [-1, 1], hole 0, H and W multiples of 16 -> stage `prediction` in [-1, 1].
    """

    divisor = 16
    min_size = 16
    value_range = (-1.0, 1.0)
    hole_value = 0.0
    takes_filling = True

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
        """Return the raw reconstruction of the whole picture; ``mask`` only told where the hole's zeros are."""
        code = self.encoder(image)  # (B, widths[-1], H/16, W/16)
        return {"prediction": self.decoder(code)}
