"""Keeping parts of a network in the precision they are written in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

__all__ = ["full_precision", "without_autocast"]


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """A context in which operations on ``device`` are not cast: FFT, Gram matrices, paddings, penalties."""
    # on "meta", where shapes are counted, there is no autocast; where it is off, an export would copy the whole graph
    # for each region that is entered
    if device.type == "meta" or not torch.is_autocast_enabled(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def full_precision(x: Tensor) -> Tensor:
    """float32 at least: sums over a picture lose digits in half precision, and Gram matrices overflow in float16."""
    return x if x.element_size() >= 4 else x.float()
