"""Computing a map around the hole alone, for inference: known pixels keep what they are."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["around_the_hole"]


def around_the_hole(
    predict: Callable[[slice, slice], Tensor], picture: Tensor, mask: Tensor, reach: int, multiple: int = 4
) -> Tensor:
    """Predict the box that holds all holes of the batch, grown by what its pixels depend on; elsewhere the picture.

    Where shapes must not depend on values, under compile and export, everything is predicted.

    Args:
        predict: Takes rows and columns of the picture, and gives the prediction (B, 3, h, w) of that box.
        picture: (B, 3, H, W), H and W multiples of ``multiple``.
        mask: (B, 1, H, W), 1 = hole.
        reach: Pixels, to each side, that a pixel depends on.
        multiple: The box begins and ends at multiples of it.

    Returns:
        (B, 3, H, W), the prediction wherever the mask is 1.
    """
    H, W = picture.shape[-2:]
    if torch.compiler.is_compiling():
        return predict(slice(0, H), slice(0, W))
    hole = mask[:, 0].amax(0) > 0.5
    sides = [_grown(hole.any(axis), reach, multiple) for axis in (1, 0)]
    if None in sides:
        return picture
    rows, columns = (slice(*side) for side in sides if side)
    if rows.stop - rows.start == H and columns.stop - columns.start == W:
        return predict(rows, columns)
    out = picture.clone()
    out[..., rows, columns] = predict(rows, columns).to(out.dtype)
    return out


def _grown(touched: Tensor, reach: int, multiple: int) -> tuple[int, int] | None:
    """[first, end) of what the hole's rows or columns depend on; None without a hole."""
    places = touched.nonzero()
    if not len(places):
        return None
    first, end = int(places[0]) - reach, int(places[-1]) + 1 + reach
    return max(first // multiple * multiple, 0), min(-(-end // multiple) * multiple, len(touched))
