"""A U-Net of strided 4x4 convolutions, with attention in its decoder where asked."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inpaint_zoo.errors import ZooError
from inpaint_zoo.layers.attention import AttentionVariant, SelfPatchAttention

__all__ = ["UNet"]

ATTENTION_LEVELS = {5: "att_16", 4: "att_32", 3: "att_64"}  # named by their sides at 256 px
WIDEST = 8  # times the width of the first level


def _leaky() -> nn.LeakyReLU:
    return nn.LeakyReLU(0.2, inplace=True)  # changes the skip connection, whose ReLU gives the same after it


class UNet(nn.Module):
    """Eight halvings to a single place at 256 px, and back with skip connections (pix2pix's generator).

    Source: LGNet's first and, with attention, third stage; specs/lgnet.md, sections 3.1 and 3.3, whose numbers name the
    layers. 54,414,979 parameters at width 64, 55,104,003 with attention.

    Args:
        width: Channels of the first level, doubled by each of the next three.
        levels: Halvings; sides must be multiples of 2 ** levels.
        attention: Put `SelfPatchAttention` behind the decoder at a sixteenth, an eighth and a quarter of the sides.
        attention_variant: Of these.

    Shape:
        (B, 4, H, W) -> (B, 3, H, W) in [-1, 1].
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
            raise ZooError(f"`levels` must be {least} or more, got {levels}.")
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
        """The raw prediction.

        Args:
            x: Image and mask.
            attend: False passes by the attention, as LGNet_share's first stage does.
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
