"""Winograd's minimal filtering F(4x4, 3x3): a 3x3 convolution with a quarter of the multiplications.

The input is cut into overlapping tiles of 6x6 values. Small matrices transform tiles and kernels along both axes; the
products of transformed tiles and kernels at each of the 36 positions are matrix products over the channels, and the
last transform gives 4x4 outputs per tile. The transforms cost little if there are many channels. Rounding errors are
two to four times those of a direct convolution: at most 2e-5 of the output's standard deviation for 512 channels.

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. The interpolation points are
zoo only: 0, 1/sqrt(2), sqrt(2), their negatives and infinity have a quarter of the rounding error of the usual 0, 1, 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["convolve", "is_worthwhile", "transform_kernels"]

KERNEL, TILE = 3, 4
SPAN = TILE + KERNEL - 1  # height and width of an input tile
POINTS = (0.0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5))
BAND = 2**20  # values of the transformed tiles that are computed at once, so that they stay in the cache
MIN_TILES = 16  # with fewer, reading the transformed kernels takes longer than the products
PRODUCT_COST, TRANSFORM_COST = 1.4, 7.7  # times of a multiplication, as multiples of one in a direct convolution


@cache
def _transforms() -> tuple[Tensor, Tensor, Tensor]:
    """Return the transforms of inputs (6, 6), kernels (6, 3) and products (4, 6) along one axis, in float64.

    The last two evaluate polynomials at the points. The first one follows from them: for all outputs i and kernel
    values k, the products must add up to the input value i + k.
    """
    points = torch.tensor(POINTS, dtype=torch.float64)
    products, kernels = points.new_zeros(TILE, SPAN), points.new_zeros(SPAN, KERNEL)
    products[:, :-1] = points ** torch.arange(TILE)[:, None]
    kernels[:-1] = points[:, None] ** torch.arange(KERNEL)
    products[-1, -1] = kernels[-1, -1] = 1  # the point at infinity
    place = torch.arange(TILE)[:, None] + torch.arange(KERNEL)
    expected = F.one_hot(place, SPAN).double()
    joint = torch.einsum("ij,jk->ikj", products, kernels)
    inputs = torch.linalg.lstsq(joint.flatten(0, 1), expected.flatten(0, 1)).solution
    return inputs, kernels, products


@cache
def _single_precision() -> tuple[Tensor, Tensor]:
    """Return the transforms of inputs and of products in float32."""
    inputs, _, products = _transforms()
    return inputs.float(), products.float()


def transform_kernels(weight: Tensor) -> Tensor:
    """Return the transformed kernels (36, C, O) of weights (O, C, 3, 3)."""
    _, transform, _ = _transforms()
    transform = transform.to(weight.device)
    transformed = torch.einsum("ik,jl,ockl->ijco", transform, transform, weight.double())
    return transformed.flatten(0, 1).float().contiguous()


def is_worthwhile(source: int, target: int, height: int, width: int, batch: int, dilation: int) -> bool:
    """Estimate whether `convolve` takes less than 92 % of the time of a direct convolution.

    Args:
        source: Input channels.
        target: Output channels.
        height: Height of the output.
        width: Width of the output.
        batch: Batch size.
        dilation: Dilation of the kernel.
    """
    step = TILE * dilation
    tiles = batch * -(-height // step) * -(-width // step) * dilation**2
    if tiles < MIN_TILES:
        return False
    transforms = 2 * SPAN**3 * source + (SPAN**2 * TILE + SPAN * TILE**2) * target
    tiled = tiles * (PRODUCT_COST * SPAN**2 * source * target + TRANSFORM_COST * transforms)
    return tiled < 0.92 * batch * height * width * KERNEL**2 * source * target


def convolve(
    x: Tensor,
    kernels: Tensor,
    bias: Tensor | None,
    padding: tuple[int, int],
    dilation: int,
    relu: bool = False,
    into: Tensor | None = None,
) -> Tensor:
    """Return a 3x3 convolution with stride 1, (B, O, H', W'), in channels-last format.

    Args:
        x: (B, C, H, W).
        kernels: The transformed kernels, (36, C, O).
        bias: (O,).
        padding: Zero padding of height and width.
        dilation: Dilation of the kernel.
        relu: Apply ReLU to the result.
        into: Feature map of the result's shape that is added before ReLU. The result overwrites it.
    """
    height, width = (side + 2 * pad - 2 * dilation for side, pad in zip(x.shape[-2:], padding, strict=True))
    step = TILE * dilation
    rows, columns = -(-height // step), -(-width // step)
    x = _padded(x, padding, rows * step + 2 * dilation, columns * step + 2 * dilation)
    in_place = into is not None and (rows * step, columns * step) == (height, width)
    if in_place and into is not None:
        out = into
    else:
        shape = (len(x), kernels.shape[-1], rows * step, columns * step)
        out = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
    for first, end in _bands(rows, columns * dilation**2 * len(x), x.shape[1]):
        values = _outputs(_tiles(x, first, end, columns, dilation), kernels)
        if bias is not None:
            values += bias
        target = _tiled(out, first, end, columns, dilation)
        values = values.view(target.shape)
        if in_place:
            target += values
        elif relu and into is None:
            torch.clamp_min(values, 0, out=target)
        else:
            target.copy_(values)
    if not in_place:
        out = out[..., :height, :width].contiguous(memory_format=torch.channels_last)
        if into is None:
            return out
        out = into.add_(out)
    return out.relu_() if relu else out


def _padded(x: Tensor, padding: tuple[int, int], height: int, width: int) -> Tensor:
    """Pad with zeros at the top and left by ``padding``, and at the bottom and right to the given size."""
    top, left = padding
    bottom, right = height - x.shape[-2] - top, width - x.shape[-1] - left
    if top or left or bottom or right:
        x = F.pad(x, (left, right, top, bottom))
    return x.contiguous(memory_format=torch.channels_last)


def _bands(rows: int, tiles_per_row: int, channels: int) -> Iterator[tuple[int, int]]:
    """Yield ranges [first, end) of the rows of tiles, of about equal length."""
    parts = min(rows, -(-rows * tiles_per_row * SPAN**2 * channels // BAND))
    for part in range(parts):
        yield rows * part // parts, rows * (part + 1) // parts


def _tiles(x: Tensor, first: int, end: int, columns: int, dilation: int) -> Tensor:
    """Return rows of tiles as a view (6, 6, B, rows, d, columns, d, C); with dilation d, d x d tiles interleave."""
    B, C, _, _ = x.shape
    per_image, _, per_row, per_column = x.stride()
    step = TILE * dilation
    return x.as_strided(
        (SPAN, SPAN, B, end - first, dilation, columns, dilation, C),
        (
            *(dilation * per_row, dilation * per_column),
            *(per_image, step * per_row, per_row, step * per_column, per_column, 1),
        ),
        x.storage_offset() + first * step * per_row,
    )


def _outputs(tiles: Tensor, kernels: Tensor) -> Tensor:
    """Return the outputs (16, tiles, O) of tiles (6, 6, ..., C)."""
    inputs, outputs = _single_precision()
    C, O = kernels.shape[1:]  # noqa: E741
    spectra = torch.mm(inputs, tiles.reshape(SPAN, -1)).view(SPAN, SPAN, -1)
    spectra = torch.bmm(inputs.expand(SPAN, -1, -1), spectra).view(SPAN**2, -1, C)
    products = torch.bmm(spectra, kernels).view(SPAN, SPAN, -1)
    products = torch.bmm(outputs.expand(SPAN, -1, -1), products).view(SPAN, -1)
    return torch.mm(outputs, products).view(TILE**2, -1, O)


def _tiled(x: Tensor, first: int, end: int, columns: int, dilation: int) -> Tensor:
    """Return rows of an output (B, O, H, W) as a view (4, 4, B, rows, d, columns, d, O)."""
    step = TILE * dilation
    rows = x.permute(0, 2, 3, 1)[:, first * step : end * step]
    split = torch.unflatten(rows, 1, (end - first, TILE, dilation))
    return torch.unflatten(split, 4, (columns, TILE, dilation)).permute(2, 5, 0, 1, 3, 4, 6, 7)
