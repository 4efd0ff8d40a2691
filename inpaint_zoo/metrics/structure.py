"""Structural similarity (SSIM) in float64 with separable windows, and with the borders and windows of each paper.

The SSIM of torchmetrics in float64 takes about twenty times as long for the same values, because its window is not
separable. It also supports only one kind of border and no sample covariance. The tests compare this implementation with
torchmetrics and scikit-image.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from inpaint_zoo.metrics.base import ImageMetric, Region, region_mean
from inpaint_zoo.metrics.pixel import Bytes, to_scale

__all__ = ["SSIM", "gaussian_window", "ssim_map"]

Border = Literal["reflect", "zero", "crop"]
Floats = NDArray[np.float64]
Array = TypeVar("Array", Tensor, Floats)
K1, K2 = 0.01, 0.03  # Wang et al. 2004, for a data range of 1


def gaussian_window(size: int = 11, sigma: float = 1.5) -> list[float]:
    """Return the ``size`` weights of a Gaussian window, normalized to the sum 1."""
    weights = torch.exp(-((torch.arange(size, dtype=torch.float64) - size // 2) ** 2) / (2 * sigma**2))
    return (weights / weights.sum()).tolist()


def ssim_map(pred: Tensor, target: Tensor, window: list[float], border: Border, sample_covariance: bool) -> Tensor:
    """Return SSIM at every window position, per channel.

    Args:
        pred: (B, C, H, W) float64 in [0, 1].
        target: Ground truth (B, C, H, W) float64 in [0, 1].
        window: Weights of the window along one axis, an odd number.
        border: "reflect" (without repeating the edge) and "zero" keep the size; "crop" keeps only windows inside the
            image.
        sample_covariance: Divide covariances by n - 1 instead of n; meant for a uniform window.
    """
    n = len(window) ** 2
    unbiased = n / (n - 1) if sample_covariance else 1.0
    if pred.device.type != "cpu":
        return _similarity(pred, target, partial(_filter, window=window, border=border), unbiased)
    smooth = partial(_filter_on_cpu, weights=np.array(window), border=border)
    x, y = (each.contiguous().numpy() for each in (pred, target))
    maps = [_map_on_cpu(*pair, smooth, unbiased, len(window) // 2, border) for pair in zip(x, y, strict=True)]
    return torch.from_numpy(maps[0][None] if len(maps) == 1 else np.stack(maps))


def _map_on_cpu(
    x: Floats, y: Floats, smooth: Callable[[Floats], Floats], unbiased: float, pad: int, border: Border
) -> Floats:
    """Return the map of SSIM of one image (C, H, W), which is 1 at all windows in which both images are equal.

    Only the rectangle around the differences is computed. With "crop", that is simpler for the complete image. One
    channel at a time is computed, so that its arrays stay in the cache of a core.
    """
    if border == "crop":
        return np.stack([_similarity(*planes, smooth, unbiased) for planes in zip(x, y, strict=True)])
    _, H, W = x.shape
    different = (x != y).any(0)
    rows, columns = (np.flatnonzero(different.any(axis)) for axis in (1, 0))
    whole = np.ones_like(x)
    if not len(rows):
        return whole
    inner, outer = (  # windows that contain a difference, and the pixels that they contain
        tuple(
            slice(max(int(at[0]) - reach, 0), min(int(at[-1]) + reach + 1, side))
            for at, side in ((rows, H), (columns, W))
        )
        for reach in (pad, 2 * pad)
    )
    part = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(inner, outer, strict=True))
    for plane, of_x, of_y in zip(whole, x, y, strict=True):
        near_x, near_y = np.ascontiguousarray(of_x[outer]), np.ascontiguousarray(of_y[outer])
        plane[inner] = _similarity(near_x, near_y, smooth, unbiased)[part]
    return whole


def _similarity(x: Array, y: Array, smooth: Callable[[Array], Array], unbiased: float) -> Array:
    """Return the map of SSIM; operations are in place, because on a CPU most of the time is that of the memory.

    Args:
        x: A result.
        y: The ground truth.
        smooth: Function that returns the local means, as a new array.
        unbiased: Factor of variances and covariances.
    """
    means, other, products = smooth(x), smooth(y), x * y
    covariance = smooth(products)
    squares = x * x
    squares += y * y
    variances = smooth(squares)  # the sum of both variances, as soon as the means are subtracted
    mixed = means * other
    means *= means
    other *= other
    means += other  # the sum of both squared means
    variances -= means
    covariance -= mixed
    if unbiased != 1:
        variances *= unbiased
        covariance *= unbiased
    c1, c2 = K1**2, K2**2
    mixed *= 2
    mixed += c1
    covariance *= 2
    covariance += c2
    mixed *= covariance
    means += c1
    variances += c2
    means *= variances
    mixed /= means
    return mixed


def _filter(x: Tensor, window: list[float], border: Border) -> Tensor:
    """Filter (B, C, H, W) separably; "crop" gives (B, C, H - size + 1, W - size + 1), other borders keep the size."""
    pad = len(window) // 2
    if border != "crop":
        x = F.pad(x, (pad, pad, pad, pad), mode="reflect" if border == "reflect" else "constant")
    for dim in (-1, -2):
        length = x.shape[dim] - len(window) + 1
        total = x.narrow(dim, 0, length) * window[0]
        term = torch.empty_like(total)
        for k, weight in enumerate(window[1:], start=1):
            # not add(alpha=...), which uses fused operations only in the vectorized part of a loop, so that the last
            # bits would depend on the shape of the batch
            total += torch.mul(x.narrow(dim, k, length), weight, out=term)
        x = total
    return x


def _filter_on_cpu(x: Floats, weights: Floats, border: Border) -> Floats:
    """Filter (H, W) like `_filter`, with OpenCV, which takes a tenth of the time for a window of 11."""
    import cv2

    kind = cv2.BORDER_REFLECT_101 if border == "reflect" else cv2.BORDER_CONSTANT  # the constant is 0
    done = np.empty_like(x)
    cv2.sepFilter2D(x, -1, weights, weights, dst=done, borderType=kind)
    if border == "crop":
        pad = len(weights) // 2
        done = done[pad : x.shape[0] - pad, pad : x.shape[1] - pad]
    return done


class SSIM(ImageMetric):
    """Mean SSIM over pixels and RGB channels; for a region, the mean of the SSIM map over its pixels.

    Args:
        window: "gaussian" (sigma 1.5) or "uniform".
        size: Window size in pixels, odd.
        border: See `ssim_map`; a region needs a map of the image's size, so not "crop".
        sample_covariance: See `ssim_map`.
        to_bytes: See `to_scale`.
        region: See `ImageMetric`.

    Raises:
        ValueError: If ``border`` is "crop" and ``region`` is not "image".
    """

    higher_is_better = True

    def __init__(
        self,
        window: Literal["gaussian", "uniform"] = "gaussian",
        size: int = 11,
        border: Border = "reflect",
        sample_covariance: bool = False,
        to_bytes: Bytes = "keep",
        region: Region = "image",
    ) -> None:
        super().__init__(region)
        if region != "image" and border == "crop":
            raise ValueError('`border` must be "reflect" or "zero" for the regions "hole" and "known", got "crop".')
        self.window = gaussian_window(size) if window == "gaussian" else [1 / size] * size
        self.border: Border = border
        self.sample_covariance = sample_covariance
        self.to_bytes = to_bytes
        self.min_side = {"reflect": size // 2 + 1, "zero": 1, "crop": size}[border]

    def measure(self, pred: Tensor, target: Tensor, region: Tensor | None) -> Tensor:
        """Return the mean of `ssim_map`."""
        x, y = (to_scale(image, to_bytes=self.to_bytes) for image in (pred, target))
        values = ssim_map(x, y, self.window, self.border, self.sample_covariance)
        return region_mean(values, region)
