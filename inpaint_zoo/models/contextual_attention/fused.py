"""Inference form of Contextual Attention's stages, whose decoders run only on the region around the hole."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from inpaint_zoo.inference.fusion import fuse, fuse_children, predict_hole_crop
from inpaint_zoo.models.contextual_attention.network import FineStage, Stage

__all__ = ["FusedStage"]

SCALE = 4  # downsampling factor from the image to the feature map that the decoder takes
DECODER_REACH = 15  # radius of the decoder's receptive field, in pixels at full resolution


@fuse.register(Stage)
class FusedStage(nn.Module):
    """Inference form of `Stage`. The prediction of known pixels that the decoder skips is the input image."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        fuse_children(stage)
        self.stage = stage

    def offsets(self, x: Tensor) -> Tensor:
        """Return the offsets of the attention, as `FineStage`."""
        return cast(FineStage, self.stage).offsets(x)

    def forward(self, x: Tensor) -> Tensor:
        """Map image, ones and mask (B, 5, H, W) to the raw, unbounded prediction (B, 3, H, W)."""
        features = self.stage.encode(x)

        def predict(rows: slice, columns: slice) -> Tensor:
            above, left = rows.start // SCALE, columns.start // SCALE
            return self.stage.decode(features[..., above : rows.stop // SCALE, left : columns.stop // SCALE])

        return predict_hole_crop(predict, x[:, :3], x[:, 4:], DECODER_REACH, SCALE)


@fuse.register(FusedStage)
def _keep(stage: FusedStage) -> FusedStage:
    return stage  # without this, the stage inside it would be fused again
