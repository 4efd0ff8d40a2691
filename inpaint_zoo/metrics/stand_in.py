"""Small random networks with the interfaces of the metrics' pretrained backbones, for rehearsals of benchmarks.

A metric with such a network runs the same code as with its own, but its values mean nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.metrics.base import ImageMetric, SetMetric
from inpaint_zoo.metrics.catalogue import create_metric, metric_info

__all__ = ["StandInDistance", "StandInFeatures", "create_stand_in"]

WIDTH = 16  # channels of the first layer
SCALE = 30.0  # gives distances with digits in tables


def _layers() -> nn.Sequential:
    """Return two convolutions with stride 2 and fixed random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, WIDTH, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(WIDTH, 2 * WIDTH, 3, stride=2, padding=1),
            nn.ReLU(),
        ).requires_grad_(False)


class StandInFeatures(nn.Module):
    """Stand-in for FID's Inception network: maps images (B, 3, H, W) in [0, 1] to 32 pooled features."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = _layers()

    def forward(self, images: Tensor) -> Tensor:
        """Return the features (B, 32)."""
        return SCALE * self.layers(images * 2 - 1).mean((2, 3))


class StandInDistance(nn.Module):
    """Stand-in for the LPIPS network: maps two batches (B, 3, H, W) in [-1, 1] to distances.

    Args:
        spatial: Return a map (B, 1, H, W) instead of one value (B, 1, 1, 1) for each image.
    """

    def __init__(self, spatial: bool = False) -> None:
        super().__init__()
        self.spatial = spatial
        self.layers = _layers()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the squared distances of the normalized features."""
        a, b = (F.normalize(self.layers(image), dim=1) for image in (x, y))
        distance = (a - b).square().sum(1, keepdim=True)  # (B, 1, H//4, W//4)
        if self.spatial:
            return F.interpolate(distance, x.shape[-2:], mode="bilinear", align_corners=False)
        return distance.mean((2, 3), keepdim=True)


def create_stand_in(name: str) -> ImageMetric | SetMetric:
    """Create a metric by its name, with a small random network in place of its backbone if it needs one.

    Raises:
        UnknownNameError: If the metric is unknown.

    Example:
        >>> metric = create_stand_in("lpips_vgg")
        >>> metric.score(torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 32, 32))
        tensor([0.], dtype=torch.float64)
    """
    info = metric_info(name)
    if not info.needs:
        return create_metric(name)
    if info.per_image:
        return create_metric(name, network=StandInDistance(spatial=info.region != "image"))
    metric = create_metric(name, extractor=StandInFeatures())
    assert isinstance(metric, SetMetric)
    metric.feature_key = "stand_in"  # equal in all processes, so that stored features can be found
    return metric
