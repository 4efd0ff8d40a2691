"""Fréchet distance between feature sets (FID), without SciPy's matrix square root."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from inpaint_zoo.metrics.base import SetMetric
from inpaint_zoo.metrics.inception import Resize

__all__ = ["FID", "frechet_distance", "frechet_influences"]


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


def frechet_influences(pred: Tensor, target: Tensor) -> Tensor:
    """Return the influence of each pair of rows on `frechet_distance`, see `SetMetric.influences`.

    Let a be a row of A as in `frechet_distance`, and U s Vᵀ the singular value decomposition of A Bᵀ. The derivative of
    tr sqrt(S1 S2) with respect to S1 is half of the optimal transport map T from one Gaussian to the other, and the
    numbers aᵀ T a are the diagonal of U s Uᵀ. Therefore one decomposition gives the influences of all rows.

    Args:
        pred: (N, D) float64, N >= 2.
        target: (N, D) float64; row i is the same image as in ``pred``.
    """
    n = len(pred)
    shift = pred.mean(0) - target.mean(0)
    rows = [(features - features.mean(0)) / (n - 1) ** 0.5 for features in (pred, target)]
    bases = [_basis(each) for each in rows]
    left, singular, right = torch.linalg.svd(bases[0][1] @ bases[1][1].T)
    influence = 2 * (n - 1) ** 0.5 * (rows[0] - rows[1]) @ shift
    for each, (basis, _), vectors in zip(rows, bases, (left, right.T), strict=True):
        spread = each.square().sum(1)  # sums to the trace of the covariance
        overlap = (vectors if basis is None else basis @ vectors).square() @ singular  # sums to tr sqrt(S1 S2)
        influence += n * (spread - overlap) - (spread - overlap).sum()
    return influence


def _basis(rows: Tensor) -> tuple[Tensor | None, Tensor]:
    """Return Q with orthonormal columns and R with Q R = rows; (None, rows) if there are no more rows than columns."""
    if rows.shape[0] <= rows.shape[1]:
        return None, rows
    q, r = torch.linalg.qr(rows)
    return q, r


class FID(SetMetric):
    """Fréchet Inception distance. It is biased ("biased, small N") if a set has no more images than features.

    Args:
        resize: How images are resized before the network; see `resize_images`.
        extractor: Feature extractor that replaces the Inception network; see `SetMetric`.
    """

    higher_is_better = False
    limits: ClassVar[tuple[float, float]] = (0.0, torch.inf)

    def __init__(self, resize: Resize = "tensorflow", extractor: nn.Module | None = None) -> None:
        super().__init__(extractor, resize)

    def distance(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return `frechet_distance` and set ``biased`` and ``note``."""
        n, dimensions = min(len(pred), len(target)), pred.shape[1]
        self.biased = n <= dimensions
        self.note = f"biased, small N: {n} images for {dimensions} features" if self.biased else f"{n} images"
        return frechet_distance(pred, target)

    def influences(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return `frechet_influences`."""
        return frechet_influences(pred, target)
