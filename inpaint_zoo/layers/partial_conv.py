"""Partial convolution: a convolution over known positions only, which also updates the mask."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.errors import ZooError

__all__ = ["PartialBlock", "PartialConv2d", "rescale"]


class PartialConv2d(nn.Module):
    """Partial convolution: W (x m) |window| / sum(m) + b if the window contains a known position, else 0.

    Padding counts as unknown. The ratio |window| / sum(m) is computed in float32, even under autocast.

    Source: Liu et al., ECCV 2018, Eq. 1 and 2, in NVIDIA's form, where |window| counts channels and padding;
    docs/papers/glcic_ca.md, "Partial convolutions".

    Args:
        source: Input channels.
        target: Output channels.
        kernel: Kernel size, odd.
        stride: Stride of the convolution.
        shares: Number of input channels, in order, that each channel of the mask applies to. Concatenated feature maps
            therefore need only one mask channel each. None means one mask for all channels.

    Shape:
        x (B, source, H, W), mask (B, len(shares), H, W) with 1 = known and 0 = hole, the opposite of
        `InpaintingNetwork` -> features (B, target, H/stride, W/stride), rounded up, and their mask with one channel in
        float32.

    Raises:
        ZooError: If ``shares`` does not add up to ``source``.
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
        """Return ``x`` with unknown positions set to 0."""
        mask = mask.to(x.dtype)
        if len(self.shares) == 1:
            return x * mask
        parts = torch.split_with_sizes(x, self.shares, dim=1)
        return torch.cat([part * mask[:, k : k + 1] for k, part in enumerate(parts)], dim=1)

    def ratio(self, mask: Tensor) -> Tensor:
        """Return |window| / sum(m), (B, 1, H', W'), in float32; 0 if the window contains no known position."""
        sums = F.avg_pool2d(mask.float(), self.kernel, self.stride, self.kernel // 2, divisor_override=1)
        known = torch.stack([share * sums[:, k : k + 1] for k, share in enumerate(self.shares)]).sum(0)
        window = sum(self.shares) * self.kernel**2
        return (window / known.clamp(min=1)) * (known > 0)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features and their mask."""
        return rescale(self.convolution(self.masked(x, mask)), self.ratio(mask), self.bias)


def rescale(y: Tensor, ratio: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Scale a convolution's output in float32, add the bias at known positions, and return it with the new mask."""
    mask = (ratio > 0).to(ratio.dtype)
    return (y * ratio + bias.view(-1, 1, 1) * mask).to(y.dtype), mask


class PartialBlock(nn.Module):
    """Partial convolution, optional batch norm and activation.

    The batch norm changes the zeros at unknown positions; the next partial convolution masks them again.

    Args:
        source: Input channels, see `PartialConv2d`.
        target: Output channels.
        kernel: Kernel size, odd.
        stride: Stride of the convolution.
        shares: Number of input channels per mask channel, see `PartialConv2d`.
        norm: Whether to use batch norm.
        activation: Activation after the norm, which must map 0 to 0; None uses none.

    Shape:
        See `PartialConv2d`.
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
        """Return the features and their mask."""
        x, mask = self.convolution(x, mask)
        return self.activation(self.norm(x)), mask
