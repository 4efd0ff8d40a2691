"""Metrics by name, each with its definition and source: per image, on the hole, and on sets of images.

Use `list_metrics`, `metric_info` and `create_metric`. The metric classes are imported, with torch, on first use.
"""

from typing import TYPE_CHECKING

from inpaint_zoo.lazy import lazy_names
from inpaint_zoo.metrics.catalogue import MetricInfo, create_metric, list_metrics, metric_info, metrics_markdown

if TYPE_CHECKING:
    from inpaint_zoo.metrics.base import ImageMetric, SetMetric
    from inpaint_zoo.metrics.discriminative import IDS
    from inpaint_zoo.metrics.frechet import FID
    from inpaint_zoo.metrics.inception import InceptionFeatures
    from inpaint_zoo.metrics.kernel import KID
    from inpaint_zoo.metrics.lpips import LPIPS
    from inpaint_zoo.metrics.pixel import L1, MSE, PSNR, RelativeL1
    from inpaint_zoo.metrics.stand_in import create_stand_in
    from inpaint_zoo.metrics.structure import SSIM
    from inpaint_zoo.metrics.variation import TotalVariation

__all__ = [
    "FID",
    "IDS",
    "KID",
    "L1",
    "LPIPS",
    "MSE",
    "PSNR",
    "SSIM",
    "ImageMetric",
    "InceptionFeatures",
    "MetricInfo",
    "RelativeL1",
    "SetMetric",
    "TotalVariation",
    "create_metric",
    "create_stand_in",
    "list_metrics",
    "metric_info",
    "metrics_markdown",
]

__getattr__ = lazy_names(
    __name__,
    {
        "inpaint_zoo.metrics.base": ("ImageMetric", "SetMetric"),
        "inpaint_zoo.metrics.discriminative": ("IDS",),
        "inpaint_zoo.metrics.frechet": ("FID",),
        "inpaint_zoo.metrics.inception": ("InceptionFeatures",),
        "inpaint_zoo.metrics.kernel": ("KID",),
        "inpaint_zoo.metrics.lpips": ("LPIPS",),
        "inpaint_zoo.metrics.pixel": ("L1", "MSE", "PSNR", "RelativeL1"),
        "inpaint_zoo.metrics.stand_in": ("create_stand_in",),
        "inpaint_zoo.metrics.structure": ("SSIM",),
        "inpaint_zoo.metrics.variation": ("TotalVariation",),
    },
)
