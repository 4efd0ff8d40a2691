"""Gated convolution: a second convolution predicts a gate for each position and channel of the output."""

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
    """Gated convolution: activation(features) * sigmoid(gate), where both are halves of one convolution's output.

    Zero padding keeps height and width for stride 1.

    Source: DeepFillv2 (Yu et al., ICCV 2019), Eq. 2 and 3; docs/papers/glcic_ca.md, "DeepFillv2".

    Args:
        source: Input channels.
        target: Output channels, half of the convolution's.
        kernel: Kernel size, odd.
        stride: Stride of the convolution.
        dilation: Dilation of the kernel.
        activation: Activation of the features.

    Shape:
        (B, source, H, W) -> (B, target, H/stride, W/stride), rounded up.

    Raises:
        UnknownNameError: If the activation is unknown.
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
        """Return the gated features (B, target, H/stride, W/stride)."""
        features, gate = self.convolution(x).chunk(2, dim=1)
        return (F.elu(features) if self.activation == "elu" else F.relu(features)) * torch.sigmoid(gate)

    def fused(self) -> nn.Module:
        """Return the inference form, which computes the activation in place."""
        return _InPlace(self)


class _InPlace(nn.Module):
    """Inference form of `GatedConv2d`; in training, autograd does not allow changing halves of a tensor in place."""

    def __init__(self, layer: GatedConv2d) -> None:
        super().__init__()
        self.convolution = FusedConv2d(layer.convolution)
        self.activate = F.elu_ if layer.activation == "elu" else F.relu_

    def forward(self, x: Tensor) -> Tensor:
        """Return the gated features, as `GatedConv2d`."""
        features, gate = self.convolution(x).chunk(2, dim=1)
        return self.activate(features) * gate.sigmoid_()  # a new contiguous tensor, as the next convolution needs
