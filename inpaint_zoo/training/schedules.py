"""Learning-rate schedules of the papers that torch does not provide."""

from __future__ import annotations

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

__all__ = ["ConstantThenLinear"]


class ConstantThenLinear(LRScheduler):
    """Schedule with a constant learning rate, followed by a linear decay towards 0.

    The factor in interval t, counted from 1, is ``1 - max(0, t - constant) / (decay + 1)``. An interval is a step or
    an epoch.

    Source: docs/papers/lgnet.md, "Training", where both arguments are 100 epochs.

    Args:
        optimizer: The optimizer whose learning rates are scaled.
        constant: Number of intervals at the full rate.
        decay: Number of intervals of the decay. The rate is greater than 0 within them, and 0 afterwards.
    """

    def __init__(self, optimizer: Optimizer, constant: int, decay: int) -> None:
        self.constant = constant
        self.decay = decay
        super().__init__(optimizer)

    def factor(self, elapsed: int) -> float:
        """Return the factor in [0, 1] after ``elapsed`` complete intervals."""
        return max(0.0, 1.0 - max(0, elapsed + 1 - self.constant) / (self.decay + 1))

    def get_lr(self) -> list[float | Tensor]:
        """Return the learning rate of each parameter group."""
        return [base * self.factor(self.last_epoch) for base in self.base_lrs]
