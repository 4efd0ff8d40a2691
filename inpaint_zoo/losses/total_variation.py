"""Total variation loss: differences of neighboring pixels, in the forms that the papers and their code use."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.errors import ZooError
from inpaint_zoo.losses.checks import check_choice, check_mask
from inpaint_zoo.ops.precision import full_precision

__all__ = ["TVReduction", "TVRegion", "TotalVariation", "total_variation"]

TVReduction = Literal["mean", "sum"]
TVRegion = Literal["image", "masked", "dilated_hole"]


def total_variation(
    image: Tensor,
    *,
    beta: float = 1.0,
    joint: bool = False,
    reduction: TVReduction = "mean",
    region: Tensor | None = None,
) -> Tensor:
    """Return the differences of neighboring pixels raised to ``beta`` and reduced; see `TotalVariation`.

    Args:
        image: (B, C, H, W), H and W at least 2.
        beta: Exponent, at least 1.
        joint: Apply the exponent to both directions together.
        reduction: Reduction over each image, followed by the mean over the batch.
        region: (B, 1, H, W), 1 for pixels that take part. A difference counts only if all of its pixels take part.

    Example:
        >>> image = torch.tensor([[[[0.0, 3.0], [4.0, 0.0]]]])
        >>> total_variation(image, reduction="sum").item(), total_variation(image, joint=True).item()
        (14.0, 5.0)
    """
    check_choice("reduction", reduction, get_args(TVReduction))
    if beta < 1:
        raise ZooError(f"`beta` must be at least 1 for a finite gradient, got {beta}.")
    image = full_precision(image)
    right, down = image[..., :, 1:] - image[..., :, :-1], image[..., 1:, :] - image[..., :-1, :]
    if joint:  # at pixels that have both differences
        squares = right[..., :-1, :].square() + down[..., :, :-1].square()
        terms = [squares if beta == 2 else _power(squares, beta / 2)]
    else:
        terms = [right.abs() ** beta, down.abs() ** beta]
    if region is not None:
        check_mask(region, image, "region")
        region = full_precision(region)
        both_right, both_down = region[..., :, 1:] * region[..., :, :-1], region[..., 1:, :] * region[..., :-1, :]
        weights = [both_right[..., :-1, :] * both_down[..., :, :-1]] if joint else [both_right, both_down]
        terms = [term * weight for term, weight in zip(terms, weights, strict=True)]
    sums = [term.mean() if reduction == "mean" else term.sum() / len(image) for term in terms]
    return torch.stack(sums).sum()


def _power(squares: Tensor, exponent: float) -> Tensor:
    """Return ``squares`` ** ``exponent`` with gradient 0 where the square is 0 (the limit is infinite)."""
    flat = squares == 0
    return squares.masked_fill(flat, 1.0).pow(exponent).masked_fill(flat, 0.0)


class TotalVariation(nn.Module):
    """Total variation loss.

    Let dx and dy be the differences to the right and to the lower neighbor.

    - Separate directions: |dx|^beta and |dy|^beta are reduced separately (the two means have different numbers of
      elements) and added.
    - Joint: (dx^2 + dy^2)^(beta / 2), over i < H - 1, j < W - 1, where both differences exist. With beta 1, this is the
      isotropic norm.

    The reduction "mean" divides by the number of all channels and pixels, including those outside the region; "sum"
    adds the terms. Both are averaged over the batch.

    Regions:

    - ``image``: the whole image. Partial convolution's code: separate, beta 1, mean, on the composite. GLaMa (Eq. 10):
      joint, beta 2, on the raw prediction; the paper does not state the reduction.
    - ``masked``: the image times the mask. LGNet: separate, beta 1, mean, on the composite. The step from the hole's
      border to 0 contributes as well.
    - ``dilated_hole``: pairs of pixels in the hole dilated by one pixel, as in partial convolution's paper.

    Args:
        region: Region, see above.
        beta: Exponent, at least 1.
        joint: Whether the directions are joint, see above.
        reduction: Reduction over each image, see above.

    Shape:
        image (B, C, H, W), mask (B, 1, H, W) with 1 = hole -> scalar, float32 at least.
    """

    def __init__(
        self,
        region: TVRegion = "image",
        beta: float = 1.0,
        joint: bool = False,
        reduction: TVReduction = "mean",
    ) -> None:
        super().__init__()
        check_choice("region", region, get_args(TVRegion))
        check_choice("reduction", reduction, get_args(TVReduction))
        self.region = region
        self.beta = beta
        self.joint = joint
        self.reduction = reduction

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Return the total variation of ``image`` in the region."""
        check_mask(mask, image)
        region = None
        if self.region == "masked":
            image = image * mask
        elif self.region == "dilated_hole":
            region = F.max_pool2d(mask, 3, 1, 1)
        return total_variation(image, beta=self.beta, joint=self.joint, reduction=self.reduction, region=region)

    def extra_repr(self) -> str:
        """Return the arguments as text, for `print`."""
        return f"region={self.region}, beta={self.beta:g}, joint={self.joint}, reduction={self.reduction}"
