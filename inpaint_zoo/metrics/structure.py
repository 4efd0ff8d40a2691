"""Structural similarity (SSIM), in float64 by separable windows, with the borders and windows of each paper.

torchmetrics' own SSIM in float64 takes some twenty times as long for the same values (its window is not separable),
knows one border and no sample covariance; the tests hold this one against it and against scikit-image.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from inpaint_zoo.metrics.base import ImageMetric, Region, region_mean
from inpaint_zoo.metrics.pixel import Bytes, to_scale

__all__ = ["SSIM", "gaussian_window", "ssim_map"]

Border = Literal["reflect", "zero", "crop"]
K1, K2 = 0.01, 0.03  # Wang et al. 2004, for a data range of 1


def gaussian_window(size: int = 11, sigma: float = 1.5) -> list[float]:
    """Weights of a Gaussian of ``size`` taps, summing to 1."""
    weights = torch.exp(-((torch.arange(size, dtype=torch.float64) - size // 2) ** 2) / (2 * sigma**2))
    return (weights / weights.sum()).tolist()


def _filter(x: Tensor, window: list[float]) -> Tensor:
    """Separable filter of (B, C, H, W) without padding -> (B, C, H - size + 1, W - size + 1)."""
    for dim in (-1, -2):
        length = x.shape[dim] - len(window) + 1
        total = x.narrow(dim, 0, length) * window[0]
        term = torch.empty_like(total)
        for k, weight in enumerate(window[1:], start=1):
            # not add(alpha=...): that fuses in the vectorised part of a loop only, so bits would depend on threads
            total += torch.mul(x.narrow(dim, k, length), weight, out=term)
        x = total
    return x


def ssim_map(pred: Tensor, target: Tensor, window: list[float], border: Border, sample_covariance: bool) -> Tensor:
    """SSIM at every window, per channel.

    Args:
        pred: (B, C, H, W) float64 in [0, 1].
        target: As ``pred``.
        window: Weights of one side, odd in number.
        border: "reflect" (without the edge) and "zero" keep the size; "crop" keeps whole windows only.
        sample_covariance: Divide by n - 1 (a uniform window is meant) rather than by n.
    """
    pad = len(window) // 2
    if border != "crop":
        mode = "reflect" if border == "reflect" else "constant"
        pred, target = (F.pad(x, (pad, pad, pad, pad), mode=mode) for x in (pred, target))
    n = len(window) ** 2
    unbiased = n / (n - 1) if sample_covariance else 1.0
    mean_p, mean_t = _filter(pred, window), _filter(target, window)
    var_p = (_filter(pred * pred, window) - mean_p * mean_p) * unbiased
    var_t = (_filter(target * target, window) - mean_t * mean_t) * unbiased
    cov = (_filter(pred * target, window) - mean_p * mean_t) * unbiased
    c1, c2 = K1**2, K2**2
    luminance = (2 * mean_p * mean_t + c1) / (mean_p * mean_p + mean_t * mean_t + c1)
    return luminance * ((2 * cov + c2) / (var_p + var_t + c2))


class SSIM(ImageMetric):
    """Mean SSIM over pixels and RGB channels; in the hole, the mean of the map over the hole's pixels.

    Args:
        window: "gaussian" (sigma 1.5) or "uniform".
        size: Taps of a side, odd.
        border: As `ssim_map`; the hole needs a map of the image's size.
        sample_covariance: As `ssim_map`.
        to_bytes: As `to_scale`.
        region: As `ImageMetric`.
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
            raise ValueError('`border` must be "reflect" or "zero" where only a region counts, got "crop".')
        self.window = gaussian_window(size) if window == "gaussian" else [1 / size] * size
        self.border: Border = border
        self.sample_covariance = sample_covariance
        self.to_bytes = to_bytes
        self.min_side = {"reflect": size // 2 + 1, "zero": 1, "crop": size}[border]

    def measure(self, pred: Tensor, target: Tensor, region: Tensor | None) -> Tensor:
        """Mean of `ssim_map`."""
        x, y = (to_scale(image, to_bytes=self.to_bytes) for image in (pred, target))
        values = ssim_map(x, y, self.window, self.border, self.sample_covariance)
        return region_mean(values, region)
