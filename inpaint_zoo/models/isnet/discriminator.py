"""ISNet's discriminator: EdgeConnect's patch discriminator (docs/papers/isnet.md, "Discriminator")."""

from __future__ import annotations

from torch import Tensor, nn

from inpaint_zoo.layers.patch_discriminator import patch_layers

__all__ = ["ISNetDiscriminator"]


class ISNetDiscriminator(nn.Module):
    """ISNet's patch discriminator: five 4x4 convolutions with spectral norm and padding 1.

    A 256x256 image gives 30x30 logits.

    Source: ISNet as released. 2,763,776 parameters; receptive field 70 px.

    Args:
        width: Channels of the first feature map; each of the next three convolutions doubles them.

    Shape:
        image (B, 3, H, W) in [0, 1], H and W at least 24 -> logits (B, 1, H', W').
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        layers = list(patch_layers(width))
        for number in range(5):
            self.add_module(f"conv{number + 1}", nn.Sequential(*layers[2 * number : 2 * number + 2]))

    def forward_features(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the logits and five feature maps for feature matching: four after their activation, and the logits."""
        features = []
        for layer in self.children():
            image = layer(image)
            features.append(image)
        return image, features

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits only."""
        return self.forward_features(image)[0]
