"""Kernel distance between feature sets (KID), which is unbiased and therefore usable for small sets, unlike FID."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from inpaint_zoo.metrics.base import SetMetric
from inpaint_zoo.metrics.inception import Resize

__all__ = ["KID", "kernel_distance", "kernel_influences"]

_ROWS = 1024  # rows of a kernel matrix that are in memory at a time


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def kernel_distance(pred: Tensor, target: Tensor) -> Tensor:
    """Return the unbiased squared MMD with the cubic kernel (x·y / D + 1)³, a scalar; it can be slightly negative.

    Args:
        pred: (N, D) float64, N >= 2.
        target: (M, D) float64, M >= 2.
    """
    total = torch.zeros((), dtype=pred.dtype, device=pred.device)
    for x in (pred, target):
        gram = _kernel(x, x)
        total += (gram.sum() - gram.diagonal().sum()) / (len(x) * (len(x) - 1))
    return total - 2 * _kernel(pred, target).mean()


def kernel_influences(pred: Tensor, target: Tensor) -> Tensor:
    """Return the influence of each pair of rows on `kernel_distance`, see `SetMetric.influences`.

    It is twice the difference between the mean of the kernel terms with this pair and the value.

    Args:
        pred: (N, D) float64, N >= 2.
        target: (N, D) float64; row i is the same image as in ``pred``.
    """
    n = len(pred)
    terms = torch.zeros(n, dtype=pred.dtype, device=pred.device)
    for start in range(0, n, _ROWS):
        at = slice(start, start + _ROWS)
        for x in (pred, target):
            itself = (x[at].square().sum(1) / x.shape[1] + 1) ** 3
            terms[at] += (_kernel(x[at], x).sum(1) - itself) / (n - 1)
        terms[at] -= (_kernel(pred[at], target).sum(1) + _kernel(target[at], pred).sum(1)) / n
    return 2 * (terms - terms.mean())


class KID(SetMetric):
    """Kernel Inception distance: the mean over random subsets, or all images at once if one subset holds them all.

    The subsets are drawn as in torch-fidelity, with NumPy's legacy random generator, so the values agree with
    torch-fidelity's. With several subsets, the value depends slightly on the order of the images.

    Args:
        subsets: Number of subsets.
        subset_size: Maximum number of images per subset; ``note`` states the actual number.
        seed: Seed for drawing the subsets.
        resize: How images are resized before the network; see `resize_images`.
        extractor: Feature extractor that replaces the Inception network; see `SetMetric`.
    """

    higher_is_better = False

    def __init__(
        self,
        subsets: int = 100,
        subset_size: int = 1000,
        seed: int = 2020,
        resize: Resize = "tensorflow",
        extractor: nn.Module | None = None,
    ) -> None:
        super().__init__(extractor, resize)
        self.subsets = subsets
        self.subset_size = subset_size
        self.seed = seed

    def distance(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the mean of `kernel_distance` over the subsets, and set ``note``."""
        size = min(self.subset_size, len(pred), len(target))
        if size == len(pred) == len(target):
            self.note = f"all {size} images at once"
            return kernel_distance(pred, target)
        self.note = f"{self.subsets} subsets of {size} images"
        draw = np.random.RandomState(self.seed)  # as torch-fidelity; its sequence is the same in all NumPy versions
        total = torch.zeros((), dtype=pred.dtype, device=pred.device)
        for _ in range(self.subsets):
            chosen = [torch.from_numpy(draw.choice(len(x), size, replace=False)) for x in (pred, target)]
            total += kernel_distance(*(x[index.to(x.device)] for x, index in zip((pred, target), chosen, strict=True)))
        return total / self.subsets

    def influences(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return `kernel_influences` over all images at once, also if the value is a mean over subsets."""
        return kernel_influences(pred, target)
