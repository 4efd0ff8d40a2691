"""The machine: its description, its memory, and settings for exact arithmetic."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch

__all__ = ["cores", "describe_device", "describe_environment", "exact", "release_freed_memory", "resident_growth_mib"]

T = TypeVar("T")

PACKAGES = (
    "torch",
    "torchvision",
    "torchmetrics",
    "lpips",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "scikit-image",
)


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe_device(device: torch.device) -> str:
    """Return the device type, for CUDA with the name of the GPU."""
    import torch

    return f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type


def describe_environment(device: torch.device) -> dict[str, Any]:
    """Return package versions and hardware as plain values."""
    import torch

    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": cores(),
        "torch_threads": torch.get_num_threads(),
        "device": describe_device(device),
        **_versions(),
    }


@cache
def _versions() -> dict[str, str]:
    """Return the versions of the packages that results depend on, which are read once."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except ModuleNotFoundError:  # a different distribution, such as opencv-python
            continue
    return versions


def resident_growth_mib(call: Callable[[], T]) -> tuple[T, float | None]:
    """Return the result of ``call``, and the growth in MiB of the process's peak resident memory over its size before.

    The growth is None if the operating system does not provide it.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")  # Linux: reset the peak to the current size
    except OSError:
        return call(), None
    before = _status_kib("VmRSS")
    result = call()
    return result, (_status_kib("VmHWM") - before) / 1024


def release_freed_memory() -> None:
    """Give memory that the process has freed back to the operating system, where the C library can do this (glibc).

    Otherwise, `resident_growth_mib` does not see what a call takes from memory that an earlier call left behind.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


def _status_kib(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), 0)


@contextmanager
def exact(device: torch.device) -> Iterator[None]:
    """Use full float32 and deterministic kernels on CUDA: no TF32, no selection of algorithms by speed."""
    import torch

    if device.type != "cuda":
        yield
        return
    matmul = torch.backends.cuda.matmul
    before = matmul.allow_tf32
    matmul.allow_tf32 = False
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        matmul.allow_tf32 = before
