"""Full precision for parts of a network under autocast."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

__all__ = ["full_precision", "without_autocast"]


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Return a context that disables autocast on ``device``, for example for FFT, Gram matrices or penalties."""
    # The device "meta" has no autocast. If autocast is off, return a null context, because an export would copy the
    # whole graph for each autocast region.
    if device.type == "meta" or not torch.is_autocast_enabled(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def full_precision(x: Tensor) -> Tensor:
    """Convert to float32 unless ``x`` is more precise.

    In half precision, sums over an image lose digits, and Gram matrices overflow in float16.
    """
    return x if x.element_size() >= 4 else x.float()
