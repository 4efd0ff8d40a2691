"""Fréchet distance between feature sets (FID), without SciPy's matrix square root."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inpaint_zoo.metrics.base import SetMetric
from inpaint_zoo.metrics.inception import Resize

__all__ = ["FID", "frechet_distance"]


def frechet_distance(pred: Tensor, target: Tensor) -> Tensor:
    """Return the Fréchet distance between two Gaussians fitted to features (covariances divided by n - 1).

    With fewer samples than features, the covariances are singular. Then tr sqrt(S1 S2) is computed exactly, and without
    a D x D matrix, as the sum of the singular values of A Bᵀ, where A and B are the centered features divided by
    sqrt(n - 1).

    Args:
        pred: (N, D) float64, N >= 2.
        target: (M, D) float64, M >= 2.

    Returns:
        A float64 scalar, at least 0.
    """
    mean_p, mean_t = pred.mean(0), target.mean(0)
    a = (pred - mean_p) / (len(pred) - 1) ** 0.5
    b = (target - mean_t) / (len(target) - 1) ** 0.5
    if min(len(pred), len(target)) <= pred.shape[1]:
        root = torch.linalg.svdvals(a @ b.T).sum()
    else:
        values, vectors = torch.linalg.eigh(a.T @ a)
        half = vectors * values.clamp(min=0).sqrt() @ vectors.T
        root = torch.linalg.eigvalsh(half @ (b.T @ b) @ half).clamp(min=0).sqrt().sum()
    distance = (mean_p - mean_t).square().sum() + a.square().sum() + b.square().sum() - 2 * root
    return distance.clamp(min=0)  # rounding can make it slightly negative for equal sets


class FID(SetMetric):
    """Fréchet Inception distance. It is biased ("biased, small N") if a set has no more images than features.

    Args:
        resize: How images are resized before the network; see `resize_images`.
        extractor: Feature extractor that replaces the Inception network; see `SetMetric`.
    """

    higher_is_better = False

    def __init__(self, resize: Resize = "tensorflow", extractor: nn.Module | None = None) -> None:
        super().__init__(extractor, resize)

    def distance(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return `frechet_distance` and set ``biased`` and ``note``."""
        n, dimensions = min(len(pred), len(target)), pred.shape[1]
        self.biased = n <= dimensions
        self.note = f"biased, small N: {n} images for {dimensions} features" if self.biased else f"{n} images"
        return frechet_distance(pred, target)
