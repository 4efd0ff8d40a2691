"""Keeping parts of a network in the precision they are written in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

__all__ = ["at_least_float32", "without_autocast"]


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """A context in which operations on ``device`` are not cast: FFT, Gram matrices, paddings, penalties."""
    # on "meta", where shapes are counted, there is no autocast; where it is off, an export would copy the whole graph
    # for each region that is entered
    if device.type == "meta" or not torch.is_autocast_enabled(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def at_least_float32(x: Tensor) -> Tensor:
    """``x`` in float32 where it is in half precision; else as it is."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
