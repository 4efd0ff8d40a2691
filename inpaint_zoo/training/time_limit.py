"""Time limit of a training run."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.callbacks import Timer

__all__ = ["TimeLimit"]


class TimeLimit(Timer):
    """Timer that counts only the time of the current call, while Lightning's timer includes the time before resuming.

    Therefore a call with the same `--trainer.max_time` and `--ckpt_path last` continues training.
    """

    def state_dict(self) -> dict[str, Any]:
        """Return an empty dictionary, so that the elapsed time is not stored."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Ignore the elapsed time of earlier runs."""
