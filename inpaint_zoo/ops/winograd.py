"""Winograd's minimal filtering F(4x4, 3x3): a 3x3 convolution with a quarter of the multiplications.

The input is cut into overlapping tiles of 6x6 values. Small matrices transform tiles and kernels along both axes; the
products of transformed tiles and kernels at each of the 36 positions are matrix products over the channels, and the
last transform gives 4x4 outputs per tile. The gradients are computed by the same steps in reverse. The transforms cost
little if there are many channels. Rounding errors are two to eight times those of a direct convolution: at most 2e-5 of
the output's standard deviation for 512 channels.

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. The interpolation points differ
from theirs: 0, 1/sqrt(2), sqrt(2), their negatives and infinity have a quarter of the rounding error of 0, 1 and 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["applies", "convolve", "gradients", "is_worthwhile", "output_size", "transform_kernels"]

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


def transform_kernels(weight: Tensor, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return the transformed kernels (36, C, O) of weights (O, C, 3, 3).

    Args:
        weight: The weights.
        dtype: Precision of the transform. In float32 it takes a third of the time, for weights that change.
    """
    values = weight.to(dtype).reshape(-1, KERNEL**2)
    transformed = _of_kernels(dtype).to(weight.device) @ values.mT
    return transformed.float().view(SPAN**2, *weight.shape[:2]).mT


@cache
def _of_kernels(dtype: torch.dtype) -> Tensor:
    """Return the transform of kernels along both axes, (36, 9)."""
    _, transform, _ = _transforms()
    return torch.kron(transform, transform).to(dtype)


def applies(
    x: Tensor,
    weight: Tensor,
    stride: Sequence[int],
    padding: Sequence[int] | str,
    dilation: Sequence[int],
    groups: int,
) -> bool:
    """Return whether `convolve` computes a convolution, and is estimated to be faster than PyTorch's operator.

    Shapes must not depend on values under compile and export, so the answer is then False.

    Args:
        x: The input (B, C, H, W).
        weight: The weights (O, C, height, width).
        stride: As of `torch.nn.functional.conv2d`, like the arguments after it.
        padding: Zero padding of height and width, or its name.
        dilation: Dilation of height and width.
        groups: Number of groups.
    """
    if x.dtype != torch.float32 or x.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    if weight.shape[-2:] != (KERNEL, KERNEL) or groups != 1 or tuple(stride) != (1, 1) or isinstance(padding, str):
        return False
    target, source = weight.shape[:2]
    rows, columns = dilation
    return rows == columns and is_worthwhile(source, target, *output_size(x, padding, rows), len(x), rows)


def output_size(x: Tensor, padding: Sequence[int], dilation: int) -> tuple[int, int]:
    """Return height and width of the output of a 3x3 convolution with stride 1."""
    height, width = (side + 2 * (pad - dilation) for side, pad in zip(x.shape[-2:], padding, strict=True))
    return height, width


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
    height, width = output_size(x, padding, dilation)
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
    _, outputs = _single_precision()
    O = kernels.shape[2]  # noqa: E741
    products = torch.bmm(_spectra(tiles), kernels).view(SPAN, SPAN, -1)
    products = torch.bmm(outputs.expand(SPAN, -1, -1), products).view(SPAN, -1)
    return torch.mm(outputs, products).view(TILE**2, -1, O)


def _spectra(tiles: Tensor) -> Tensor:
    """Return the transformed tiles (36, tiles, C) of tiles (6, 6, ..., C)."""
    inputs, _ = _single_precision()
    spectra = torch.mm(inputs, tiles.reshape(SPAN, -1)).view(SPAN, SPAN, -1)
    return torch.bmm(inputs.expand(SPAN, -1, -1), spectra).view(SPAN**2, -1, tiles.shape[-1])


