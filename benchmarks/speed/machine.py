"""Description of the machine for the speed scripts of networks."""

import os
import platform

import torch
from processor import processor

from inpaint_zoo.analysis.machine import cores


def machine(load_before: float, device: str) -> dict[str, object]:
    """Return what the figures of networks depend on, besides the options.

    Args:
        load_before: Load of the system before the measurement; the current load is added.
        device: "cpu" or "cuda".
    """
    return {
        "processor": processor(),
        **({"gpu": torch.cuda.get_device_name()} if device == "cuda" else {}),
        "cores": cores(),
        "load_before": round(load_before, 2),
        "load_after": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
