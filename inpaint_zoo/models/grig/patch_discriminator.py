"""GRIG's discriminator of forged patches, and which of its patches are forged (specs/grig.md, section 6)."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from inpaint_zoo.layers.init import init_normal
from inpaint_zoo.layers.patch_discriminator import patch_layers
from inpaint_zoo.ops import field_coverage

__all__ = ["GRIGPatchDiscriminator", "label_map"]


class GRIGPatchDiscriminator(nn.Module):
    """Five spectrally normalised 4x4 convolutions with biases, padded by 1: 30x30 logits at 256 px. It sees no mask.

    Source: GRIG as released. 2,764,737 parameters; receptive field 70 px.

    Args:
        width: Channels of the first map; doubled by each of the next three.
        init_std: Standard deviation of the drawn weights; biases stay as torch draws them.

    Shape:
        image (B, 3, H, W) in [-1, 1], H and W at least 24 -> logits (B, 1, H', W').
    """

    def __init__(self, width: int = 64, init_std: float = 0.02) -> None:
        super().__init__()
        self.model = patch_layers(width, bias=True)
        init_normal(self, init_std, zero_biases=False)

    def forward(self, image: Tensor) -> Tensor:
        """The logits."""
        return self.model(image)

    def label_map(self, mask: Tensor) -> Tensor:
        """1 where a logit sees a pixel of the hole, and so must call the patch forged; 0 where it sees none (Eq. 4).

        Args:
            mask: (B, 1, H, W), 1 = hole.

        Returns:
            (B, 1, H', W'), as the logits.
        """
        return label_map(mask, (layer for layer in self.model if isinstance(layer, nn.Conv2d)))


def label_map(mask: Tensor, convolutions: Iterable[nn.Conv2d]) -> Tensor:
    """1 where an output of the convolutions depends on a pixel of the hole.

    Args:
        mask: (B, 1, H, W), 1 = hole.
        convolutions: In their order; their weights do not matter.

    Example:
        >>> mask = Tensor([1, 0, 0, 0, 0, 0]).view(1, 1, 1, 6)
        >>> label_map(mask, [nn.Conv2d(1, 1, (1, 3), padding=(0, 1))]).flatten().tolist()
        [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    """
    return (field_coverage(mask, convolutions) > 0).to(mask.dtype)
