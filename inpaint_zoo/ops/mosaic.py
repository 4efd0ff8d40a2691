"""Alternative fillings of the hole in a network's input: a mosaic, or a classical inpainting result.

They are only for networks trained with them. A mosaic keeps the blurred ground truth in the hole, which turns the task
into deblurring. Source: docs/papers/masks.md, "Input modes".
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
    """Return the image with its hole pixelated in blocks of about ``unit`` pixels, (B, 3, H, W).

    The whole image is downsampled to H // unit x W // unit and upsampled again. As in the reference code, downsampling
    takes every unit-th pixel for any image size, whereas upsampling uses the ratio of the sizes: 256 pixels become 21
    blocks of 12 or 13 pixels, whose content is slightly shifted.

    Source: Contextual Attention's PyTorch code uses "nearest"; the paper says bilinear (without antialiasing, aligned
    to pixel centers).

    Args:
        image: (B, 3, H, W), in any value range.
        mask: (B, 1, H, W), 1 = hole.
        unit: Size of a block in pixels.
        interpolation: Interpolation for downsampling and upsampling.

    Raises:
        ZooError: If height or width is smaller than ``unit``.

    Example:
        >>> row = torch.arange(4.0).reshape(1, 1, 1, 4).expand(1, 1, 4, 4)
        >>> mosaic(row, torch.ones(1, 1, 4, 4), unit=2, interpolation="nearest")[0, 0, 0]
        tensor([0., 0., 2., 2.])
    """
    H, W = image.shape[-2:]
    h, w = H // unit, W // unit
    if min(h, w) < 1:
        raise ZooError(f"Height and width must be at least the mosaic's `unit` of {unit} px, got {H} x {W} px.")
    if interpolation == "nearest":
        small = image[..., : h * unit : unit, : w * unit : unit]
        rows, columns = (torch.arange(out, device=image.device) * size // out for out, size in ((H, h), (W, w)))
        return composite(small[..., rows[:, None], columns], image, mask)
    # the center of a block, (i + 1/2) unit - 1/2, lies on a pixel or midway between two
    low, high = (unit - 1) // 2, unit // 2
    lines = image[..., : h * unit, : w * unit]
    lines = (lines[..., low::unit, :] + lines[..., high::unit, :]) / 2
    small = (lines[..., low::unit] + lines[..., high::unit]) / 2
    return composite(F.interpolate(small, size=(H, W), mode="bilinear", align_corners=False), image, mask)


def hole_ns(image: Tensor, mask: Tensor, radius: float = 3) -> Tensor:
    """Return the image with its hole filled by OpenCV's Navier-Stokes inpainting, (B, 3, H, W) in [0, 1].

    OpenCV works on 8-bit images on the CPU and takes about 10 ms for a 128x128 hole, so use this in data loading, not
    in training steps. Versions of OpenCV can differ in the last bits. The content of ``image`` in the hole has no
    effect. If no pixel is known, the hole becomes black.

    Args:
        image: (B, 3, H, W) in [0, 1].
        mask: (B, 1, H, W), 1 = hole.
        radius: Radius of OpenCV's neighborhood in pixels; the paper does not state it.
    """
    if image.is_meta:  # only shapes are needed to count operations
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
