"""Gated convolution: a second convolution predicts a gate for each position and channel of the output."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.errors import unknown_name

__all__ = ["GatedActivation", "GatedConv2d"]

GatedActivation = Literal["elu", "relu"]


class GatedConv2d(nn.Module):
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
