"""The LaMa generator for inference: what works at full size goes through memory in bands of rows.

At 256 px each map of 64 channels holds 17 MB: more than the caches, and than what allocators keep for the next call.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from inpaint_zoo.layers.fusion import FusedConv2d, FusedHead, pad_as_it_is

if TYPE_CHECKING:
    from inpaint_zoo.layers.ffc import Branches, FFCNormAct

__all__ = ["FusedStem", "FusedTail"]

BAND = 2**20  # numbers in a band's largest map


def _bands(rows: int, numbers_per_row: int) -> Iterator[tuple[int, int]]:
    """Consecutive [first, end) that cover ``rows``; a remainder too short to reflect joins the band before it."""
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
    """The 7x7 convolution and the first strided one; the map between them is never whole.

    Args:
        first: To full size.
        second: Stride 2, padded by one.
    """

    def __init__(self, first: FFCNormAct, second: FFCNormAct) -> None:
        super().__init__()
        self.first = cast(FusedConv2d, first.fused().l2l)
        layer = second.fused()
        self.local, self.context = cast(FusedConv2d, layer.l2l), cast(FusedConv2d | None, layer.l2g)
        self.halo = self.first.weight.shape[-1] // 2

    def forward(self, x: Tensor) -> Branches:
        """(B, 4, H, W), H and W even -> both branches at (H / 2, W / 2), the global one if there is one."""
        H, W = x.shape[-2:]
        wide = pad_as_it_is(x, [self.halo] * 4)
        locals_, contexts = [], []
        for first, end in _bands(H // 2, 2 * W * len(self.first.weight) * len(x)):
            low = max(2 * first - 1, 0)  # rows of the full map that the band sees: from here to 2 * end
            full = self.first(_rows(wide, low, 2 * end + 2 * self.halo), relu=True)
            # the stride skips the border on the right and below
            full = pad_as_it_is(full, (1, 0, 1 if first == 0 else 0, 0))
            locals_.append(self.local(full, relu=True))
            if self.context is not None:
                contexts.append(self.context(full, relu=True))
        return _stacked(locals_), _stacked(contexts) if contexts else None


class FusedTail(nn.Module):
    """The last transposed convolution and the one to three channels; the map between them is never whole.

    Args:
        up: Kernel 3, stride 2, padding 1, output padding 1, its norm folded.
        head: Kernel 7, no padding: the border is reflected before it.
    """

    def __init__(self, up: nn.ConvTranspose2d, head: nn.Conv2d) -> None:
        super().__init__()
        self.up = up
        self.head = FusedHead(head)
        self.halo = int(head.kernel_size[0]) // 2

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 3, 2 H, 2 W)."""
        H, W = x.shape[-2:]
        parts = []
        for first, end in _bands(2 * H, 2 * W * self.up.out_channels * len(x)):
            low, high = max(first - self.halo, 0), min(end + self.halo, 2 * H)  # rows of the full map
            # row 2 i comes from input row i alone, row 2 i + 1 from i and i + 1
            source = (low // 2, min(high // 2 + 1, H))
            full = self.up(_rows(x, *source)).relu_()[..., low - 2 * source[0] : high - 2 * source[0], :]
            above, below = self.halo - (first - low), self.halo - (high - end)
            parts.append(self.head(pad_as_it_is(full, (self.halo, self.halo, above, below))))
        return _stacked(parts)
