"""What may stand in the hole of a network's input (specs/masks.md, section 7): a mosaic, or a classical filling.

Only for networks trained so: a mosaic keeps a blurred truth in the hole, which makes the task deblurring.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from inpaint_zoo.errors import ZooError
from inpaint_zoo.ops.composite import composite
from inpaint_zoo.ops.ranges import to_uint8

__all__ = ["hole_ns", "mosaic"]


def mosaic(
    image: Tensor, mask: Tensor, unit: int = 12, interpolation: Literal["bilinear", "nearest"] = "bilinear"
) -> Tensor:
    """The image with its hole shown in blocks of about ``unit`` pixels: (B, 3, H, W).

    The whole image is reduced to H // unit x W // unit and enlarged again. As in the reference, the reduction samples
    every unit-th pixel whatever the sides are, the enlargement goes by the sizes: 256 pixels become 21 blocks of 12 or
    13, their content slightly displaced.

    Source: Contextual Attention's PyTorch code is "nearest", the paper says bilinear (no antialias, pixel centres).

    Args:
        image: (B, 3, H, W), of any range.
        mask: (B, 1, H, W), 1 in the hole.
        unit: Side of a block.
        interpolation: In both directions.

    Raises:
        ZooError: A side shorter than ``unit``.

    Example:
        >>> row = torch.arange(4.0).reshape(1, 1, 1, 4).expand(1, 1, 4, 4)
        >>> mosaic(row, torch.ones(1, 1, 4, 4), unit=2, interpolation="nearest")[0, 0, 0]
        tensor([0., 0., 2., 2.])
    """
    H, W = image.shape[-2:]
    h, w = H // unit, W // unit
    if min(h, w) < 1:
        raise ZooError(f"A mosaic of unit {unit} needs sides of at least as many pixels, got {H} x {W}.")
    if interpolation == "nearest":
        small = image[..., : h * unit : unit, : w * unit : unit]
        rows, columns = (torch.arange(out, device=image.device) * size // out for out, size in ((H, h), (W, w)))
        return composite(small[..., rows[:, None], columns], image, mask)
    # the centre of a block lies on a pixel or midway between two: (i + 1/2) unit - 1/2
    low, high = (unit - 1) // 2, unit // 2
    lines = image[..., : h * unit, : w * unit]
    lines = (lines[..., low::unit, :] + lines[..., high::unit, :]) / 2
    small = (lines[..., low::unit] + lines[..., high::unit]) / 2
    return composite(F.interpolate(small, size=(H, W), mode="bilinear", align_corners=False), image, mask)


def hole_ns(image: Tensor, mask: Tensor, radius: float = 3) -> Tensor:
    """The image with its hole filled by OpenCV's Navier-Stokes inpainting of its bytes: (B, 3, H, W) in [0, 1].

    On the CPU, about 10 ms for a hole of 128 x 128: for data loading, not for training steps. Not the same to the last
    bit in all versions of OpenCV. What lies under the hole never counts; where nothing is known, the hole is black.

    Args:
        image: (B, 3, H, W) in [0, 1].
        mask: (B, 1, H, W), 1 in the hole.
        radius: Neighbourhood in pixels; the paper does not tell it.
    """
    if image.is_meta:  # shapes alone, for counts
        return torch.empty_like(image)
    import cv2

    blank = to_uint8(composite(torch.zeros_like(image), image, mask)).detach().cpu()
    pixels = blank.permute(0, 2, 3, 1).numpy()  # (B, H, W, 3)
    holes = (mask.detach() > 0.5).to("cpu", torch.uint8).numpy()[:, 0]
    filled = np.stack(
        [
            cv2.inpaint(np.ascontiguousarray(p), hole, radius, cv2.INPAINT_NS)
            for p, hole in zip(pixels, holes, strict=True)
        ]
    )
    result = torch.from_numpy(filled).permute(0, 3, 1, 2).to(image.device, image.dtype) / 255
    return composite(result, image, mask)
