"""Fill each separate hole in a crop around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from inpaint_zoo.inference.strategy.windows import Window, around, hole_windows

__all__ = ["Crop", "FillCrop", "crops_of", "fill_crops"]


class Crop(NamedTuple):
    """A hole and the crop that the network sees.

    Attributes:
        window: The crop.
        hole: (1, 1, h, w) bool, the pixels of this hole in the crop.
    """

    window: Window
    hole: Tensor


FillCrop = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Function of a crop (1, 3, h, w), its pixels without content (1, 1, h, w) bool and the hole to fill; it returns the
filled crop."""


def crops_of(hole: Tensor, size: int, multiple: int) -> list[Crop]:
    """Return a crop around each separate hole; see `hole_windows`.

    The context on each side is half the larger extent of the hole, at least a quarter of ``size``. Networks are trained
    on images whose holes have about this proportion.

    Args:
        hole: (1, 1, H, W) bool.
        size: Height and width of the images that the network was trained on; the minimum for a crop.
        multiple: Height and width of crops are multiples of this number, where the image is large enough.
    """
    H, W = hole.shape[-2:]
    crops = []
    for box, pixels in hole_windows(hole[0, 0].numpy(), size // 4):
        context = max(size // 4, max(box.height, box.width) // 2)
        window = around(box, context, size, multiple, (H, W))
        own = torch.zeros(1, 1, window.height, window.width, dtype=torch.bool)
        rows, columns = box.within(window).slices
        own[0, 0, rows, columns] = torch.from_numpy(pixels)
        crops.append(Crop(window, own))
    return crops


def fill_crops(fill: FillCrop, image: Tensor, hole: Tensor, crops: list[Crop]) -> Tensor:
    """Fill the holes of an image one after the other; later crops see the earlier ones filled.

    Args:
        fill: Function that fills a crop.
        image: (1, 3, H, W) in [0, 1].
        hole: (1, 1, H, W) bool.
        crops: The crops from `crops_of`.

    Returns:
        (1, 3, H, W), filled. Known pixels are unchanged.
    """
    result, missing = image.clone(), hole.clone()
    for crop in crops:
        rows, columns = crop.window.slices
        part, unknown = result[..., rows, columns], missing[..., rows, columns]
        part.copy_(torch.where(crop.hole, fill(part, unknown, crop.hole), part))
        unknown.logical_and_(~crop.hole)
    return result
