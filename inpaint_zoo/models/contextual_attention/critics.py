"""The two critics of WGAN-GP, on the hole's box and on the whole picture (specs/glcic_ca.md, section 7)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.errors import ZooError

__all__ = ["ContextualAttentionCritic"]

HALVINGS = 4


class _Strided(nn.Module):
    """A 5x5 convolution of stride 2 and a LeakyReLU."""

    def __init__(self, source: int, target: int, tf_same: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(source, target, 5, 2, 0 if tf_same else 2)
        self.tf_same = tf_same

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H / 2, W / 2)."""
        if self.tf_same:
            x = F.pad(x, (1, 2, 1, 2))
        return F.leaky_relu(self.conv(x), 0.2)


class ContextualAttentionCritic(nn.Module):
    """Four strided convolutions without norm, since the gradient penalty is each sample's, and a linear layer.

    Source: Yu et al., CVPR 2018, as released for PyTorch; 2,684,289 parameters at 128 px, 2,733,441 at 256 px.

    Args:
        size: Side of the square pictures, a multiple of 16.
        width: Channels of the first map; the next have twice and four times as many.
        conv4: Channels of the fourth map; by default those of the third. TensorFlow's local critic has 512.
        tf_same: Pad as TensorFlow does: one less before than behind.

    Shape:
        image (B, 3, size, size) in [-1, 1] -> scores (B, 1), not squashed.

    Raises:
        ZooError: A size that is no multiple of 16, or pictures of another size.
    """

    def __init__(self, size: int, width: int = 64, conv4: int | None = None, tf_same: bool = False) -> None:
        super().__init__()
        if size < 1 or size % 2**HALVINGS:
            raise ZooError(f"`size` must be a multiple of {2**HALVINGS}, got {size}.")
        conv4 = 4 * width if conv4 is None else conv4
        widths = (3, width, 2 * width, 4 * width, conv4)
        self.size = size
        self.dis_conv_module = nn.Sequential()
        for n in range(HALVINGS):
            self.dis_conv_module.add_module(f"conv{n + 1}", _Strided(widths[n], widths[n + 1], tf_same))
        self.linear = nn.Linear(conv4 * (size // 2**HALVINGS) ** 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        """The scores."""
        if image.shape[-2:] != (self.size, self.size):
            shape = tuple(image.shape)
            raise ZooError(f"`image` must be (B, 3, {self.size}, {self.size}), got {shape}: `size=` builds another.")
        return self.linear(torch.flatten(self.dis_conv_module(image), 1))
