"""A U-Net of strided 4x4 convolutions, optionally with attention in its decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inpaint_zoo.errors import ZooError
from inpaint_zoo.layers.attention import AttentionVariant, SelfPatchAttention

__all__ = ["UNet"]

ATTENTION_LEVELS = {5: "att_16", 4: "att_32", 3: "att_64"}  # named by the feature map's size for 256x256 images
WIDEST = 8  # maximum number of channels, as a multiple of the first level's


def _leaky() -> nn.LeakyReLU:
    return nn.LeakyReLU(0.2, inplace=True)  # in place changes the skip connection too, but its ReLU gives the same


class UNet(nn.Module):
    """U-Net (pix2pix's generator): with eight levels, a 256x256 image is reduced to 1x1.

    Source: LGNet's first stage and, with attention, its third stage; docs/papers/lgnet.md, "Networks", whose numbers
    name the layers. 54,414,979 parameters with ``width`` 64, 55,104,003 with attention.

    Args:
        width: Channels of the first level; each of the next three levels doubles them.
        levels: Number of downsamplings by 2.
        attention: Add `SelfPatchAttention` to the decoder at 1/16, 1/8 and 1/4 resolution.
        attention_variant: Variant of the attention.

    Shape:
        image and mask (B, 4, H, W), H and W multiples of 2 ** levels -> (B, 3, H, W) in [-1, 1].

    Raises:
        ZooError: If ``levels`` is too small.
    """

    def __init__(
        self,
        width: int = 64,
        levels: int = 8,
        attention: bool = False,
        attention_variant: AttentionVariant = "code",
    ) -> None:
        super().__init__()
        if levels < 2 or (attention and levels <= max(ATTENTION_LEVELS)):
            least = max(ATTENTION_LEVELS) + 1 if attention else 2
            raise ZooError(f"`levels` must be at least {least}, got {levels}.")
        self.levels = levels
        widths = [width * min(2**level, WIDEST) for level in range(levels)]
        self.model1 = nn.Sequential(nn.Conv2d(4, width, 4, 2, 1, bias=False))
        for n in range(2, levels):
            down = nn.Conv2d(widths[n - 2], widths[n - 1], 4, 2, 1, bias=False)
            self.add_module(f"model{n}", nn.Sequential(_leaky(), down, nn.BatchNorm2d(widths[n - 1])))
        inner = widths[-1]
        turn = nn.Sequential(
            _leaky(),
            nn.Conv2d(widths[-2], inner, 4, 2, 1, bias=False),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(inner, widths[-2], 4, 2, 1, bias=False),
            nn.BatchNorm2d(widths[-2]),
        )
        self.add_module(f"model{levels}", turn)
        for n in range(levels - 1, 1, -1):
            up = nn.ConvTranspose2d(2 * widths[n - 1], widths[n - 2], 4, 2, 1, bias=False)
            self.add_module(f"model{2 * levels - n}", nn.Sequential(nn.ReLU(), up, nn.BatchNorm2d(widths[n - 2])))
        last = nn.ConvTranspose2d(2 * width, 3, 4, 2, 1)
        self.add_module(f"model{2 * levels - 1}", nn.Sequential(nn.ReLU(), last, nn.Tanh()))
        if attention:
            for n, name in ATTENTION_LEVELS.items():
                self.add_module(name, SelfPatchAttention(widths[n - 2], attention_variant))

    def forward(self, x: Tensor, attend: bool = True) -> Tensor:
        """Return the raw prediction (B, 3, H, W) in [-1, 1].

        Args:
            x: Image and mask, (B, 4, H, W).
            attend: False skips the attention, as in LGNet_share's first stage.
        """
        skips = []
        for n in range(1, self.levels):
            x = self.get_submodule(f"model{n}")(x)
            skips.append(x)
        x = self.get_submodule(f"model{self.levels}")(x)
        for n in range(self.levels - 1, 0, -1):
            x = self.get_submodule(f"model{2 * self.levels - n}")(torch.cat([skips.pop(), x], dim=1))
            if attend and hasattr(self, ATTENTION_LEVELS.get(n, "")):
                x = self.get_submodule(ATTENTION_LEVELS[n])(x)
        return x
