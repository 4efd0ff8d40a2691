"""Memory that a network needs for an image, computed from shapes, and the memory that there is."""

from __future__ import annotations

import copy
import os
import re
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils import _pytree
from torch.utils._python_dispatch import TorchDispatchMode

from inpaint_zoo.errors import ZooError
from inpaint_zoo.inference.batch import Filler
from inpaint_zoo.inference.optimize import OptimizedNetwork
from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.ops import pad_to_multiple
from inpaint_zoo.ops.winograd import is_worthwhile

__all__ = [
    "activation_bytes",
    "available_bytes",
    "fast_form_bytes",
    "format_bytes",
    "parse_bytes",
    "peak_of",
    "weight_bytes",
]

WORKSPACE = 1.5
"""Ratio of the memory of a forward pass to the memory of its tensors. Convolutions and FFTs also copy their inputs and
outputs to other layouts. Measured with `benchmarks/speed/any_size.py`."""
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def parse_bytes(text: str | int) -> int:
    """Return a number of bytes from a text such as "4GiB", "800 MB" or "2e9".

    Raises:
        ZooError: The text is not a positive number with an optional unit.

    Example:
        >>> parse_bytes("4GiB"), parse_bytes("1.5 MB"), parse_bytes(1024)
        (4294967296, 1500000, 1024)
    """
    found = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([kmgt]?i?)b?\s*", str(text).lower())
    unit = _UNITS.get(found[2]) if found else None
    try:
        value = int(float(found[1]) * unit) if found and unit else 0
    except (ValueError, OverflowError):
        value = 0
    if value <= 0:
        raise ZooError(f"Memory must be a positive size such as 4GiB or 800MB, got '{text}'.")
    return value


def format_bytes(count: float) -> str:
    """Return a number of bytes in MiB or GiB.

    Example:
        >>> format_bytes(300 * 2**20), format_bytes(5.5 * 2**30)
        ('300 MiB', '5.50 GiB')
    """
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def available_bytes(device: torch.device) -> int:
    """Return the free memory of a device; for the CPU, what the system can give to this process."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    limits = []
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        limits += [int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("MemAvailable:")]
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")) - used)  # of a container
    except (OSError, ValueError):  # not Linux, no container, or a container without a limit
        pass
    if not limits and hasattr(os, "sysconf"):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)
    return min(limits, default=4 * 2**30)


def weight_bytes(net: nn.Module) -> int:
    """Return the memory of the parameters and buffers of a network."""
    return sum(value.nbytes for value in (*net.parameters(), *net.buffers()))


def fast_form_bytes(net: nn.Module) -> int:
    """Return the memory of the weights of a network's fast form on a CPU.

    The largest of them are the transformed kernels of wide 3x3 convolutions, see `ops.winograd`.
    """
    return weight_bytes(net) + sum(4 * value.nbytes for value in net.parameters() if _is_wide(value))


def _is_wide(weight: Tensor) -> bool:
    """Return whether a weight is that of a 3x3 convolution with many channels."""
    return weight.shape[-2:] == (3, 3) and is_worthwhile(weight.shape[1], weight.shape[0], 64, 64, 1, 1)


class _Live(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch does not annotate it
    """Within this context, `peak` is the largest number of bytes of all tensors that exist at the same time."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(
        self, func: OpOverload, types: object, args: Sequence[object] = (), kwargs: Mapping[str, object] | None = None
    ) -> object:
        result = func(*args, **(kwargs or {}))
        for value in _pytree.tree_leaves(result):
            if isinstance(value, Tensor):
                self._add(value)
        return result

    def _add(self, value: Tensor) -> None:
        if value.layout == torch._mkldnn:  # type: ignore[attr-defined]  # a packed weight has no storage
            return
        storage = value.untyped_storage()
        key = storage._cdata
        if key in self._seen:
            return
        size = storage.nbytes()
        self._seen.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._drop, key, size)  # a storage keeps its Python object as long as it exists

    def _drop(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.live -= size


def peak_of(call: Callable[[], object]) -> int:
    """Return the largest number of bytes of all tensors that a call has at the same time, on any device."""
    with _Live() as live:
        call()
    return live.peak


def _meta_copy(net: nn.Module) -> nn.Module:
    """Return a copy on the meta device, without a copy of the weights on the way."""
    memo: dict[int, Any] = {
        id(value): nn.Parameter(value.detach().to("meta"), requires_grad=False) for value in net.parameters()
    }
    memo |= {id(value): value.detach().to("meta") for value in net.buffers()}
    return copy.deepcopy(net, memo).to("meta").eval()


_networks: WeakKeyDictionary[nn.Module, tuple[nn.Module | None, dict[tuple[int, int], int]]] = WeakKeyDictionary()


def activation_bytes(net: Filler, height: int, width: int) -> int:
    """Estimate the memory in bytes that a forward pass adds to the memory of the weights, for one image.

    The estimate is the peak of the tensors of `stages`, computed from shapes on the meta device, times `WORKSPACE`. If
    an operation depends on values, a small image is computed on the CPU instead, and its peak is scaled with the number
    of pixels. It is 0 for functions and for networks without parameters.

    Args:
        net: The network, not in its fast form, which does not run on the meta device; from the fast form, the network
            that it was made from is not known, and its peak is scaled from a small image.
        height: Height of the image in pixels, padded as the network requires.
        width: Width of the image in pixels.
    """
    if not isinstance(net, InpaintingNetwork) or next(net.parameters(), None) is None:
        return 0
    if net not in _networks:
        copied = None if isinstance(net, OptimizedNetwork) else _meta_copy(net)
        _networks[net] = (copied, {})
    shapes, known = _networks[net]
    size = _padded(net.network if isinstance(net, OptimizedNetwork) else net, height, width)
    if size not in known:
        known[size] = int(WORKSPACE * (_from_shapes(shapes, size) or _from_sample(net, size)))
    return known[size]


def _padded(net: InpaintingNetwork, height: int, width: int) -> tuple[int, int]:
    padded = pad_to_multiple(torch.empty(1, 1, height, width, device="meta"), net.divisor, net.min_size, "zeros")
    return padded.shape[-2], padded.shape[-1]


def _from_shapes(shapes: nn.Module | None, size: tuple[int, int]) -> int | None:
    if not isinstance(shapes, InpaintingNetwork):
        return None
    image, mask = (torch.zeros(1, channels, *size, device="meta") for channels in (3, 1))
    try:
        with torch.no_grad():
            return peak_of(lambda: shapes.stages_unchecked(image, mask))
    except (NotImplementedError, RuntimeError, ValueError):
        return None


def _from_sample(net: InpaintingNetwork, size: tuple[int, int]) -> int:
    H, W = _padded(net.network if isinstance(net, OptimizedNetwork) else net, 64, 64)
    device = next(net.parameters()).device
    mask = torch.zeros(1, 1, H, W, device=device)
    mask[..., H // 4 : H // 2, W // 4 : W // 2] = 1
    with torch.no_grad():
        peak = peak_of(lambda: net.stages(torch.zeros(1, 3, H, W, device=device), mask))
    return peak * size[0] * size[1] // (H * W)
