"""Inference form of gated convolution, which computes the activation in place."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.inference.fusion.forms import fuse
from inpaint_zoo.inference.fusion.onednn import FusedConv2d
from inpaint_zoo.layers.gated_conv import GatedConv2d

__all__ = ["FusedGatedConv2d"]


@fuse.register(GatedConv2d)
class FusedGatedConv2d(nn.Module):
    """Inference form of `GatedConv2d`; in training, autograd does not allow changing halves of a tensor in place."""

    def __init__(self, layer: GatedConv2d) -> None:
        super().__init__()
        self.convolution = FusedConv2d(layer.convolution)
        self.activate = F.elu_ if layer.activation == "elu" else F.relu_

    def forward(self, x: Tensor) -> Tensor:
        """Return the gated features, as `GatedConv2d`."""
        features, gate = self.convolution(x).chunk(2, dim=1)
        return self.activate(features) * gate.sigmoid_()  # a new contiguous tensor, as the next convolution needs
