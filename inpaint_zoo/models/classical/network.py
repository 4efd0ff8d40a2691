"""Inpainting without learning, as networks: OpenCV's two methods, the mean of neighbours and the mean colour."""

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


@torch.library.custom_op("inpaint_zoo::opencv_inpaint", mutates_args=())
def opencv_inpaint(image: Tensor, mask: Tensor, method: str, radius: float) -> Tensor:
    """`cv2.inpaint` over a batch, as an operator, so that compile and export take it as one step.

    Args:
        image: (B, 3, H, W) in [0, 1]; known pixels are rounded to bytes.
        mask: (B, 1, H, W), 1 = hole.
        method: "telea" or "navier_stokes".
        radius: Of the neighbourhood that OpenCV looks at, in pixels.

    Returns:
        (B, 3, H, W) in [0, 1], type and device of ``image``; mid-grey for a picture that is all hole.
    """
    import cv2
    import numpy as np

    flag = {"telea": cv2.INPAINT_TELEA, "navier_stokes": cv2.INPAINT_NS}[method]
    pixels = to_uint8(image).permute(0, 2, 3, 1).cpu().numpy()  # (B, H, W, 3)
    holes = (mask[:, 0] > 0.5).to(torch.uint8).cpu().numpy()  # (B, H, W)
    filled = np.full(pixels.shape, 128, np.uint8)
    for picture, hole, out in zip(pixels, holes, filled, strict=True):
        if not hole.all():
            cv2.inpaint(np.ascontiguousarray(picture), hole, radius, flag, dst=out)
    return torch.from_numpy(filled).permute(0, 3, 1, 2).to(image).contiguous() / 255


@opencv_inpaint.register_fake
def _(image: Tensor, mask: Tensor, method: str, radius: float) -> Tensor:
    return torch.empty_like(image, memory_format=torch.contiguous_format)


class OpenCVInpainting(InpaintingNetwork):
    """OpenCV's inpainting under the contract; runs on the CPU wherever the tensors are.

    Args:
        method: "telea" (Telea 2004) or "navier_stokes" (Bertalmio et al. 2001).
        radius: Of the neighbourhood, in pixels, above 0 and at most 100.

    Raises:
        ZooError: The radius is out of range.

    Shape:
        As every `InpaintingNetwork`; stage `prediction`.
    """

    def __init__(self, method: Literal["telea", "navier_stokes"], radius: float = 3.0) -> None:
        super().__init__()
        if not 0 < radius <= MAX_RADIUS or not math.isfinite(radius):
            raise ZooError(f"`radius` must be above 0 and at most {MAX_RADIUS:g} px, got {radius}.")
        self.method = method
        self.radius = float(radius)

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """The picture with its hole filled from the border inwards."""
        return {"prediction": torch.ops.inpaint_zoo.opencv_inpaint(image, mask, self.method, self.radius)}

    def extra_repr(self) -> str:
        """What `print` shows of the options."""
        return f"method={self.method!r}, radius={self.radius:g}"


class MeanFill(InpaintingNetwork):
    """The mean colour of the known pixels, per picture; mid-grey where none is known. Stage `prediction`."""

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """One colour for the whole picture."""
        known = 1 - mask.float()  # (B, 1, H, W)
        count = known.sum((2, 3), keepdim=True)
        mean = (image.float() * known).sum((2, 3), keepdim=True) / count.clamp(min=1)  # (B, 3, 1, 1)
        return {"prediction": torch.where(count > 0, mean, 0.5).to(image.dtype).expand_as(image)}


class NeighborFill(InpaintingNetwork):
    """The mean of known neighbours, layer by layer from the border inwards: `spread_known`. Stage `prediction`."""

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """The picture with its hole filled."""
        return {"prediction": spread_known(image, mask)}
