"""Style loss: distance between the Gram matrices of a frozen network's activations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from inpaint_zoo.losses.feature_matching import feature_distance
from inpaint_zoo.losses.perceptual import select
from inpaint_zoo.ops import without_autocast
from inpaint_zoo.ops.precision import full_precision

__all__ = ["StyleLoss", "gram_matrix"]


def gram_matrix(features: Tensor) -> Tensor:
    """F F^T / (C H W), the correlations of channels over all positions; float32 at least, under autocast too.

    Shape:
        (B, C, H, W) -> (B, C, C).

    Example:
        >>> import torch
        >>> gram_matrix(torch.ones(1, 2, 3, 3))
        tensor([[[0.5000, 0.5000],
                 [0.5000, 0.5000]]])
    """
    with without_autocast(features.device):
        flat = full_precision(features).flatten(2)  # (B, C, H W)
        return flat @ flat.mT / (flat.shape[1] * flat.shape[2])


class StyleLoss(nn.Module):
    """Sum over taps of the mean L1 distance between the Gram matrices, divided by C H W, of prediction and truth.

    The five papers and their peers agree on it: LGNet divides the difference of plain Gram matrices by C H W, which is
    the same number. They differ in taps: LGNet and partial convolution VGG-16's pool1, pool2, pool3, for the raw and
    the composited prediction; ISNet and AOT-GAN VGG-19's relu2_2, relu3_4, relu4_4, relu5_2, raw.

    It takes activations, not pictures: see `PerceptualLoss`.

    Args:
        taps: Which activations count.

    Shape:
        Two mappings from tap to (B, C, H, W) -> scalar, the mean over B C C elements summed over taps.
    """

    def __init__(self, taps: Sequence[str]) -> None:
        super().__init__()
        self.taps = tuple(taps)

    def forward(self, pred: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        """The distance; ``target`` is detached."""
        pred_grams, target_grams = ([gram_matrix(x) for x in select(side, self.taps)] for side in (pred, target))
        return feature_distance(pred_grams, target_grams)

    def extra_repr(self) -> str:
        """The taps."""
        return ", ".join(self.taps)
