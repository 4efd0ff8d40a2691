"""The Context Encoder's discriminator (specs/glcic_ca.md, section 11)."""

from __future__ import annotations

from torch import Tensor, nn

from inpaint_zoo.models.context_encoder.network import halvings

__all__ = ["ContextEncoderDiscriminator"]


class ContextEncoderDiscriminator(nn.Module):
    """DCGAN's: 4x4 convolutions down to 4 px, batch norms but for the first, and one that looks at all of it.

    Source: Pathak et al., CVPR 2016, as released.

    Args:
        size: Sides of what the network predicts: 64 for the centre of 128 px, 128 for all of it.
        width: Channels of the first map.

    Shape:
        region (B, 3, size, size) in [-1, 1] -> logits (B, 1, 1, 1), before the sigmoid.

    Raises:
        ZooError: The size is no power of two from 32 up.
    """

    def __init__(self, size: int = 128, width: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(*halvings(size, width), nn.Conv2d(8 * width, 1, 4))

    def forward(self, region: Tensor) -> Tensor:
        """The logits."""
        return self.layers(region)