def _tiled(x: Tensor, first: int, end: int, columns: int, dilation: int) -> Tensor:
    """Return rows of an output (B, O, H, W) as a view (4, 4, B, rows, d, columns, d, O)."""
    step = TILE * dilation
    rows = x.permute(0, 2, 3, 1)[:, first * step : end * step]
    split = torch.unflatten(rows, 1, (end - first, TILE, dilation))
    return torch.unflatten(split, 4, (columns, TILE, dilation)).permute(2, 5, 0, 1, 3, 4, 6, 7)


def gradients(
    grad: Tensor,
    x: Tensor,
    kernels: Tensor,
    padding: tuple[int, int],
    dilation: int,
    of_input: bool = True,
    of_weight: bool = True,
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients of `convolve`'s input and of the weights (O, C, 3, 3), by the transposed algorithm.

    Args:
        grad: Gradient of the output (B, O, H', W').
        x: The input (B, C, H, W).
        kernels: The transformed kernels (36, C, O).
        padding: Zero padding of height and width.
        dilation: Dilation of the kernel.
        of_input: Whether the gradient of the input is needed; else the first result is None.
        of_weight: Whether the gradient of the weights is needed; else the second result is None.
    """
    step = TILE * dilation
    rows, columns = (-(-side // step) for side in grad.shape[-2:])
    grad = _padded(grad, (0, 0), rows * step, columns * step)
    size = (rows * step + 2 * dilation, columns * step + 2 * dilation)
    padded = _padded(x, padding, *size) if of_weight else None
    to_input = _zeros(x, *size) if of_input else None
    to_kernels = torch.zeros_like(kernels.mT) if of_weight else None
    for first, end in _bands(rows, columns * dilation**2 * len(x), max(kernels.shape[1:])):
        products = _product_gradients(_tiled(grad, first, end, columns, dilation))
        if to_kernels is not None and padded is not None:
            spectra = _spectra(_tiles(padded, first, end, columns, dilation))
            to_kernels.baddbmm_(products.mT, spectra)
        if to_input is not None:
            _add_tiles(_tiles(to_input, first, end, columns, dilation), torch.bmm(products, kernels.mT))
    if to_input is not None:
        (top, left), (height, width) = padding, x.shape[-2:]
        to_input = to_input[..., top : top + height, left : left + width]
    return to_input, None if to_kernels is None else _weight_gradients(to_kernels)


def _zeros(x: Tensor, height: int, width: int) -> Tensor:
    """Return zeros for the gradient of the padded input, in channels-last format."""
    return x.new_zeros(len(x), height, width, x.shape[1]).permute(0, 3, 1, 2)


def _product_gradients(tiles: Tensor) -> Tensor:
    """Return the gradients of the products (36, tiles, O), given those of output tiles (4, 4, ..., O)."""
    _, outputs = _single_precision()
    rows = torch.mm(outputs.mT, tiles.reshape(TILE, -1)).view(SPAN, TILE, -1)
    return torch.bmm(outputs.mT.expand(SPAN, -1, -1), rows).view(SPAN**2, -1, tiles.shape[-1])


def _add_tiles(tiles: Tensor, spectra: Tensor) -> None:
    """Add the gradients of transformed tiles (36, tiles, C) to the values (6, 6, ..., C) that the tiles share."""
    inputs, _ = _single_precision()
    added = torch.mm(inputs.mT, spectra.view(SPAN, -1)).view(SPAN, SPAN, -1)
    added = torch.bmm(inputs.mT.expand(SPAN, -1, -1), added).view(tiles.shape)
    own, shared = slice(0, TILE), slice(TILE, SPAN)  # within one of these four parts, tiles do not overlap
    for part in ((own, own), (own, shared), (shared, own), (shared, shared)):
        tiles[part] += added[part]


def _weight_gradients(kernels: Tensor) -> Tensor:
    """Return the gradients of the weights (O, C, 3, 3), given those of the transformed kernels (36, O, C)."""
    values = (_of_kernels(kernels.dtype).mT @ kernels.flatten(1)).view(KERNEL**2, *kernels.shape[1:])
    return values.permute(1, 2, 0).contiguous().view(*kernels.shape[1:], KERNEL, KERNEL)
