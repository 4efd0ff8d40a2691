"""AOT-GAN's discriminator (docs/papers/grig.md, "AOT-GAN")."""

from __future__ import annotations

from torch import Tensor, nn

from inpaint_zoo.layers.patch_discriminator import patch_layers

__all__ = ["AOTGANDiscriminator"]


class AOTGANDiscriminator(nn.Module):
    """AOT-GAN's patch discriminator: four convolutions with spectral norm and without bias, and a final convolution.

    The mask is not an input.

    Source: AOT-GAN as released. 2,763,777 parameters; receptive field 70 px.

    Args:
        width: Channels of the first feature map; each of the next three convolutions doubles them.

    Shape:
        image (B, 3, H, W) in [-1, 1], H and W at least 24 -> logits (B, 1, H', W').
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.conv = patch_layers(width, bias=False, spectral_head=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (B, 1, H', W')."""
        return self.conv(image)
