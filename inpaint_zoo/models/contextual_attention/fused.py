"""Inference form of Contextual Attention's stages, whose decoders run only around the holes."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from inpaint_zoo.inference.fusion import Box, fuse, fuse_children, hole_boxes, predict_hole_crop
from inpaint_zoo.models.contextual_attention.network import FineStage, Stage

__all__ = ["FusedStage"]

SCALE = 4  # downsampling factor from the image to the feature map that the decoder takes
# radius of the receptive field in pixels at full resolution
DECODER_REACH = 15
ENLARGE_REACH = 7  # of the decoder's layers at 1/2 and at full resolution, which take most of its time


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
        features, mask = self.stage.encode(x), x[:, 4:]
        mixed = self._mixed(features, hole_boxes(mask, DECODER_REACH, SCALE))

        def predict(box: Box) -> Tensor:
            return self.stage.enlarge(mixed[(..., *box.scaled(SCALE))])

        return predict_hole_crop(predict, x[:, :3], mask, ENLARGE_REACH, SCALE)

    def _mixed(self, features: Tensor, boxes: list[Box]) -> Tensor:
        """Return the decoder's feature map at 1/4 resolution, which is zero outside of the boxes."""
        parts = [self.stage.mix(features[(..., *box.scaled(SCALE))]) for box in boxes]
        if not parts or parts[0].shape[-2:] == features.shape[-2:]:
            return parts[0] if parts else features  # without a hole, nothing is predicted from it
        out = parts[0].new_zeros(*parts[0].shape[:2], *features.shape[-2:])
        for box, part in zip(boxes, parts, strict=True):
            out[(..., *box.scaled(SCALE))] = part
        return out


@fuse.register(FusedStage)
def _keep(stage: FusedStage) -> FusedStage:
    return stage  # without this, the stage inside it would be fused again
