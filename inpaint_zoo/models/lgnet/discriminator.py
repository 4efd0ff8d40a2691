"""LGNet's patch discriminator (docs/papers/lgnet.md, "Discriminator")."""

from __future__ import annotations

from torch import Tensor, nn

from inpaint_zoo.layers.spectral import SpectralConv2d

__all__ = ["LGNetDiscriminator"]


class LGNetDiscriminator(nn.Module):
    """LGNet's patch discriminator: four 5x5 convolutions with spectral norm, and one without.

    A 256x256 image gives 27x27 logits; the paper says 32x32. Spectral norm runs one power iteration per forward pass in
    training mode and none in eval mode.

    Source: LGNet as released. 4,318,401 parameters; receptive field 93 px.

    Args:
        width: Channels of the first feature map; each of the next three convolutions doubles them.

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
        """Return the logits (B, 1, H', W')."""
        return self.classifier(self.encoder(image))
