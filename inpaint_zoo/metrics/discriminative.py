"""P-IDS and U-IDS: how often a linear classifier on Inception features mistakes a result for a real image."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from inpaint_zoo.errors import ZooError
from inpaint_zoo.metrics.base import SetMetric

__all__ = ["IDS", "fit_linear_svm"]

MAX_STEPS = 200


def _newton(x: Tensor, y: Tensor, cost: float) -> Tensor:
    """Minimize w·w / 2 + cost Σ max(0, 1 - y x·w)² by Newton's method, exact for piecewise quadratic functions."""

    def objective(w: Tensor) -> Tensor:
        return w.square().sum() / 2 + cost * (1 - y * (x @ w)).clamp(min=0).square().sum()

    w = x.new_zeros(x.shape[1])
    identity = torch.eye(len(w), dtype=x.dtype, device=x.device)
    smallest = 1e-10 * (1 + cost * x.abs().sum(0).max())
    for _ in range(MAX_STEPS):
        slack = 1 - y * (x @ w)
        active = x[slack > 0]
        gradient = w - 2 * cost * (active.T @ (y * slack)[slack > 0])
        if gradient.abs().max() <= smallest:
            break
        step = torch.linalg.solve(identity + 2 * cost * active.T @ active, gradient)
        size, before, slope = 1.0, objective(w), gradient @ step
        while objective(w - size * step) > before - 1e-4 * size * slope:
            size /= 2
            if size < 1e-6:
                return w  # no step decreases the objective: the minimum up to rounding
        w = w - size * step
    return w


def fit_linear_svm(features: Tensor, labels: Tensor, cost: float = 1.0) -> Tensor:
    """Fit a linear support vector machine with squared hinge loss.

    This is the problem that liblinear solves for scikit-learn's `LinearSVC(dual=False)`: the bias is an additional
    feature of value 1 and is regularized like the others. The problem has a unique solution. It is found up to rounding
    here, up to 1e-4 by liblinear.

    Args:
        features: (N, D) float64.
        labels: (N,), -1 or 1.
        cost: Weight of the loss, relative to the regularization.

    Returns:
        (D + 1,): weights, then bias.
    """
    x = torch.cat([features, features.new_ones(len(features), 1)], dim=1)
    labels = labels.to(x)
    if x.shape[0] >= x.shape[1]:
        return _newton(x, labels, cost)
    # the solution lies in the span of the samples: N unknowns instead of D + 1
    basis, coordinates = torch.linalg.qr(x.T)
    return basis @ _newton(coordinates.T, labels, cost)


class IDS(SetMetric):
    """Inception discriminative score of Co-Mod-GAN (Zhao et al. 2021), from 0 to 1.

    A linear classifier is trained to separate real images from results and evaluated on the same images. "paired" is
    the fraction of pairs in which the result gets a higher score than its ground truth. "unpaired" is the classifier's
    error rate, 0.5 if it cannot separate them at all.

    Args:
        kind: "paired" (P-IDS) or "unpaired" (U-IDS).
        extractor: Feature extractor that replaces the Inception network; see `SetMetric`.
    """

    higher_is_better = True
    limits: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __init__(self, kind: Literal["paired", "unpaired"], extractor: nn.Module | None = None) -> None:
        super().__init__(extractor)
        self.kind = kind

    def distance(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the score. It is biased for fewer images than features, which can always be separated."""
        paired = self.kind == "paired"
        if paired and len(pred) != len(target):
            raise ZooError(f"p_ids compares pairs, got {len(pred)} results and {len(target)} ground truth images.")
        n, dimensions = min(len(pred), len(target)), pred.shape[1]
        self.biased = len(pred) + len(target) <= dimensions + 1
        self.note = f"biased, small N: {n} images for {dimensions} features" if self.biased else f"{n} images"
        parts = self._parts(pred, target)
        return torch.stack([part.sum() for part in parts]).sum() / sum(len(part) for part in parts)

    def influences(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the deviation of each pair's own score from the mean, for the classifier as it is.

        The influence of a pair on the training of the classifier is not included.
        """
        own = torch.stack(self._parts(pred, target)).mean(0)
        return own - own.mean()

    def _parts(self, pred: Tensor, target: Tensor) -> list[Tensor]:
        """Return what the score is the mean of: 1 for each pair, or each image, that the classifier gets wrong."""
        labels = torch.cat([target.new_ones(len(target)), -pred.new_ones(len(pred))])
        svm = fit_linear_svm(torch.cat([target, pred]), labels)
        if self.kind == "paired":
            # subtract first, so that equal images give exactly 0 and not the sign of a rounding error
            return [((pred - target) @ svm[:-1] > 0).double()]
        return [(target @ svm[:-1] + svm[-1] <= 0).double(), (pred @ svm[:-1] + svm[-1] > 0).double()]
