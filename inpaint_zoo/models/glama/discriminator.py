"""LaMa's discriminator: the patch discriminator of pix2pixHD with four hidden strides (specs/glama.md, section 4)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

__all__ = ["LaMaDiscriminator"]

STRIDES = (2, 2, 2, 2, 1)


class LaMaDiscriminator(nn.Module):
    """Six 4x4 convolutions padded by 2: each adds a row and a column, so 256 px give 19x19 logits.

    Source: LaMa as released. 6,962,369 parameters at the default width; receptive field 142 px.

    Args:
        width: Channels of the first map; doubled by each stride, at most eight times as many.

    Shape:
        image (B, 3, H, W) in [0, 1] -> logits (B, 1, H', W'); hidden features: five maps.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        widths = [width * factor for factor in (1, 2, 4, 8, 8)]
        self.model0 = nn.Sequential(nn.Conv2d(3, width, 4, STRIDES[0], 2), nn.LeakyReLU(0.2, inplace=True))
        for number, ((source, target), stride) in enumerate(zip(pairwise(widths), STRIDES[1:], strict=True), 1):
            layers = (
                nn.Conv2d(source, target, 4, stride, 2),
                nn.BatchNorm2d(target),
                nn.LeakyReLU(0.2, inplace=True),
            )
            self.add_module(f"model{number}", nn.Sequential(*layers))
        self.model5 = nn.Sequential(nn.Conv2d(widths[-1], 1, 4, 1, 2))

    def look(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits, and the hidden features after each activation: what feature matching compares."""
        features = []
        for number in range(len(STRIDES)):
            image = self.get_submodule(f"model{number}")(image)
            features.append(image)
        return self.model5(image), features

    def forward(self, image: Tensor) -> Tensor:
        """The logits alone."""
        return self.look(image)[0]
