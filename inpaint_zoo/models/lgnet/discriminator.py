"""LGNet's patch discriminator (specs/lgnet.md, section 3.5)."""

from __future__ import annotations

from torch import Tensor, nn

from inpaint_zoo.layers.spectral import SpectralConv2d

__all__ = ["LGNetDiscriminator"]


class LGNetDiscriminator(nn.Module):
    """Four spectrally normalised 5x5 convolutions and a plain one; 27x27 logits at 256 px.

    Source: LGNet as released; the paper says 32x32 logits. 4,318,401 parameters; receptive field 93 px. Spectral norm
    takes one power iteration for each pass in training, none in eval mode.

    Args:
        width: Channels of the first map; doubled by each of the next three.

    Shape:
        image (B, 3, H, W) in [-1, 1], H and W at least 64 -> logits (B, 1, H', W').
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        widths = (3, width, 2 * width, 4 * width, 8 * width)
        layers: list[nn.Module] = []
        for number, stride in enumerate((2, 2, 2, 1)):
            layers += [
                SpectralConv2d(widths[number], widths[number + 1], 5, stride, 1),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.encoder = nn.Sequential(*layers)
        self.classifier = nn.Conv2d(widths[-1], 1, 5, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """The logits."""
        return self.classifier(self.encoder(image))
