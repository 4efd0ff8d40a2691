"""The LaMa generator: a ResNet of fast Fourier convolutions (specs/glama.md, section 3)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.layers.ffc import FFC, Branches, FFCNormAct, FFCResnetBlock
from inpaint_zoo.layers.fusion import Fusable, fold, fuse
from inpaint_zoo.models.glama.fused import FusedStem, FusedTail
from inpaint_zoo.ops import spread_known

__all__ = ["LaMaGenerator"]

BLACK = 1 / 512  # half a level of a saved picture: odds need colours apart from 0 and 1


class _PadLocal(nn.Module):
    """A picture becomes the local branch, its border reflected; there is no global branch yet."""

    def __init__(self, padding: int) -> None:
        super().__init__()
        self.pad = nn.ReflectionPad2d(padding)

    def forward(self, x: Tensor) -> Branches:
        """(B, C, H, W) -> (B, C, H + 2 padding, W + 2 padding) and nothing."""
        return self.pad(x), None


class _Join(nn.Module):
    """Both branches become one map, the local channels first."""

    def forward(self, x: Branches) -> Tensor:
        """(B, C_l, H, W) and (B, C_g, H, W) -> (B, C_l + C_g, H, W)."""
        return torch.cat([branch for branch in x if branch is not None], dim=1)


class _Sigmoid(nn.Sigmoid):
    """In float32: bfloat16 has steps of 1/256 below 1."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W)."""
        return super().forward(x.float())


class _Layers(Fusable, nn.Sequential):
    """All layers in a row: the released weights are named by their numbers."""

    def fused(self) -> nn.Sequential:
        """The fast form of each; the first and last two convolutions, at full size, in one each."""
        layers = list(self)
        stem = FusedStem(cast(FFCNormAct, layers[1]), cast(FFCNormAct, layers[2]))
        *middle, up, norm, _, _, head, sigmoid = layers[3:]
        tail = FusedTail(fold(cast(nn.ConvTranspose2d, up), norm), cast(nn.Conv2d, head))
        return nn.Sequential(stem, *fuse(nn.Sequential(*middle)).children(), tail, sigmoid)


class LaMaGenerator(InpaintingNetwork):
    """Strided convolutions down, FFC residual blocks at an eighth of the sides, transposed convolutions up.

    Every pixel of the result depends on every pixel of the picture, through the spectra in the blocks. The raw
    prediction covers the whole picture.

    Source: LaMa (Suvorov et al., WACV 2022) as released; GLaMa trains the same network. 27,048,835 parameters with 9
    blocks, 50,975,875 with 18.

    Args:
        blocks: FFC residual blocks.
        width: Channels at full size; doubled by each downsampling.
        downsamplings: By two, before the blocks.
        global_ratio: Share of the channels that is global, from the last downsampling on.
        local_fourier: See `SpectralTransform`; off in every released model.
        from_spread: Begin with `spread_known` in the hole, and let the layers shift its colours' odds. In no paper: for
            networks whose training is too short to learn how to copy.

    Shape:
        `predict`: image (B, 3, H, W) in [0, 1], hole 0, mask (B, 1, H, W), H and W multiples of ``divisor``
        (8 as released) and at least 16 -> stage `prediction` in [0, 1].
    """

    min_size = 16  # the bottleneck's reflection needs two pixels
    value_range = (0.0, 1.0)
    hole_value = 0.0

    def __init__(
        self,
        blocks: int = 9,
        width: int = 64,
        downsamplings: int = 3,
        global_ratio: float = 0.75,
        local_fourier: bool = False,
        from_spread: bool = False,
    ) -> None:
        super().__init__()
        self.divisor = 2**downsamplings
        self.from_spread = from_spread
        self.takes_filling = not from_spread
        widths = [width * 2**level for level in range(downsamplings + 1)]  # 64, 128, 256, 512
        inner = widths[-1]
        ratios = [0.0] * downsamplings + [global_ratio]
        down = [
            FFCNormAct(FFC(widths[level], widths[level + 1], 3, ratios[level], ratios[level + 1], 2, 1))
            for level in range(downsamplings)
        ]
        middle = [FFCResnetBlock(inner, global_ratio, local_fourier=local_fourier) for _ in range(blocks)]
        up: list[nn.Module] = []
        for level in reversed(range(downsamplings)):
            up += [
                nn.ConvTranspose2d(widths[level + 1], widths[level], 3, 2, 1, output_padding=1),
                nn.BatchNorm2d(widths[level]),
                nn.ReLU(inplace=True),
            ]
        head = nn.Conv2d(width, 3, 7)
        if from_spread:  # at first hardly a shift
            nn.init.normal_(head.weight, std=1e-4)
            nn.init.zeros_(cast(nn.Parameter, head.bias))
        # one flat Sequential, as its indices are part of the released weights' names
        self.model = _Layers(
            _PadLocal(3),
            FFCNormAct(FFC(4, width, 7, 0.0, 0.0)),
            *down,
            *middle,
            _Join(),
            *up,
            nn.ReflectionPad2d(3),
            head,
            _Sigmoid(),
        )

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the raw prediction of the whole picture."""
        if not self.from_spread:
            return {"prediction": self.model(torch.cat([image, mask], dim=1))}
        base = spread_known(image, mask)
        shift = self.model(torch.cat([base, mask], dim=1))
        base = base.clamp(BLACK, 1 - BLACK)
        yes, no = shift * base, (1 - shift) * (1 - base)  # the odds of both multiply: the sigmoid of a sum of logits
        return {"prediction": yes / (yes + no)}
