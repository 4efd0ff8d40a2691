"""ISNet's discriminator: EdgeConnect's 70 px patches (specs/isnet.md, section 5)."""

from __future__ import annotations

from torch import Tensor, nn

from inpaint_zoo.layers.patch_discriminator import patch_layers

__all__ = ["ISNetDiscriminator"]


class ISNetDiscriminator(nn.Module):
    """Five spectrally normalised 4x4 convolutions, padded by 1: 30x30 logits at 256 px.

    Source: ISNet as released. 2,763,776 parameters; receptive field 70 px.

    Args:
        width: Channels of the first map; doubled by each of the next three.

    Shape:
        image (B, 3, H, W) in [0, 1], H and W at least 24 -> logits (B, 1, H', W').
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        layers = list(patch_layers(width))
        for number in range(5):
            self.add_module(f"conv{number + 1}", nn.Sequential(*layers[2 * number : 2 * number + 2]))

    def look(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits, and all five maps for feature matching and the like: four after their activation, and the logits."""
        features = []
        for layer in self.children():
            image = layer(image)
            features.append(image)
        return image, features

    def forward(self, image: Tensor) -> Tensor:
        """The logits alone."""
        return self.look(image)[0]
