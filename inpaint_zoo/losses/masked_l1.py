"""L1 loss on known and hole pixels, with the different divisors that the papers use."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor, nn

from inpaint_zoo.losses.checks import check_choice, check_mask, check_same_shape
from inpaint_zoo.ops import mean_over_ranks
from inpaint_zoo.ops.precision import full_precision

__all__ = ["L1Divisor", "MaskedL1", "masked_l1", "weighted_l1"]

L1Divisor = Literal["pixels", "area_per_image", "area", "hole_fraction"]


def weighted_l1(pred: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the mean over all B C H W elements of |pred - target| * weight.

    The weights are not normalized. On crops, with `spatial_discount` as weight, this is DeepFillv1's spatially
    discounted L1.

    Args:
        pred: Prediction (B, C, H, W).
        target: Ground truth (B, C, H, W).
        weight: Weights (B or 1, 1, H, W), at least 0.
    """
    check_same_shape(pred, target)
    check_mask(weight.expand(len(pred), *weight.shape[1:]) if len(weight) == 1 else weight, pred, "weight")
    return ((full_precision(pred) - full_precision(target)).abs() * full_precision(weight)).mean()


def masked_l1(
    pred: Tensor,
    target: Tensor,
    mask: Tensor,
    known: float = 1.0,
    hole: float = 1.0,
    divisor: L1Divisor = "pixels",
) -> Tensor:
    """Return the L1 loss with a weight for known and for hole pixels; see `MaskedL1`.

    Example:
        >>> import torch
        >>> mask = torch.tensor([[[[1.0, 0.0, 0.0, 0.0]]]])
        >>> pred, target = torch.full((1, 3, 1, 4), 0.5), torch.zeros(1, 3, 1, 4)
        >>> [masked_l1(pred, target, mask, 1, 6, d).item() for d in ("pixels", "area_per_image", "hole_fraction")]
        [1.125, 3.5, 4.5]
    """
    check_choice("L1 divisor", divisor, get_args(L1Divisor))
    check_same_shape(pred, target)
    check_mask(mask, pred)
    mask = full_precision(mask)
    if divisor in ("pixels", "hole_fraction"):
        mean = weighted_l1(pred, target, known * (1 - mask) + hole * mask)
        if divisor == "pixels":
            return mean
        fraction = mean_over_ranks(mask.mean())
        return (mean / fraction.clamp(min=1e-12)).where(fraction > 0, 0.0)
    error = (full_precision(pred) - full_precision(target)).abs().sum(1, keepdim=True)  # (B, 1, H, W)
    dims = (1, 2, 3) if divisor == "area_per_image" else (0, 1, 2, 3)
    total = error.new_zeros(())
    for weight, region in ((known, 1 - mask), (hole, mask)):
        if weight:
            area = region.sum(dims)  # (B,) or ()
            if divisor == "area":
                area = mean_over_ranks(area)
            total = total + weight * ((error * region).sum(dims) / (pred.shape[1] * area + 1e-12)).mean()
    return total


class MaskedL1(nn.Module):
    """L1 loss between prediction and ground truth, with weights for known and for hole pixels.

    The divisor determines what the sum of errors is divided by. The numbers in parentheses are the weights of known and
    of hole pixels.

    - ``pixels``: the number of all B C H W elements, so the value decreases with the region's area. LaMa (10, 0),
      partial convolution (1, 6), Contextual Attention's `ae` (1, 0), and ordinary L1 (1, 1).
    - ``area_per_image``: the area of each region in each image, followed by the mean over images. LGNet (1, 6): small
      and large holes in a batch count equally. A region without pixels contributes 0.
    - ``area``: the area of each region in the whole batch. `ae` of DeepFillv1's TensorFlow code (1, 0).
    - ``hole_fraction``: the number of all elements times the mean of the mask over the batch. ISNet (1, 1): the smaller
      the hole, the larger the weight of known pixels. A batch without holes gives 0 (infinity in the authors' code).

    ``area`` and ``hole_fraction`` divide by a value of the whole batch. Processes that share a batch add their areas,
    so that they train like one process with the whole batch. The batches of gradient accumulation do not.

    L1 scales with the value range of the images: the weights of LGNet and Contextual Attention are meant for [-1, 1].

    Args:
        known: Weight of known pixels.
        hole: Weight of hole pixels.
        divisor: See above.

    Shape:
        pred, target (B, C, H, W), mask (B, 1, H, W) with 1 = hole -> scalar, float32 at least.
    """

    def __init__(self, known: float = 1.0, hole: float = 1.0, divisor: L1Divisor = "pixels") -> None:
        super().__init__()
        check_choice("L1 divisor", divisor, get_args(L1Divisor))
        self.known = known
        self.hole = hole
        self.divisor = divisor

    def forward(self, pred: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """Return the weighted L1 loss."""
        return masked_l1(pred, target, mask, self.known, self.hole, self.divisor)

    def extra_repr(self) -> str:
        """Return the arguments as text, for `print`."""
        return f"known={self.known:g}, hole={self.hole:g}, divisor={self.divisor}"
