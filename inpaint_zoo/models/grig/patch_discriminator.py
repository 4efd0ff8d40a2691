"""GRIG's forged-patch discriminator and its label map (docs/papers/grig.md, "Forged-patch discriminator")."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from inpaint_zoo.layers.init import init_normal
from inpaint_zoo.layers.patch_discriminator import patch_layers
from inpaint_zoo.ops import field_coverage

__all__ = ["GRIGPatchDiscriminator", "label_map"]


class GRIGPatchDiscriminator(nn.Module):
    """GRIG's forged-patch discriminator: five 4x4 convolutions with spectral norm, bias and padding 1.

    A 256x256 image gives 30x30 logits. The mask is not an input.

    Source: GRIG as released. 2,764,737 parameters; receptive field 70 px.

    Args:
        width: Channels of the first feature map; each of the next three convolutions doubles them.
        init_std: Standard deviation of the initial weights; biases keep PyTorch's default initialization.

    Shape:
        image (B, 3, H, W) in [-1, 1], H and W at least 24 -> logits (B, 1, H', W').
    """

    def __init__(self, width: int = 64, init_std: float = 0.02) -> None:
        super().__init__()
        self.model = patch_layers(width, bias=True)
        init_normal(self, init_std, zero_biases=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (B, 1, H', W')."""
        return self.model(image)

    def label_map(self, mask: Tensor) -> Tensor:
        """Return the label map of Eq. 4: 1 (forged) if the logit's receptive field contains a hole pixel, else 0.

        Args:
            mask: (B, 1, H, W), 1 = hole.

        Returns:
            (B, 1, H', W'), the shape of the logits.
        """
        return label_map(mask, (layer for layer in self.model if isinstance(layer, nn.Conv2d)))


def label_map(mask: Tensor, convolutions: Iterable[nn.Conv2d]) -> Tensor:
    """Return 1 where an output of the convolutions depends on a hole pixel, else 0.

    Args:
        mask: (B, 1, H, W), 1 = hole.
        convolutions: The convolutions in the order of execution; their weights do not matter.

    Example:
        >>> mask = Tensor([1, 0, 0, 0, 0, 0]).view(1, 1, 1, 6)
        >>> label_map(mask, [nn.Conv2d(1, 1, (1, 3), padding=(0, 1))]).flatten().tolist()
        [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    """
    return (field_coverage(mask, convolutions) > 0).to(mask.dtype)
