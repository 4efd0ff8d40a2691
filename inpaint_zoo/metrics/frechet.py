"""Fréchet distance between feature sets (FID), without a matrix square root by SciPy."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inpaint_zoo.metrics.base import SetMetric
from inpaint_zoo.metrics.inception import Resize

__all__ = ["FID", "frechet_distance"]


def frechet_distance(pred: Tensor, target: Tensor) -> Tensor:
    """Fréchet distance between two Gaussians fitted to features (covariances divided by n - 1).

    With fewer samples than features the covariances are singular: then tr sqrt(S1 S2) is the sum of the singular values
    of A Bᵀ (A, B the centred features over sqrt(n - 1)), exact and without a D x D matrix.

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
    return distance.clamp(min=0)  # equal sets land some 1e-12 to either side


class FID(SetMetric):
    """Fréchet Inception distance; "biased, small N" when either set has no more images than features.

    Args:
        resize: Which of the three resizings before the network; see `resize_images`.
        extractor: Takes the place of the Inception network.
    """

    higher_is_better = False

    def __init__(self, resize: Resize = "tensorflow", extractor: nn.Module | None = None) -> None:
        super().__init__(extractor, resize)

    def distance(self, pred: Tensor, target: Tensor) -> Tensor:
        """`frechet_distance`, with the warning about small sets."""
        n, dimensions = min(len(pred), len(target)), pred.shape[1]
        self.biased = n <= dimensions
        self.note = f"biased, small N: {n} images for {dimensions} features" if self.biased else f"{n} images"
        return frechet_distance(pred, target)
