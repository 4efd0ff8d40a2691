"""Style loss: distance between the Gram matrices of a frozen network's features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from inpaint_zoo.losses.feature_matching import feature_distance
from inpaint_zoo.losses.perceptual import select
from inpaint_zoo.ops import without_autocast
from inpaint_zoo.ops.precision import full_precision

__all__ = ["StyleLoss", "gram_matrix"]


class _Products(torch.autograd.Function):
    """Inner products of all channels, (B, C, H, W) -> (B, C, C).

    Its gradient needs one matrix product instead of two, and has the memory format of the features: adding gradients
    of different formats takes several times as long.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:  # noqa: ANN401 - torch's context has no public type
        ctx.save_for_backward(features)
        if features.is_contiguous():
            flat = features.flatten(2)  # (B, C, H W)
            return flat @ flat.mT
        rows = features.movedim(1, 3).flatten(1, 2)  # (B, H W, C), without a copy if the format is channels-last
        return rows.mT @ rows

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        (features,) = ctx.saved_tensors
        both = gradient + gradient.mT
        if features.is_contiguous():
            return (both @ features.flatten(2)).view_as(features)
        return (features.movedim(1, 3).flatten(1, 2) @ both).unflatten(1, features.shape[2:]).movedim(3, 1)


def gram_matrix(features: Tensor) -> Tensor:
    """Return F F^T / (C H W), the correlations of channels over all positions, in float32 at least.

    Shape:
        (B, C, H, W) -> (B, C, C).

    Example:
        >>> import torch
        >>> gram_matrix(torch.ones(1, 2, 3, 3))
        tensor([[[0.5000, 0.5000],
                 [0.5000, 0.5000]]])
    """
    with without_autocast(features.device):
        C, H, W = features.shape[1:]
        return _Products.apply(full_precision(features)) / (C * H * W)  # type: ignore[no-untyped-call]


class StyleLoss(nn.Module):
    """Style loss: sum over taps of the mean L1 distance between the Gram matrices of prediction and ground truth.

    The Gram matrices are divided by C H W. All implemented papers agree on this: LGNet divides the difference of
    unnormalized Gram matrices by C H W, which is the same. They differ in their taps. LGNet and partial convolution:
    VGG-16's pool1, pool2, pool3, for the raw prediction and the composite. ISNet and AOT-GAN: VGG-19's relu2_2,
    relu3_4, relu4_4, relu5_2, for the raw prediction.

    The loss takes features instead of images, see `PerceptualLoss`.

    Args:
        taps: Names of the features to compare.

    Shape:
        Two mappings from tap to (B, C, H, W) -> scalar, the mean over B C C elements summed over taps.
    """

    def __init__(self, taps: Sequence[str]) -> None:
        super().__init__()
        self.taps = tuple(taps)

    def forward(self, pred: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
        """Return the distance; ``target`` is detached."""
        pred_grams, target_grams = ([gram_matrix(x) for x in select(side, self.taps)] for side in (pred, target))
        return feature_distance(pred_grams, target_grams)

    def extra_repr(self) -> str:
        """Return the taps as text, for `print`."""
        return ", ".join(self.taps)
