"""Masks at the resolution of a feature map: the share of hole pixels that belong to each position of it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inpaint_zoo.ops.precision import full_precision, without_autocast

__all__ = ["area_coverage", "field_coverage"]

Weights = NDArray[np.float64]
Axis = tuple[int, int, int, int]
"""Kernel size, stride, padding and dilation of a convolution along one axis."""


def area_coverage(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the share of hole pixels in each cell of a regular grid laid over the mask.

    Cells are H / h pixels high and W / w pixels wide, fractions of a pixel included, and do not overlap. The mean over
    the cells is therefore the hole ratio of the mask.

    Args:
        mask: (B, 1, H, W), 1 = hole.
        size: (h, w), the number of cells.

    Returns:
        (B, 1, h, w) in [0, 1], float32 at least.

    Example:
        >>> area_coverage(Tensor([1, 1, 0, 0, 0]).view(1, 1, 1, 5), (1, 2)).flatten().tolist()
        [0.800000011920929, 0.0]
    """
    return _averaged(mask, *(_cells(length, count) for length, count in zip(mask.shape[2:], size, strict=True)))


def field_coverage(mask: Tensor, convolutions: Iterable[nn.Conv2d]) -> Tensor:
    """Return the share of hole pixels in the receptive field of each output of a stack of convolutions.

    The receptive field is exact: the set of pixels that an output depends on, for any kernel size, stride, padding and
    dilation. Padding is not part of the image, so the share is taken over the part of the field inside the image. An
    output whose field lies outside the image gets 0.

    Args:
        mask: (B, 1, H, W), 1 = hole.
        convolutions: The layers in the order in which they run. Layers between them must not move or mix pixels.
            Weights are not used.

    Returns:
        (B, 1, h, w) in [0, 1], float32 at least, with h and w as the stack gives them.

    Example:
        >>> mask = Tensor([1, 0, 0, 0, 0, 0]).view(1, 1, 1, 6)
        >>> field_coverage(mask, [nn.Conv2d(1, 1, (1, 3), padding=(0, 1))]).flatten().tolist()
        [0.5, 0.3333333432674408, 0.0, 0.0, 0.0, 0.0]
    """
    layers = list(convolutions)
    axes = (tuple(_axis(layer, axis) for layer in layers) for axis in (0, 1))
    rows, columns = (_fields(length, axis) for length, axis in zip(mask.shape[2:], axes, strict=True))
    return _averaged(mask, rows, columns)


def _averaged(mask: Tensor, rows: Weights, columns: Weights) -> Tensor:
    """Return the mean of the mask under each pair of a row (h, H) and a column (w, W) of weights."""
    with without_autocast(mask.device):
        mask = full_precision(mask)
        vertical, horizontal = (torch.from_numpy(weights).to(mask) for weights in (rows, columns))
        total = vertical.sum(1, keepdim=True) * horizontal.sum(1)
        share = vertical @ mask @ horizontal.mT / total.where(total > 0, 1)
        return share.clamp(max=1)  # rounding can make the quotient exceed 1


def _axis(layer: nn.Conv2d, axis: int) -> Axis:
    return layer.kernel_size[axis], layer.stride[axis], int(layer.padding[axis]), layer.dilation[axis]


@lru_cache(maxsize=64)
def _cells(length: int, count: int) -> Weights:
    """Return (count, length): how much of each pixel lies in each cell, along one axis."""
    edges, pixels = np.arange(count + 1) * length / count, np.arange(length)
    return np.maximum(np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels), 0)


@lru_cache(maxsize=64)
def _fields(length: int, layers: tuple[Axis, ...]) -> Weights:
    """Return (outputs, length): 1 where an output depends on a pixel, along one axis.

    The receptive field of an output in two dimensions is the product of its rows and its columns.
    """
    fields = np.eye(length)
    for kernel, stride, padding, dilation in layers:
        inputs = len(fields)
        outputs = (inputs + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        reads = np.arange(outputs)[:, None] * stride - padding + np.arange(kernel) * dilation  # (outputs, kernel)
        inside = (reads >= 0) & (reads < inputs)
        layer = np.zeros((outputs, inputs))
        layer[np.nonzero(inside)[0], reads[inside]] = 1
        fields = (layer @ fields > 0).astype(np.float64)
    return fields
