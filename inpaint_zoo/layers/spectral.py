"""Convolutions whose weights are divided by their spectral norm."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.layers.fusion import Fusable, FusedConv2d
from inpaint_zoo.ops import without_autocast

__all__ = ["SpectralConv2d"]

SETTLED = 15  # power iterations after which eval mode makes sense, as torch's parametrization runs them


class SpectralConv2d(nn.Conv2d, Fusable):
    """A convolution with spectral norm (Miyato et al., ICLR 2018): one power iteration per training pass, none in eval.

    The state dict is that of `torch.nn.utils.spectral_norm`: `weight_orig`, `weight_u`, `weight_v`, as released
    checkpoints hold it. Unlike that hook, this layer keeps no computed weight between passes (so that it is copied and
    exported at any time), stays in the precision of its weights under autocast, and takes singular vectors that are
    not of unit length, as a running average makes them.

    Args:
        source: Channels in.
        target: Channels out.
        kernel: Its sides.
        stride: Of the convolution.
        padding: Zeros around the input.
        dilation: Of the kernel.
        bias: Add a bias, which is not normalised.

    Shape:
        (B, source, H, W) -> (B, target, H', W').
    """

    def __init__(
        self,
        source: int,
        target: int,
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__(source, target, kernel, stride, padding, dilation, bias=bias)
        self.weight_orig = self.weight
        del self.weight
        left, right = self.weight_orig.detach().flatten(1).shape
        self.register_buffer("weight_u", F.normalize(torch.randn(left), dim=0))
        self.register_buffer("weight_v", F.normalize(torch.randn(right), dim=0))
        self.weight_u: Tensor
        self.weight_v: Tensor
        if not self.weight_orig.is_meta:  # where only shapes count, thousands of steps would take their time
            self.iterate(SETTLED)

    @property
    def normalized_weight(self) -> Tensor:
        """The weight that the input meets."""
        with without_autocast(self.weight_orig.device):
            # copies: the next training pass may move u and v before this one is differentiated
            u, v = (F.normalize(vector, dim=0) for vector in (self.weight_u, self.weight_v))
            return self.weight_orig / torch.dot(u, self.weight_orig.flatten(1).mv(v))

    @torch.no_grad()
    def iterate(self, times: int = 1) -> None:
        """Move v, then u, towards the singular vectors of a weight that has changed."""
        with without_autocast(self.weight_orig.device):
            matrix = self.weight_orig.flatten(1)
            for _ in range(times):
                self.weight_v.copy_(F.normalize(matrix.t().mv(self.weight_u), dim=0))
                self.weight_u.copy_(F.normalize(matrix.mv(self.weight_v), dim=0))

    def forward(self, x: Tensor) -> Tensor:
        """The convolution with the normalised weight."""
        if self.training:
            self.iterate()
        return self._conv_forward(x, self.normalized_weight, self.bias)

    def folded(self) -> nn.Conv2d:
        """A plain convolution that does the same in eval mode."""
        with torch.device("meta"):
            plain = nn.Conv2d(self.in_channels, self.out_channels, 1, bias=self.bias is not None)
        plain.kernel_size, plain.stride, plain.dilation = self.kernel_size, self.stride, self.dilation
        plain.padding = self.padding
        plain.weight = nn.Parameter(self.normalized_weight.detach(), requires_grad=False)
        if self.bias is not None:
            plain.bias = nn.Parameter(self.bias.detach().clone(), requires_grad=False)
        return plain.train(self.training)

    def fused(self) -> nn.Module:
        """The folded one, laid out once."""
        return FusedConv2d(self.folded())
