"""LaMa's generator: a ResNet of fast Fourier convolutions (docs/papers/glama.md, "Generator")."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.layers.ffc import FFC, Branches, FFCNormAct, FFCResnetBlock
from inpaint_zoo.layers.output_conv import OutputConv2d
from inpaint_zoo.ops.precision import full_precision

__all__ = ["LaMaGenerator"]


class _PadLocal(nn.Module):
    """Reflection-pad the image and return it as the local branch, without a global branch."""

    def __init__(self, padding: int) -> None:
        super().__init__()
        self.pad = nn.ReflectionPad2d(padding)

    def forward(self, x: Tensor) -> Branches:
        """Return the local branch (B, C, H + 2 padding, W + 2 padding), and None as the global branch."""
        return self.pad(x), None


class _Join(nn.Module):
    """Concatenate both branches, local channels first."""

    def forward(self, x: Branches) -> Tensor:
        """Map (B, C_l, H, W) and (B, C_g, H, W) to (B, C_l + C_g, H, W)."""
        return torch.cat([branch for branch in x if branch is not None], dim=1)


class _Sigmoid(nn.Sigmoid):
    """Sigmoid in float32 at least: bfloat16 has a step of 1/256 just below 1, too coarse for 8-bit colors."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the sigmoid of (B, C, H, W) in float32 at least."""
        return super().forward(full_precision(x))


class LaMaGenerator(InpaintingNetwork):
    """LaMa generator: three strided convolutions, FFC residual blocks at 1/8 resolution, three transposed convolutions.

    Because the blocks operate on spectra, every output pixel depends on every pixel of the image. The raw prediction
    covers the whole image.

    Source: LaMa (Suvorov et al., WACV 2022) as released; GLaMa trains the same network. 27,048,835 parameters with 9
    blocks, 50,975,875 with 18.

    Args:
        blocks: Number of FFC residual blocks.
        width: Channels at full resolution; each downsampling doubles them.
        downsamplings: Number of downsamplings by 2 before the blocks.
        global_ratio: Fraction of the channels in the global branch, from the last downsampling to the last block.
        local_fourier: Add the local Fourier unit, see `SpectralTransform`; off in every released model.

    Shape:
        `predict`: image (B, 3, H, W) in [0, 1] with 0 in the hole, mask (B, 1, H, W) with 1 = hole, H and W multiples
        of ``divisor`` (8 by default) and at least 16 -> stage `prediction` (B, 3, H, W) in [0, 1].
    """

    min_size = 16  # reflection padding in the blocks needs at least two pixels at 1/8 resolution
    value_range = (0.0, 1.0)
    takes_hole_fill = True
    hole_value = 0.0

    def __init__(
        self,
        blocks: int = 9,
        width: int = 64,
        downsamplings: int = 3,
        global_ratio: float = 0.75,
        local_fourier: bool = False,
    ) -> None:
        super().__init__()
        self.divisor = 2**downsamplings
        self._encoder = 2 + downsamplings  # number of layers of ``model`` before the residual blocks
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
        head = OutputConv2d(width, 3, 7)
        # one flat Sequential, because its indices are part of the released weights' names
        self.model = nn.Sequential(
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
        """Return the raw prediction of the whole image, in [0, 1]."""
        return {"prediction": self.to_prediction(self.model(torch.cat([image, mask], dim=1)), image)}

    def encode_features(self, image: Tensor, mask: Tensor) -> Branches:
        """Return the input of the residual blocks: the local and the global branch at 1/8 resolution."""
        features: Branches = self.model[: self._encoder](torch.cat([image, mask], dim=1))
        return features

    def decode_features(self, features: Branches) -> Tensor:
        """Return the output of the last layer (B, 3, H, W), from the result of `encode_features`."""
        out: Tensor = self.model[self._encoder :](features)
        return out
