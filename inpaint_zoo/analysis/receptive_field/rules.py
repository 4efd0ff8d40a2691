"""How each operation changes the receptive field. An operation without a rule is assumed to mix all positions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from torch import Tensor

from inpaint_zoo.analysis.receptive_field.field import Field, joined, reshaped

__all__ = ["Call", "derive"]

Tracked = tuple[Tensor, Field]


class Call(NamedTuple):
    """One call of an aten operator.

    Attributes:
        name: Name without namespace, overload, and the underscore of in-place operations.
        arguments: Arguments by their names in the schema, with defaults filled in.
        output: The first output tensor.
        pointwise: Whether torch tags the operator as pointwise: each element depends only on elements at its position.
    """

    name: str
    arguments: dict[str, Any]
    output: Tensor
    pointwise: bool


Rule = Callable[[Call, Tensor, Field], Field]
_RULES: dict[str, Rule] = {}

_CONSTANTS = {"zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full", "new_empty"}
_CONSTANTS |= {"rand_like", "randn_like", "new_empty_strided"}
_SAME_PLACE = {"copy", "_to_copy", "leaky_relu", "elu", "_prelu_kernel", "hardswish", "hardtanh", "alias", "detach"}
_SAME_PLACE |= {"lift_fresh", "rrelu_with_noise", "native_dropout", "log_sigmoid_forward", "fill", "expand", "repeat"}
_PRODUCTS = {
    "mm": ("self", "mat2"),
    "bmm": ("self", "mat2"),
    "addmm": ("mat1", "mat2"),
    "baddbmm": ("batch1", "batch2"),
}


def derive(call: Call, tracked: Sequence[Tracked]) -> Field | None:
    """Return the output's field, given the tracked inputs: those that depend on the network's input.

    The result is None if the output does not depend on the network's input.
    """
    if call.name in _CONSTANTS:
        return None
    if call.pointwise or call.name in _SAME_PLACE:
        return _same_place(call, tracked)
    if call.name in ("cat", "stack"):
        return _concatenated(call, tracked)
    first, field = tracked[0]
    if call.name in _PRODUCTS:
        return _product(call, tracked)
    if any(tensor is not first for tensor, _ in tracked) or first is not next(iter(call.arguments.values())):
        return field.everywhere(f"{call.name} with weights that depend on the image")
    if field.dims is None:
        return field
    rule = _RULES.get(call.name)
    return rule(call, first, field) if rule else field.everywhere(f"{call.name}, which has no rule")


def _rule(*names: str) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        _RULES.update(dict.fromkeys(names, rule))
        return rule

    return register


def _dims(field: Field) -> tuple[int, int]:
    assert field.dims is not None  # `derive` calls rules only for maps
    return field.dims


def _is_map(x: Tensor, field: Field) -> bool:
    return field.dims == (x.ndim - 2, x.ndim - 1)


def _chosen(x: Tensor, dims: int | Sequence[int] | None) -> set[int]:
    """Return the dimensions counted from 0; all dimensions if none is given."""
    named = range(x.ndim) if dims is None or dims == [] else [dims] if isinstance(dims, int) else dims
    return {dim % x.ndim for dim in named}


def _pair(value: Sequence[int]) -> tuple[int, int]:
    return value[0], value[-1]


def _read(
    field: Field, output: Tensor, reads: Iterable[tuple[Fraction | int, Fraction | int, Fraction | int]]
) -> Field:
    """Return the field with both axes read by (first, last, step); rows and columns keep their dimensions."""
    rows, columns = (
        axis.reads(*read, output.shape[dim])
        for axis, read, dim in zip((field.rows, field.columns), reads, _dims(field), strict=True)
    )
    return field._replace(rows=rows, columns=columns)


def _same_place(call: Call, tracked: Sequence[Tracked]) -> Field:
    """Combine tensors position by position; shapes are broadcast from the right."""
    fields = []
    for tensor, field in tracked:
        if field.dims is None:
            fields.append(field)
            continue
        shift = call.output.ndim - tensor.ndim
        if any(tensor.shape[dim] != call.output.shape[dim + shift] for dim in field.dims):
            return field.everywhere("one position that is broadcast to all")
        fields.append(field._replace(dims=(field.dims[0] + shift, field.dims[1] + shift)))
    return joined(fields, f"{call.name} of maps that are not aligned")


def _concatenated(call: Call, tracked: Sequence[Tracked]) -> Field:
    dim = call.arguments["dim"] % call.output.ndim
    fields = []
    for _, field in tracked:
        if field.dims is not None and call.name == "stack":
            rows, columns = (place + (place >= dim) for place in field.dims)
            field = field._replace(dims=(rows, columns))
        fields.append(field)
    if call.name == "cat" and any(field.dims and dim in field.dims for field in fields):
        return fields[0].everywhere("cat of positions")
    return joined(fields, f"{call.name} of maps that are not aligned")


def _product(call: Call, tracked: Sequence[Tracked]) -> Field:
    """Handle matrix products: weights on channels keep positions; products of two maps are attention."""
    tensor, field = tracked[0]
    left, right = (call.arguments[name] for name in _PRODUCTS[call.name])
    if len(tracked) > 1:
        return field.everywhere("products of positions")
    if field.dims is None:
        return field
    summed = tensor.ndim - 1 if tensor is left else tensor.ndim - 2
    if (tensor is not left and tensor is not right) or summed in field.dims:
        return field.everywhere("a weighted sum of positions")
    return field


@_rule("convolution")
def _convolution(call: Call, x: Tensor, field: Field) -> Field:
    of = call.arguments
    kernel = of["weight"].shape[2:]
    if all(size == 1 for size in (*kernel, *of["stride"])) and not any(of["padding"]) and 1 not in _dims(field):
        return field
    if not _is_map(x, field) or len(kernel) != 2:
        return field.everywhere("a convolution over other dimensions than rows and columns")
    reads = []
    for size, stride, padding, dilation in zip(
        kernel, *(_pair(of[key]) for key in ("stride", "padding", "dilation")), strict=True
    ):
        reach = dilation * (size - 1)
        if of["transposed"]:  # y reads x where y = stride x - padding + dilation k: a bound for all phases
            reads.append((Fraction(padding - reach, stride), Fraction(padding, stride), Fraction(1, stride)))
        else:
            reads.append((Fraction(-padding), Fraction(reach - padding), Fraction(stride)))
    return _read(field, call.output, reads)


@_rule("max_pool2d_with_indices", "avg_pool2d")
def _pool(call: Call, x: Tensor, field: Field) -> Field:
    if not _is_map(x, field):
        return field.everywhere("pooling over other dimensions than rows and columns")
    of = call.arguments
    kernel = _pair(of["kernel_size"])
    stride = _pair(of["stride"] or kernel)
    dilation = _pair(of.get("dilation") or (1, 1))
    return _read(
        field,
        call.output,
        [(-p, d * (k - 1) - p, s) for k, s, p, d in zip(kernel, stride, _pair(of["padding"]), dilation, strict=True)],
    )


@_rule("_adaptive_avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d")
def _adaptive_pool(call: Call, x: Tensor, field: Field) -> Field:
    if not _is_map(x, field) or 1 in call.output.shape[-2:]:
        return field.everywhere("pooling to one value")
    reads = []
    for before, after in zip(x.shape[-2:], call.output.shape[-2:], strict=True):
        step = Fraction(before, after)
        taps = [(math.floor(y * step), math.ceil((y + 1) * step) - 1) for y in range(after)]
        reads.append(_bounds(taps, step))
    return _read(field, call.output, reads)


def _bounds(taps: Sequence[tuple[int, int]], step: Fraction) -> tuple[Fraction, Fraction, Fraction]:
    """Return (first, last, step) that bounds all positions, given the first and last input that each one reads."""
    return min(a - y * step for y, (a, _) in enumerate(taps)), max(b - y * step for y, (_, b) in enumerate(taps)), step


_REACH = {"bilinear": 1, "bicubic": 2}
_INTERPOLATIONS = [f"upsample_{mode}2d" for mode in ("nearest", *_REACH)]
_ANTIALIASED = [f"_upsample_{mode}2d_aa" for mode in _REACH]


@_rule(*_INTERPOLATIONS, "_upsample_nearest_exact2d", *_ANTIALIASED)
def _interpolation(call: Call, x: Tensor, field: Field) -> Field:
    if not _is_map(x, field):
        return field.everywhere("interpolation over other dimensions than rows and columns")
    reads = []
    for before, after, key in zip(x.shape[-2:], call.output.shape[-2:], ("scales_h", "scales_w"), strict=True):
        scale = call.arguments[key]
        step = Fraction(before, after) if scale is None else 1 / Fraction(scale).limit_denominator(1 << 16)
        corners = call.arguments.get("align_corners", False)
        if corners:
            step = Fraction(before - 1, max(after - 1, 1))
        reads.append(_bounds([_taps(call.name, y, step, corners) for y in range(after)], step))
    return _read(field, call.output, reads)


def _taps(name: str, y: int, step: Fraction, corners: bool) -> tuple[int, int]:
    """Return the first and last position that torch interpolates position ``y`` from."""
    center = y * step if corners else (y + Fraction(1, 2)) * step - Fraction(1, 2)
    reach = next((reach for mode, reach in _REACH.items() if mode in name), 0)
    if not reach:
        nearest = math.floor(center + Fraction(1, 2) if "exact" in name else y * step)
        return nearest, nearest
    if name.endswith("_aa"):
        support = reach * max(Fraction(1), step)
        return math.ceil(center - support), math.floor(center + support)
    return math.floor(center) - reach + 1, math.ceil(center) + reach - 1


@_rule("pixel_shuffle")
def _shuffle(call: Call, x: Tensor, field: Field) -> Field:
    if not _is_map(x, field):
        return field.everywhere("pixel_shuffle over other dimensions than rows and columns")
    factor = call.arguments["upscale_factor"]
    return _read(field, call.output, [(Fraction(1 - factor, factor), 0, Fraction(1, factor))] * 2)


@_rule("pixel_unshuffle")
def _unshuffle(call: Call, x: Tensor, field: Field) -> Field:
    if not _is_map(x, field):
        return field.everywhere("pixel_unshuffle over other dimensions than rows and columns")
    factor = call.arguments["downscale_factor"]
    return _read(field, call.output, [(0, factor - 1, factor)] * 2)


@_rule("constant_pad_nd", "reflection_pad2d", "replication_pad2d", "reflection_pad1d", "replication_pad1d")
def _pad(call: Call, x: Tensor, field: Field) -> Field:
    """Shift the positions; borders are ignored, so reflected pixels are not counted."""
    padding = call.arguments.get("pad") or call.arguments["padding"]
    before = dict(enumerate(padding[::2]))  # from the last dimension backwards
    rows, columns = _dims(field)
    if rows == columns and x.shape[rows] != call.output.shape[rows]:
        return field.everywhere("a padding of flattened positions")
    return _read_once(field, call.output, {dim: (-before.get(x.ndim - 1 - dim, 0), 1) for dim in (rows, columns)})


@_rule("slice")
def _slice(call: Call, x: Tensor, field: Field) -> Field:
    dim = call.arguments["dim"] % x.ndim
    if dim not in _dims(field) or x.shape[dim] == call.output.shape[dim]:
        return field
    if field.dims == (dim, dim):
        return field.everywhere("a part of flattened positions")
    start = call.arguments["start"] or 0
    start = max(start + x.shape[dim], 0) if start < 0 else start
    return _read_once(field, call.output, {dim: (start, call.arguments["step"])})


def _read_once(field: Field, output: Tensor, moves: dict[int, tuple[int, int]]) -> Field:
    """Return the field if each new position is one old position: ``moves`` gives start and step by dimension."""
    rows, columns = _dims(field)
    if rows == columns:
        return field
    reads = [(start, start, step) for start, step in (moves.get(dim, (0, 1)) for dim in (rows, columns))]
    return _read(field, output, reads)


@_rule("view", "_unsafe_view", "reshape", "squeeze", "unsqueeze", "_reshape_alias", "flatten", "unflatten")
def _reshape(call: Call, x: Tensor, field: Field) -> Field:
    dims = reshaped(field, x.shape, call.output.shape)
    return field.everywhere("a reshape that cuts or mixes rows and columns") if dims is None else _moved(field, dims)


def _moved(field: Field, dims: Iterable[int]) -> Field:
    rows, columns = dims
    return field._replace(dims=(rows, columns))


@_rule("permute")
def _permute(call: Call, x: Tensor, field: Field) -> Field:
    order = [dim % x.ndim for dim in call.arguments["dims"]]
    return _moved(field, map(order.index, _dims(field)))


@_rule("transpose", "t")
def _transpose(call: Call, x: Tensor, field: Field) -> Field:
    a, b = (call.arguments.get(f"dim{k}", k) % x.ndim for k in range(2))
    return _moved(field, ({a: b, b: a}.get(dim, dim) for dim in _dims(field)))


@_rule("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "cudnn_batch_norm")
def _batch_norm(call: Call, x: Tensor, field: Field) -> Field:
    """Keep the field if stored statistics are used. Statistics of the input itself depend on all positions."""
    own = call.arguments.get("training", False)
    return field.everywhere("statistics over positions", keep_map=True) if own else field


@_rule("native_group_norm")
def _group_norm(call: Call, x: Tensor, field: Field) -> Field:
    return field.everywhere("statistics over positions", keep_map=True)


@_rule("native_layer_norm")
def _layer_norm(call: Call, x: Tensor, field: Field) -> Field:
    normed = range(x.ndim - len(call.arguments["normalized_shape"]), x.ndim)
    own = any(dim in normed for dim in _dims(field))
    return field.everywhere("statistics over positions", keep_map=True) if own else field


@_rule("_softmax", "_log_softmax", "_safe_softmax", "glu", "cumsum", "index_select", "flip", "roll")
def _along(call: Call, x: Tensor, field: Field) -> Field:
    """Handle operations that mix positions along some dimensions and keep the number of dimensions."""
    mixed = _chosen(x, call.arguments.get("dim", call.arguments.get("dims")))
    if mixed & set(_dims(field)):
        return field.everywhere(f"{call.name.lstrip('_')} over positions", keep_map=x.shape == call.output.shape)
    return field


_REDUCTIONS = ["mean", "sum", "prod", "amax", "amin", "max", "min", "argmax", "argmin", "var", "std", "logsumexp"]
_REDUCTIONS += ["linalg_vector_norm", "norm", "any", "all", "var_mean", "std_mean"]


@_rule(*_REDUCTIONS)
def _reduce(call: Call, x: Tensor, field: Field) -> Field:
    gone = _chosen(x, call.arguments.get("dim"))
    if gone & set(_dims(field)):
        return field.everywhere(f"{call.name} over positions")
    if call.arguments.get("keepdim"):
        return field
    return _moved(field, (dim - sum(other < dim for other in gone) for dim in _dims(field)))


@_rule("select", "unbind")
def _without(call: Call, x: Tensor, field: Field) -> Field:
    gone = call.arguments["dim"] % x.ndim
    if gone in _dims(field):
        return field.everywhere("a single row or column that is selected")
    return _moved(field, (dim - (gone < dim) for dim in _dims(field)))


@_rule("split", "split_with_sizes")
def _split(call: Call, x: Tensor, field: Field) -> Field:
    return field.everywhere("a part of the positions") if call.arguments["dim"] % x.ndim in _dims(field) else field


@_rule("_fft_r2c", "_fft_c2c", "_fft_c2r")
def _fourier(call: Call, x: Tensor, field: Field) -> Field:
    return field.everywhere("a Fourier transform")
