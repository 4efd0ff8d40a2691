"""Inference form of partial convolution, without batch norm."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from inpaint_zoo.inference.fusion.folding import fold_affine
from inpaint_zoo.inference.fusion.forms import fuse
from inpaint_zoo.inference.fusion.onednn import FusedConv2d
from inpaint_zoo.layers.partial_conv import PartialBlock, rescale

__all__ = ["FusedPartialBlock"]


@fuse.register(PartialBlock)
class FusedPartialBlock(nn.Module):
    """Inference form of `PartialBlock`, with the batch norm folded into weight and bias.

    Unknown positions of the output are 0, so the next block need not mask its input. The input must be 0 there too.
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
        self.ratio = layer.ratio  # depends only on the geometry, not on weights
        self.activation = block.activation

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and mask as `PartialBlock`, except that unknown positions are 0."""
        x, mask = rescale(self.convolution(x), self.ratio(mask), self.bias)
        return self.activation(x), mask
