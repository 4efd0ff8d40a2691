"""Total variation of the result, without comparison to the ground truth."""

from __future__ import annotations

import torch
from torch import Tensor

from inpaint_zoo.metrics.base import ImageMetric, fixed_sum
from inpaint_zoo.metrics.pixel import to_scale

__all__ = ["TotalVariation"]


class TotalVariation(ImageMetric):
    """Total variation: 100 times the sum of the mean absolute horizontal and vertical difference of ``pred``.

    ``pred`` is in [0, 1]; the target is ignored. For a region, a pair of neighbors counts if both lie in it. A
    direction without pairs contributes 0; the value is NaN if neither direction has pairs.
    """

    higher_is_better = False

    def measure(self, pred: Tensor, target: Tensor, region: Tensor | None) -> Tensor:
        """Return 100 times the sum of both directions' means."""
        x = to_scale(pred)
        inside = torch.ones_like(x[:, :1], dtype=torch.bool) if region is None else region.to(x.device)
        sums, pairs = [], []
        for dim in (-1, -2):
            length = x.shape[dim] - 1
            steps = (x.narrow(dim, 1, length) - x.narrow(dim, 0, length)).abs()
            both = inside.narrow(dim, 1, length) & inside.narrow(dim, 0, length)
            sums.append(fixed_sum(torch.where(both, steps, 0.0)))
            pairs.append(both.flatten(1).sum(1) * x.shape[1])
        total, count = torch.stack(sums), torch.stack(pairs)  # (2, B)
        mean = torch.where(count > 0, total / count.clamp(min=1), 0.0).sum(0)
        return torch.where(count.sum(0) > 0, 100 * mean, torch.nan)
