"""Inference form of the local network, which computes only the regions around the holes."""

from __future__ import annotations

from torch import Tensor, nn

from inpaint_zoo.inference.fusion.forms import fuse
from inpaint_zoo.inference.fusion.hole_crop import Box, predict_hole_crop
from inpaint_zoo.layers.local_resnet import LocalResNet

__all__ = ["FusedLocalResNet"]


@fuse.register(LocalResNet)
class FusedLocalResNet(nn.Module):
    """Inference form of `LocalResNet`, see `predict_hole_crop`."""

    def __init__(self, net: LocalResNet) -> None:
        super().__init__()
        self.net = fuse(net.model)
        self.reach = net.reach

    def forward(self, x: Tensor) -> Tensor:
        """Map image and mask (B, 4, H, W) to (B, 3, H, W), which holds the prediction wherever the mask is 1."""

        def predict(box: Box) -> Tensor:
            return self.net(x[(..., *box.scaled(1))])

        return predict_hole_crop(predict, x[:, :3], x[:, 3:], self.reach, multiple=4)
