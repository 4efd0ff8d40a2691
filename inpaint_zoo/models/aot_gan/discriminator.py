"""AOT-GAN's discriminator (specs/grig.md, section 18)."""

from __future__ import annotations

from torch import Tensor, nn

from inpaint_zoo.layers.patch_discriminator import patch_layers

__all__ = ["AOTGANDiscriminator"]


class AOTGANDiscriminator(nn.Module):
    """70 px patches: four spectrally normalised convolutions without bias, and a plain head. It sees no mask.

    Source: AOT-GAN as released. 2,763,777 parameters.

    Args:
        width: Channels of the first map; doubled by each of the next three.

    Shape:
        image (B, 3, H, W) in [-1, 1], H and W at least 24 -> logits (B, 1, H', W').
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.conv = patch_layers(width, bias=False, spectral_head=False)

    def forward(self, image: Tensor) -> Tensor:
        """The logits."""
        return self.conv(image)
