"""What the speed scripts of networks print of the machine."""

import os
import platform

import torch
from processor import processor

from inpaint_zoo.benchmark.machine import cores


def machine(load_before: float, device: str) -> dict[str, object]:
    """What figures of networks depend on, beside what the options say.

    Args:
        load_before: Of the system, before anything was measured; that of now stands beside it.
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
