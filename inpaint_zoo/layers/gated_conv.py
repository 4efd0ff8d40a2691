"""Convolutions that weigh their own output, place by place and channel by channel."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.errors import unknown_name
from inpaint_zoo.layers.fusion import Fusable, FusedConv2d

__all__ = ["GatedActivation", "GatedConv2d"]

GatedActivation = Literal["elu", "relu"]


class GatedConv2d(Fusable):
    """activation(features) sigmoid(gate), both halves of one convolution's output; zero padding keeps the sides.

    Source: DeepFillv2 (Yu et al., ICCV 2019), Eq. 2 and 3; specs/glcic_ca.md, section 12.

    Args:
        source: Channels in.
        target: Channels out, half of what the convolution makes.
        kernel: Its sides, odd.
        stride: Of the convolution.
        dilation: Of the kernel.
        activation: Of the features.

    Shape:
        (B, source, H, W) -> (B, target, H / stride, W / stride), rounded up.

    Raises:
        UnknownNameError: Another activation.
    """

    def __init__(
        self,
        source: int,
        target: int,
        kernel: int = 3,
        stride: int = 1,
        dilation: int = 1,
        activation: GatedActivation = "elu",
    ) -> None:
        super().__init__()
        if activation not in get_args(GatedActivation):
            raise unknown_name("activation", activation, get_args(GatedActivation))
        self.convolution = nn.Conv2d(source, 2 * target, kernel, stride, dilation * (kernel // 2), dilation)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """The gated features."""
        features, gate = self.convolution(x).chunk(2, dim=1)
        return (F.elu(features) if self.activation == "elu" else F.relu(features)) * torch.sigmoid(gate)

    def fused(self) -> nn.Module:
        """The form that activates in place."""
        return _InPlace(self)


class _InPlace(nn.Module):
    """A `GatedConv2d` for inference: autograd forbids to change the halves of a tensor in place."""

    def __init__(self, layer: GatedConv2d) -> None:
        super().__init__()
        self.convolution = FusedConv2d(layer.convolution)
        self.activate = F.elu_ if layer.activation == "elu" else F.relu_

    def forward(self, x: Tensor) -> Tensor:
        """As the layer's."""
        features, gate = self.convolution(x).chunk(2, dim=1)
        return self.activate(features) * gate.sigmoid_()  # a tensor of its own: the next convolution wants it dense
