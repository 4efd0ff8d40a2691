"""LaMa's discriminator: pix2pixHD's patch discriminator with four strided layers (docs/papers/glama.md)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

__all__ = ["LaMaDiscriminator"]

STRIDES = (2, 2, 2, 2, 1)


class LaMaDiscriminator(nn.Module):
    """LaMa's patch discriminator: six 4x4 convolutions with padding 2.

    This padding adds one row and one column per layer: a 256x256 image gives 19x19 logits.

    Source: LaMa as released. 6,962,369 parameters at the default width; receptive field 142 px.

    Args:
        width: Channels of the first feature map. Each downsampling doubles them, up to eight times this number.

    Shape:
        image (B, 3, H, W) in [0, 1] -> logits (B, 1, H', W'). `look` also returns five hidden feature maps.
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

    def forward_features(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the logits and the five feature maps after each activation, which feature matching compares."""
        features = []
        for number in range(len(STRIDES)):
            image = self.get_submodule(f"model{number}")(image)
            features.append(image)
        return self.model5(image), features

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits only."""
        return self.forward_features(image)[0]
