"""Keeping parts of a network in the precision they are written in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

__all__ = ["without_autocast"]


def without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """A context in which operations on the device of ``x`` are not cast: FFT, paddings, penalties."""
    # on "meta", where shapes are counted, there is no autocast to switch off
    return nullcontext() if x.device.type == "meta" else torch.autocast(x.device.type, enabled=False)
