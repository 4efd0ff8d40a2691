"""Bytes -> network -> bytes, for all callers: `inpaint`, folders of images, the benchmark, and images of validation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inpaint_zoo.interfaces import MIN_SIDE, InpaintingNetwork
from inpaint_zoo.ops import composite, crop_to, pad_to_multiple, to_uint8

__all__ = [
    "Bytes",
    "Filler",
    "as_tensor",
    "fill_batch",
    "running",
    "to_bytes",
    "to_images",
    "to_tensors",
    "to_unit",
    "upload",
]

Filler = Callable[..., Tensor]
"""An `InpaintingNetwork`, or a function of image (B, 3, H, W) in [0, 1] and mask (B, 1, H, W) with 1 = hole. It returns
the filled images; their known pixels are not used."""

Bytes = NDArray[np.uint8]
CPU = torch.device("cpu")


def as_tensor(array: NDArray[Any]) -> Tensor:
    """Return a tensor that shares memory with ``array``; read-only or non-contiguous arrays are copied."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def upload(array: NDArray[Any], device: torch.device) -> Tensor:
    """Return an array as a tensor on a device; the caller does not wait for the transfer to a GPU."""
    tensor = as_tensor(array)
    # from pinned memory, which PyTorch does not reuse before the transfer is complete
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def to_images(images: Bytes, device: torch.device) -> Tensor:
    """Convert images (B, H, W, 3) to (B, 3, H, W) in [0, 1] on a device, with the same bits on every device."""
    return to_unit(upload(images, device).permute(0, 3, 1, 2))


def to_unit(levels: Tensor) -> Tensor:
    """Convert uint8 values to float32 in [0, 1], with the same bits on every device."""
    values = levels.float()
    return values.div_(values.new_full((), 255.0))  # a tensor, because a GPU multiplies by 1 / 255 for a number


def to_tensors(images: Bytes, holes: NDArray[np.bool_], device: torch.device = CPU) -> tuple[Tensor, Tensor]:
    """Convert images (B, H, W, 3) and holes (B, H, W) to tensors: (B, 3, H, W) in [0, 1], and (B, 1, H, W) bool."""
    return to_images(images, device), upload(holes, device)[:, None]


def fill_batch(net: Filler, image: Tensor, hole: Tensor, *, hole_fill: Tensor | None = None, **options: Any) -> Tensor:
    """Fill a batch in eval mode and without gradients.

    Args:
        net: The model; it runs on the device of its parameters.
        image: (B, 3, H, W) in [0, 1], any H and W.
        hole: (B, 1, H, W) bool, True = hole.
        hole_fill: See `InpaintingNetwork.stages`.
        options: Keyword arguments of ``net``.

    Returns:
        (B, 3, H, W), float32 in [0, 1], on the device of ``image``, whose known pixels it has bit for bit.
    """
    with running(net, image, hole) as (x, mask):
        if hole_fill is not None:
            options["hole_fill"] = pad_to_multiple(hole_fill.to(x.device), min_size=MIN_SIDE)
        filled = crop_to(net(x, mask, **options), (image.shape[-2], image.shape[-1])).float().to(image.device)
    return filled if isinstance(net, InpaintingNetwork) else composite(filled, image, hole)


@contextmanager
def running(net: Filler, image: Tensor, hole: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the inputs of ``net`` on its device, while it is in eval mode and gradients are disabled.

    Args:
        net: Any model.
        image: (B, 3, H, W) in [0, 1].
        hole: (B, 1, H, W) bool; image and hole are padded to the minimum size of every model.
    """
    module = net if isinstance(net, nn.Module) else None
    first = next(chain(module.parameters(), module.buffers()), None) if module else None
    device = image.device if first is None else first.device
    x, mask = (pad_to_multiple(part.to(device), min_size=MIN_SIDE) for part in (image, hole.float()))
    training = module is not None and module.training
    if module is not None and training:
        module.eval()
    try:
        with torch.no_grad():
            yield x, mask
    finally:
        if module is not None and training:
            module.train()


def to_bytes(images: Tensor) -> Bytes:
    """Convert images (B, 3, H, W) in [0, 1] to (B, H, W, 3) uint8, rounded, on the CPU.

    Pixels that `to_tensors` converted from bytes become the same bytes again.
    """
    return to_uint8(images).permute(0, 2, 3, 1).contiguous().cpu().numpy()
