"""Learning-rate schedules of the papers that torch does not have under a name."""

from __future__ import annotations

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

__all__ = ["ConstantThenLinear"]


class ConstantThenLinear(LRScheduler):
    """Constant, then linear towards 0: factor ``1 - max(0, t - constant) / (decay + 1)`` in the t-th interval (from 1).

    Source: docs/papers/lgnet.md, "Training", where both are 100 epochs.

    Args:
        optimizer: Its learning rates are scaled.
        constant: Intervals at the full rate.
        decay: Intervals of the descent; the rate is never 0 within them, and stays 0 after.
    """

    def __init__(self, optimizer: Optimizer, constant: int, decay: int) -> None:
        self.constant = constant
        self.decay = decay
        super().__init__(optimizer)

    def factor(self, elapsed: int) -> float:
        """Factor after ``elapsed`` whole intervals."""
        return max(0.0, 1.0 - max(0, elapsed + 1 - self.constant) / (self.decay + 1))

    def get_lr(self) -> list[float | Tensor]:
        """Learning rate of each parameter group."""
        return [base * self.factor(self.last_epoch) for base in self.base_lrs]
