"""Convolutions over the known places alone, with the mask of the places that they could fill."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.errors import ZooError
from inpaint_zoo.layers.fusion import Fusable, FusedConv2d, fold_affine

__all__ = ["PartialBlock", "PartialConv2d"]


class PartialConv2d(nn.Module):
    """W (x m) |window| / sum(m) + b wherever the window holds a known place, 0 elsewhere.

    Padding counts as unknown. The ratio is computed in float32 under autocast too.

    Source: Liu et al., ECCV 2018, Eq. 1 and 2, in NVIDIA's form, where |window| counts channels and padding;
    specs/glcic_ca.md, section 13. Concatenated maps with a mask each need no mask for every channel: `shares`.

    Args:
        source: Channels in.
        target: Channels out.
        kernel: Its sides, odd.
        stride: Of the convolution.
        shares: How many channels, in order, each channel of the mask speaks for; None: one mask for all.

    Shape:
        x (B, source, H, W), mask (B, len(shares), H, W) with 1 = known, 0 = hole (not the contract's polarity) ->
        (B, target, H / stride, W / stride), rounded up, and its mask with one channel, float32.

    Raises:
        ZooError: The shares don't add up to the channels.
    """

    def __init__(
        self, source: int, target: int, kernel: int = 3, stride: int = 1, shares: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        self.shares = tuple(shares or (source,))
        if sum(self.shares) != source:
            raise ZooError(f"`shares` must add up to the {source} channels of the input, got {self.shares}.")
        self.convolution = nn.Conv2d(source, target, kernel, stride, kernel // 2, bias=False)
        self.bias = nn.Parameter(torch.zeros(target))
        self.kernel, self.stride = kernel, stride

    def masked(self, x: Tensor, mask: Tensor) -> Tensor:
        """``x`` with its unknown places at 0."""
        mask = mask.to(x.dtype)
        if len(self.shares) == 1:
            return x * mask
        parts = torch.split_with_sizes(x, self.shares, dim=1)
        return torch.cat([part * mask[:, k : k + 1] for k, part in enumerate(parts)], dim=1)

    def ratio(self, mask: Tensor) -> Tensor:
        """|window| / sum(m), (B, 1, H', W'), float32; 0 where the window holds nothing known."""
        sums = F.avg_pool2d(mask.float(), self.kernel, self.stride, self.kernel // 2, divisor_override=1)
        known = torch.stack([share * sums[:, k : k + 1] for k, share in enumerate(self.shares)]).sum(0)
        window = sum(self.shares) * self.kernel**2
        return (window / known.clamp(min=1)) * (known > 0)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The map and its mask."""
        return rescale(self.convolution(self.masked(x, mask)), self.ratio(mask), self.bias)


def rescale(y: Tensor, ratio: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """A convolution's output scaled in float32, its bias where something was known; and the mask of these places."""
    mask = (ratio > 0).to(ratio.dtype)
    return (y * ratio + bias.view(-1, 1, 1) * mask).to(y.dtype), mask


class PartialBlock(Fusable):
    """A partial convolution, a batch norm if asked, an activation.

    The norm moves the zeros of unknown places; the next partial convolution masks them again.

    Args:
        source: See `PartialConv2d`.
        target: See there.
        kernel: See there.
        stride: See there.
        shares: See there.
        norm: Whether there is one.
        activation: Last; it leaves 0 as it is.

    Shape:
        As `PartialConv2d`.
    """

    def __init__(
        self,
        source: int,
        target: int,
        kernel: int = 3,
        stride: int = 1,
        shares: Sequence[int] | None = None,
        norm: bool = True,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.convolution = PartialConv2d(source, target, kernel, stride, shares)
        self.norm = nn.BatchNorm2d(target) if norm else nn.Identity()
        self.activation = activation or nn.Identity()

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The map and its mask."""
        x, mask = self.convolution(x, mask)
        return self.activation(self.norm(x)), mask

    def fused(self) -> nn.Module:
        """The form that has no norm, and gives and takes 0 at unknown places."""
        return _Folded(self)


class _Folded(nn.Module):
    """A `PartialBlock` for inference: scale and shift of its norm are part of the weights.

    Unknown places come out as 0, so that the next one need not mask what it takes.
    """

    def __init__(self, block: PartialBlock) -> None:
        super().__init__()
        layer = block.convolution
        convolution, bias = layer.convolution, layer.bias.detach()
        if isinstance(block.norm, nn.BatchNorm2d):
            deviation = (cast(Tensor, block.norm.running_var) + block.norm.eps).sqrt()
            scale = (block.norm.weight / deviation).detach()
            bias = scale * (bias - cast(Tensor, block.norm.running_mean)) + block.norm.bias.detach()
            convolution = fold_affine(convolution, scale, None)
        self.convolution = FusedConv2d(convolution)
        self.bias = nn.Parameter(bias.clone(), requires_grad=False)
        self.ratio = layer.ratio  # of its geometry alone
        self.activation = block.activation

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """As the block's, but for unknown places."""
        x, mask = rescale(self.convolution(x), self.ratio(mask), self.bias)
        return self.activation(x), mask
