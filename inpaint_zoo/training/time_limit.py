"""The time that a training may take."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.callbacks import Timer

__all__ = ["TimeLimit"]


class TimeLimit(Timer):
    """Stops after a time that each call of the command has for itself, unlike Lightning's timer, which adds them up.

    So `--trainer.max_time` with `--ckpt_path last` trains on instead of doing nothing.
    """

    def state_dict(self) -> dict[str, Any]:
        """Nothing: the next run has all of its time."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Forget what earlier runs took."""
