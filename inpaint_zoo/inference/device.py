"""Select the devices to run on, and read how much memory was used on them."""

from __future__ import annotations

import sys

import torch

from inpaint_zoo.errors import ZooError

__all__ = ["choose_device", "choose_devices", "peak_bytes"]


def choose_device(name: str) -> torch.device:
    """Return the device called ``name``; see `choose_devices`.

    Raises:
        ZooError: If this machine has no such device.
    """
    return _devices(name)[0]


def choose_devices(names: str) -> list[torch.device]:
    """Return the devices called ``names``, such as "cpu", "cuda:1" or "cuda:0,cuda:1".

    "auto" selects CUDA, else MPS, else the CPU; "cuda:all" selects all CUDA devices. A device that is named twice runs
    two copies of the model.

    Raises:
        ZooError: If this machine has no such device.
    """
    return [device for name in names.split(",") for device in _devices(name.strip())]


def _devices(name: str) -> list[torch.device]:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    present = ["cuda"] * bool(count) + [f"cuda:{number}" for number in range(count)] + ["cuda:all"] * bool(count)
    present += ["mps"] * torch.backends.mps.is_available() + ["cpu"]
    if name == "auto":
        name = present[0]
    if name not in present:
        raise ZooError(f"--device {name}: not available on this machine; available: {', '.join(present)}.")
    return [torch.device("cuda", number) for number in range(count)] if name == "cuda:all" else [torch.device(name)]


def peak_bytes(device: torch.device) -> int | None:
    """Return the largest memory so far, of this process for the CPU and of PyTorch for a GPU; None if unknown."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
