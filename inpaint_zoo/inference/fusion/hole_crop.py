"""Prediction restricted to the regions around the holes, for inference."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = ["Box", "hole_boxes", "predict_hole_crop"]

MOST_BOXES = 32  # more separate regions are treated as one
BOX_COST = 24 * 24  # pixels that take as long as the calls for another box


class Box(NamedTuple):
    """Rows [top, bottom) and columns [left, right) of an image."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def area(self) -> int:
        """Number of pixels."""
        return (self.bottom - self.top) * (self.right - self.left)

    def scaled(self, factor: int) -> tuple[slice, slice]:
        """Return the slices of rows and columns in a feature map that is smaller by a factor."""
        return slice(self.top // factor, self.bottom // factor), slice(self.left // factor, self.right // factor)


def hole_boxes(mask: Tensor, reach: int, multiple: int = 4) -> list[Box]:
    """Return boxes that hold all holes of the batch, extended by a receptive field.

    Separate boxes do not overlap, and together they are smaller than the box around them. Under compile and export,
    where shapes must not depend on values, the only box is the whole image.

    Args:
        mask: (B, 1, H, W), 1 = hole; H and W multiples of ``multiple``.
        reach: Radius of the receptive field in pixels.
        multiple: Boxes start and end at multiples of this number.
    """
    H, W = mask.shape[-2:]
    if torch.compiler.is_compiling():
        return [Box(0, 0, H, W)]
    import cv2

    hole = (mask[:, 0].amax(0) > 0.5).cpu().numpy().astype(np.uint8)
    grown = cv2.dilate(hole, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    corners = cv2.connectedComponentsWithStats(grown, connectivity=4)[2][1:, :4].tolist()
    boxes = [
        Box(y // multiple * multiple, x // multiple * multiple, _up(y + h, multiple), _up(x + w, multiple))
        for x, y, w, h in corners
    ]
    if len(boxes) > MOST_BOXES:
        boxes = [_around(boxes)]
    return _merged(boxes)


def _up(end: int, multiple: int) -> int:
    return -(-end // multiple) * multiple


def _around(boxes: list[Box]) -> Box:
    """Return the smallest box that contains all given ones."""
    top, left, bottom, right = zip(*boxes, strict=True)
    return Box(min(top), min(left), max(bottom), max(right))


def _merged(boxes: list[Box]) -> list[Box]:
    """Merge boxes that overlap, and those whose common box takes no longer."""
    done: list[Box] = []
    while boxes:
        box = boxes.pop()
        for other in done:
            joined = _around([box, other])
            if _overlap(box, other) or joined.area <= box.area + other.area + BOX_COST:
                done.remove(other)
                boxes.append(joined)  # it may be merged with others in turn
                break
        else:
            done.append(box)
    return done


def _overlap(a: Box, b: Box) -> bool:
    return a.top < b.bottom and b.top < a.bottom and a.left < b.right and b.left < a.right


def predict_hole_crop(
    predict: Callable[[Box], Tensor], image: Tensor, mask: Tensor, reach: int, multiple: int = 4
) -> Tensor:
    """Predict only the boxes around the holes of the batch, see `hole_boxes`; the result elsewhere is ``image``.

    Args:
        predict: Function that returns the prediction (B, 3, h, w) of a box.
        image: Image (B, 3, H, W), H and W multiples of ``multiple``.
        mask: (B, 1, H, W), 1 = hole.
        reach: Radius of the receptive field in pixels.
        multiple: Boxes start and end at multiples of this number.

    Returns:
        (B, 3, H, W), which holds the prediction wherever the mask is 1.
    """
    boxes = hole_boxes(mask, reach, multiple)
    whole = Box(0, 0, *image.shape[-2:])
    if boxes == [whole]:
        return predict(whole)
    out = image.clone() if boxes else image
    for box in boxes:
        out[(..., *box.scaled(1))] = predict(box).to(out.dtype)
    return out
