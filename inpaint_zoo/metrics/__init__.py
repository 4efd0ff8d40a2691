"""Metrics by name, each with its definition and source: per image, on the hole, and on sets of images.

Use `list_metrics`, `metric_info` and `create_metric`. The metric classes are imported, with torch, on first use.
"""

import importlib
from typing import TYPE_CHECKING

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

_MODULES = {
    "base": ("ImageMetric", "SetMetric"),
    "discriminative": ("IDS",),
    "frechet": ("FID",),
    "inception": ("InceptionFeatures",),
    "kernel": ("KID",),
    "lpips": ("LPIPS",),
    "pixel": ("L1", "MSE", "PSNR", "RelativeL1"),
    "stand_in": ("create_stand_in",),
    "structure": ("SSIM",),
    "variation": ("TotalVariation",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'inpaint_zoo.metrics' has no attribute '{name}'")
    return getattr(importlib.import_module(f"inpaint_zoo.metrics.{_HOME[name]}"), name)
