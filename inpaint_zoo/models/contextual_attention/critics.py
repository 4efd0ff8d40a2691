"""The WGAN-GP critics for the window around the hole and for the whole image (docs/papers/glcic_ca.md, "Critics")."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.errors import ZooError

__all__ = ["ContextualAttentionCritic"]

HALVINGS = 4


class _Strided(nn.Module):
    """A 5x5 convolution with stride 2, followed by LeakyReLU."""

    def __init__(self, source: int, target: int, tf_same: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(source, target, 5, 2, 0 if tf_same else 2)
        self.tf_same = tf_same

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H/2, W/2)."""
        if self.tf_same:
            x = F.pad(x, (1, 2, 1, 2))
        return F.leaky_relu(self.conv(x), 0.2)


class ContextualAttentionCritic(nn.Module):
    """WGAN-GP critic: four strided convolutions and a linear layer.

    There is no normalization across the batch, because the gradient penalty is computed per sample.

    Source: Yu et al., CVPR 2018, as released for PyTorch. 2,684,289 parameters for 128x128 images, 2,733,441 for
    256x256.

    Args:
        size: Height and width of the square images in pixels, a multiple of 16.
        width: Channels of the first feature map; the second has twice as many, the third four times as many.
        conv4: Channels of the fourth feature map; None means as many as in the third. The local critic of the
            TensorFlow code has 512.
        tf_same: Pad as TensorFlow's "SAME" mode: one pixel less at the top and left than at the bottom and right.

    Shape:
        image (B, 3, size, size) in [-1, 1] -> unbounded scores (B, 1).

    Raises:
        ZooError: If ``size`` is not a multiple of 16, or an image has another size.
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
        """Return the scores (B, 1)."""
        if image.shape[-2:] != (self.size, self.size):
            shape = tuple(image.shape)
            raise ZooError(
                f"`image` must be (B, 3, {self.size}, {self.size}), got {shape}. "
                "Create the critic with another `size` for other images."
            )
        return self.linear(torch.flatten(self.dis_conv_module(image), 1))
