"""Inpainting without learning, as networks: OpenCV's two methods, the mean of neighbors and the mean color."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from inpaint_zoo.errors import ZooError
from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.ops import spread_known, to_uint8

__all__ = ["MeanFill", "NeighborFill", "OpenCVInpainting"]

MAX_RADIUS = 100.0  # OpenCV's own limit


def _inpaint(image: Tensor, mask: Tensor, method: str, radius: float) -> Tensor:
    """Apply `cv2.inpaint` to each image of a batch.

    Args:
        image: (B, 3, H, W) in [0, 1]; known pixels are rounded to 8 bits.
        mask: (B, 1, H, W), 1 = hole.
        method: "telea" or "navier_stokes".
        radius: Radius in pixels of the neighborhood that OpenCV uses.

    Returns:
        (B, 3, H, W) in [0, 1], with dtype and device of ``image``; mid-gray for an image without known pixels.
    """
    import cv2
    import numpy as np

    flag = {"telea": cv2.INPAINT_TELEA, "navier_stokes": cv2.INPAINT_NS}[method]
    pixels = to_uint8(image).permute(0, 2, 3, 1).cpu().numpy()  # (B, H, W, 3)
    holes = (mask[:, 0] > 0.5).to(torch.uint8).cpu().numpy()  # (B, H, W)
    filled = np.full(pixels.shape, 128, np.uint8)
    for rgb, hole, out in zip(pixels, holes, filled, strict=True):
        if not hole.all():
            cv2.inpaint(np.ascontiguousarray(rgb), hole, radius, flag, dst=out)
    return torch.from_numpy(filled).permute(0, 3, 1, 2).to(image).contiguous() / 255


# an operator, so that `torch.compile` and export treat it as a single step
_operator = torch.library.custom_op("inpaint_zoo::opencv_inpaint", _inpaint, mutates_args=())


@_operator.register_fake
def _(image: Tensor, mask: Tensor, method: str, radius: float) -> Tensor:
    return torch.empty_like(image, memory_format=torch.contiguous_format)


def _is_traced(image: Tensor) -> bool:
    """Return whether a compiler or an export reads the operators that are applied to ``image``."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        return True
    return type(image) is not Tensor or image.is_meta


class OpenCVInpainting(InpaintingNetwork):
    """OpenCV's inpainting as an `InpaintingNetwork`. It runs on the CPU for tensors on any device.

    Args:
        method: "telea" (Telea 2004) or "navier_stokes" (Bertalmio et al. 2001).
        radius: Radius of the neighborhood in pixels, above 0 and at most 100.

    Raises:
        ZooError: If the radius is out of range.

    Shape:
        image (B, 3, H, W) in [0, 1], mask (B, 1, H, W) with 1 = hole -> stage `prediction` (B, 3, H, W) in [0, 1].
    """

    def __init__(self, method: Literal["telea", "navier_stokes"], radius: float = 3.0) -> None:
        super().__init__()
        if not 0 < radius <= MAX_RADIUS or not math.isfinite(radius):
            raise ZooError(f"`radius` must be above 0 and at most {MAX_RADIUS:g} px, got {radius}.")
        self.method = method
        self.radius = float(radius)

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the image with its hole filled."""
        # a call of the operator imports the compiler, which takes seconds
        inpaint = torch.ops.inpaint_zoo.opencv_inpaint if _is_traced(image) else _inpaint
        return {"prediction": inpaint(image, mask, self.method, self.radius)}

    def extra_repr(self) -> str:
        """Return the options as text, for `print`."""
        return f"method={self.method!r}, radius={self.radius:g}"


class MeanFill(InpaintingNetwork):
    """Fills the hole with the mean color of the image's known pixels; mid-gray if there are none."""

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the stage `prediction`: the mean color at every pixel, (B, 3, H, W)."""
        known = 1 - mask.float()  # (B, 1, H, W)
        count = known.sum((2, 3), keepdim=True)
        mean = (image.float() * known).sum((2, 3), keepdim=True) / count.clamp(min=1)  # (B, 3, 1, 1)
        return {"prediction": torch.where(count > 0, mean, 0.5).to(image.dtype).expand_as(image)}


class NeighborFill(InpaintingNetwork):
    """Fills the hole with means of neighboring known pixels, layer by layer from the border inwards: `spread_known`."""

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the stage `prediction`: the image with its hole filled, (B, 3, H, W)."""
        return {"prediction": spread_known(image, mask)}
