"""Prediction restricted to the region around the hole, for inference."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["predict_hole_crop"]


def predict_hole_crop(
    predict: Callable[[slice, slice], Tensor], image: Tensor, mask: Tensor, reach: int, multiple: int = 4
) -> Tensor:
    """Predict only the bounding box of all holes of the batch, extended by the receptive field.

    The result elsewhere is ``image``. Under compile and export, where shapes must not depend on values, the whole
    image is predicted.

    Args:
        predict: Function that takes slices of rows and columns and returns the prediction (B, 3, h, w) of that box.
        image: Image (B, 3, H, W), H and W multiples of ``multiple``.
        mask: (B, 1, H, W), 1 = hole.
        reach: Radius of the receptive field in pixels.
        multiple: The box starts and ends at multiples of this number.

    Returns:
        (B, 3, H, W), which holds the prediction wherever the mask is 1.
    """
    H, W = image.shape[-2:]
    if torch.compiler.is_compiling():
        return predict(slice(0, H), slice(0, W))
    hole = mask[:, 0].amax(0) > 0.5
    sides = [_grown(hole.any(axis), reach, multiple) for axis in (1, 0)]
    if None in sides:
        return image
    rows, columns = (slice(*side) for side in sides if side)
    if rows.stop - rows.start == H and columns.stop - columns.start == W:
        return predict(rows, columns)
    out = image.clone()
    out[..., rows, columns] = predict(rows, columns).to(out.dtype)
    return out


def _grown(touched: Tensor, reach: int, multiple: int) -> tuple[int, int] | None:
    """Return the range [first, end) of rows or columns that the hole's pixels depend on; None without a hole."""
    places = touched.nonzero()
    if not len(places):
        return None
    first, end = int(places[0]) - reach, int(places[-1]) + 1 + reach
    return max(first // multiple * multiple, 0), min(-(-end // multiple) * multiple, len(touched))
