"""Pixelwise errors: L1, relative L1, MSE and PSNR, in float64 with a fixed order of summation."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from inpaint_zoo.metrics.base import ImageMetric, Region, fixed_sum, region_mean, to_float64

__all__ = ["L1", "MSE", "PSNR", "Bytes", "RelativeL1", "to_scale"]

Bytes = Literal["keep", "round", "truncate"]


def to_scale(image: Tensor, scale: float = 1.0, to_bytes: Bytes = "keep") -> Tensor:
    """Return an image in float64, scaled from [0, 1] to [0, ``scale``], optionally quantized to 8 bits.

    Args:
        image: Image in [0, 1].
        scale: 1 or 255.
        to_bytes: "round" or "truncate" first quantizes to multiples of 1/255; "keep" does not. The product with 255 is
            computed in float32, as in the papers' code. There k/255 * 255 is exactly k for every k, so 8-bit images do
            not change.
    """
    if to_bytes == "keep":
        return to_float64(image) if scale == 1 else to_float64(image) * scale
    levels = image.float() * 255
    levels = levels.round() if to_bytes == "round" else levels.floor()
    return to_float64(levels) * (scale / 255)


class L1(ImageMetric):
    """Mean absolute error times ``factor``.

    Args:
        factor: 1 for values in [0, 1], 100 for percent, 255 for 8-bit values.
        region: See `ImageMetric`.
    """

    higher_is_better = False

    def __init__(self, factor: float = 1.0, region: Region = "image") -> None:
        super().__init__(region)
        self.factor = factor

    def measure(self, pred: Tensor, target: Tensor, region: Tensor | None) -> Tensor:
        """Return the mean absolute error times ``factor``."""
        return region_mean((to_scale(pred) - to_scale(target)).abs_(), region) * self.factor


class RelativeL1(ImageMetric):
    """Sum of absolute errors divided by a sum of intensities; NaN if that sum is 0.

    Args:
        divisor: Sum of the intensities of the ground truth ("target") or of both images ("both").
        to_bytes: See `to_scale`.
    """

    higher_is_better = False

    def __init__(self, divisor: Literal["target", "both"] = "target", to_bytes: Bytes = "keep") -> None:
        super().__init__()
        self.divisor = divisor
        self.to_bytes = to_bytes

    def measure(self, pred: Tensor, target: Tensor, region: Tensor | None) -> Tensor:
        """Return the ratio over the whole image."""
        x, y = to_scale(pred, to_bytes=self.to_bytes), to_scale(target, to_bytes=self.to_bytes)
        error = fixed_sum((x - y).abs_())
        # 0 / 0 is NaN, which counts as undefined; a black ground truth with another result would be infinite
        ratio = error / fixed_sum(y if self.divisor == "target" else x + y)
        return torch.where(ratio.isinf(), torch.nan, ratio)


class MSE(ImageMetric):
    """Mean squared error of images scaled to [0, ``scale``].

    Args:
        scale: 1 or 255.
        region: See `ImageMetric`.
    """

    higher_is_better = False

    def __init__(self, scale: float = 1.0, region: Region = "image") -> None:
        super().__init__(region)
        self.scale = scale

    def measure(self, pred: Tensor, target: Tensor, region: Tensor | None) -> Tensor:
        """Return the mean of (pred - target)² over pixels and channels."""
        return region_mean((to_scale(pred, self.scale) - to_scale(target, self.scale)).square_(), region)


class PSNR(ImageMetric):
    """Peak signal-to-noise ratio in dB, from the error over all pixels and channels of one image.

    Args:
        to_bytes: See `to_scale`.
        identical: Value for equal images; None means ``cap``. ISNet's code uses 0.0.
        cap: Largest value in dB; larger values are replaced by it and counted.
        region: See `ImageMetric`.
    """

    higher_is_better = True

    def __init__(
        self,
        to_bytes: Bytes = "keep",
        identical: float | None = None,
        cap: float = 100.0,
        region: Region = "image",
    ) -> None:
        super().__init__(region, cap)
        self.to_bytes = to_bytes
        self.identical = cap if identical is None else identical

    def measure(self, pred: Tensor, target: Tensor, region: Tensor | None) -> Tensor:
        """Return 10 log10(1 / MSE)."""
        error = to_scale(pred, to_bytes=self.to_bytes) - to_scale(target, to_bytes=self.to_bytes)
        mse = region_mean(error.square_(), region)
        return torch.where(mse == 0, self.identical, -10 * mse.log10())
