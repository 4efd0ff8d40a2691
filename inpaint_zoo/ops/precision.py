"""Keeping parts of a network in the precision they are written in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

__all__ = ["without_autocast"]


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """A context in which operations on ``device`` are not cast: FFT, Gram matrices, paddings, penalties."""
    # on "meta", where shapes are counted, there is no autocast to switch off
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)
