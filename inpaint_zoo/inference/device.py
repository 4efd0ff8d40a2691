"""Select the device to run on."""

from __future__ import annotations

import torch

from inpaint_zoo.errors import ZooError

__all__ = ["choose_device"]


def choose_device(name: str) -> torch.device:
    """Return the device called ``name``; "auto" selects CUDA, else MPS, else the CPU.

    Raises:
        ZooError: If this machine has no such device.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, there in present.items() if there)
    if not present.get(name, False):
        there = ", ".join(device for device, is_there in present.items() if is_there)
        raise ZooError(f"--device {name}: not available on this machine; available: {there}.")
    return torch.device(name)
