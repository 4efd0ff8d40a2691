"""Inference form of the LaMa generator: the layers at full resolution run on one band of rows at a time.

At 256x256, a feature map of 64 channels takes 17 MB. That exceeds the processor's caches and the blocks that memory
allocators keep for reuse.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.inference.fusion import FusedConv2d, FusedFFC, fold, fuse, pad_unchanged
from inpaint_zoo.layers.ffc import Branches, FFCNormAct
from inpaint_zoo.models.glama.network import LaMaGenerator

__all__ = ["FusedHead", "FusedStem", "FusedTail", "fuse_generator"]

BAND = 2**20  # number of values in the largest feature map of a band


def _bands(rows: int, numbers_per_row: int) -> Iterator[tuple[int, int]]:
    """Yield consecutive ranges [first, end) that cover ``rows``; a remainder below 16 rows joins the last band."""
    step = max(16, BAND // numbers_per_row)
    first = 0
    while first < rows:
        end = rows if rows - first < step + 16 else first + step
        yield first, end
        first = end


def _rows(x: Tensor, first: int, end: int) -> Tensor:
    return x[..., first:end, :].contiguous(memory_format=torch.channels_last)


def _stacked(bands: list[Tensor]) -> Tensor:
    return torch.cat(bands, dim=2) if len(bands) > 1 else bands[0]


class FusedStem(nn.Module):
    """The first 7x7 convolution and the first strided convolution, without storing the whole feature map between them.

    Args:
        first: The 7x7 convolution at full resolution.
        second: The 3x3 convolution with stride 2 and padding 1.
    """

    def __init__(self, first: FFCNormAct, second: FFCNormAct) -> None:
        super().__init__()
        self.first = cast(FusedConv2d, FusedFFC(first).l2l)
        layer = FusedFFC(second)
        self.local, self.context = cast(FusedConv2d, layer.l2l), cast(FusedConv2d | None, layer.l2g)
        self.halo = self.first.weight.shape[-1] // 2

    def forward(self, x: Tensor) -> Branches:
        """Map (B, 4, H, W), H and W even, to the local and global branch of size (H/2, W/2); the latter may be None."""
        H, W = x.shape[-2:]
        wide = pad_unchanged(x, [self.halo] * 4)
        locals_, contexts = [], []
        for first, end in _bands(H // 2, 2 * W * len(self.first.weight) * len(x)):
            low = max(2 * first - 1, 0)  # the band reads rows [low, 2 * end) of the full-resolution map
            full = self.first(_rows(wide, low, 2 * end + 2 * self.halo), relu=True)
            # stride 2 on an even size never reads the right and bottom padding
            full = pad_unchanged(full, (1, 0, 1 if first == 0 else 0, 0))
            locals_.append(self.local(full, relu=True))
            if self.context is not None:
                contexts.append(self.context(full, relu=True))
        return _stacked(locals_), _stacked(contexts) if contexts else None


class FusedHead(nn.Module):
    """Convolution with few output channels that computes several neighboring pixels at once.

    A vector register holds 16 numbers, which a convolution fills with output channels; three channels would leave most
    of it unused. The kernel is therefore repeated for ``span`` neighboring pixels of a row, each with its own output
    channels.

    Args:
        convolution: Convolution with stride 1 and without padding, groups or dilation.
        span: Number of pixels computed at once. The input is padded so that the output's width is a multiple of it, and
            the output is cropped.
    """

    def __init__(self, convolution: nn.Conv2d, span: int = 4) -> None:
        super().__init__()
        channels, source, height, width = convolution.weight.shape
        spread = convolution.weight.new_zeros(span, channels, source, height, width + span - 1)
        for shift in range(span):
            spread[shift, ..., shift : shift + width] = convolution.weight.detach()
        self.span = span
        self.extra = width - 1
        wide = nn.Conv2d(source, span * channels, (height, width + span - 1), stride=(1, span))
        wide.weight = nn.Parameter(spread.flatten(0, 1), requires_grad=False)
        bias = convolution.bias
        wide.bias = None if bias is None else nn.Parameter(bias.detach().repeat(span), requires_grad=False)
        self.wide = FusedConv2d(wide)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, channels, H - h + 1, W - w + 1), where h and w are the kernel's height and width."""
        width = x.shape[-1] - self.extra
        x = F.pad(x, (0, -width % self.span))
        spans = self.wide(x).unflatten(1, (self.span, -1))  # (B, span, channels, H, W / span)
        return spans.permute(0, 2, 3, 4, 1).flatten(-2)[..., :width]


class FusedTail(nn.Module):
    """The last transposed convolution and the RGB convolution, without storing the whole feature map between them.

    Args:
        up: Transposed convolution: kernel 3, stride 2, padding 1, output padding 1, batch norm folded in.
        head: Convolution to RGB: kernel 7, no padding; its input is padded by reflection.
    """

    def __init__(self, up: nn.ConvTranspose2d, head: nn.Conv2d) -> None:
        super().__init__()
        self.up = up
        self.head = FusedHead(head)
        self.halo = int(head.kernel_size[0]) // 2

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, 3, 2H, 2W)."""
        H, W = x.shape[-2:]
        parts = []
        for first, end in _bands(2 * H, 2 * W * self.up.out_channels * len(x)):
            low, high = max(first - self.halo, 0), min(end + self.halo, 2 * H)  # rows at full resolution
            # output row 2i depends on input row i only, output row 2i + 1 on rows i and i + 1
            source = (low // 2, min(high // 2 + 1, H))
            full = self.up(_rows(x, *source)).relu_()[..., low - 2 * source[0] : high - 2 * source[0], :]
            above, below = self.halo - (first - low), self.halo - (high - end)
            parts.append(self.head(pad_unchanged(full, (self.halo, self.halo, above, below))))
        return _stacked(parts)


@fuse.register(LaMaGenerator)
def fuse_generator(net: LaMaGenerator) -> LaMaGenerator:
    """Fuse the layers in place; the first two convolutions are merged into one module, and so are the last two."""
    first, *layers = net.model
    if isinstance(first, FusedStem):  # a network that occurs in several places is fused once
        return net
    stem = FusedStem(cast(FFCNormAct, layers[0]), cast(FFCNormAct, layers[1]))
    *middle, up, norm, _, _, head, sigmoid = layers[2:]
    tail = FusedTail(fold(cast(nn.ConvTranspose2d, up), norm), cast(nn.Conv2d, head))
    net.model = nn.Sequential(stem, *fuse(nn.Sequential(*middle)).children(), tail, sigmoid)
    return net
