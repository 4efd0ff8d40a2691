"""The Context Encoder's discriminator (docs/papers/glcic_ca.md)."""

from __future__ import annotations

from torch import Tensor, nn

from inpaint_zoo.models.context_encoder.network import downsamplings

__all__ = ["ContextEncoderDiscriminator"]


class ContextEncoderDiscriminator(nn.Module):
    """Discriminator of the Context Encoder, as in DCGAN: strided 4x4 convolutions, then one convolution to one logit.

    Batch norm follows every strided convolution except the first.

    Source: Pathak et al., CVPR 2016, as released.

    Args:
        size: Height and width of the predicted region: 64 for the center of a 128x128 image, 128 for all of it.
        width: Channels of the first feature map.

    Shape:
        region (B, 3, size, size) in [-1, 1] -> logits (B, 1, 1, 1), before the sigmoid.

    Raises:
        ZooError: If the size is not a power of two of at least 32.
    """

    def __init__(self, size: int = 128, width: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(*downsamplings(size, width), nn.Conv2d(8 * width, 1, 4))

    def forward(self, region: Tensor) -> Tensor:
        """Return the logits (B, 1, 1, 1)."""
        return self.layers(region)
