"""Compute receptive fields by running a network on the meta device and tracking the field of every operation."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from inpaint_zoo.analysis.receptive_field.field import Axis, Field
from inpaint_zoo.analysis.receptive_field.rules import Call, derive
from inpaint_zoo.errors import ZooError
from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = ["WHOLE", "PartReach", "Reach", "network_reach", "part_reach", "sides_for"]

WHOLE = "whole network"


class Reach(NamedTuple):
    """Theoretical receptive field of a map, for the position that sees most, ignoring borders.

    Attributes:
        size: (H, W) of the map.
        step: (rows, columns) input pixels between adjacent positions; the j of the (r, j) rules.
        extent: (rows, columns) in input pixels, the r; None if each position may see the whole input.
        cause: The operation through which it may see the whole input; None if ``extent`` is given.
        center: First and last row, and first and last column, that the central position sees, clipped to the input.
    """

    size: tuple[int, int]
    step: tuple[Fraction, Fraction]
    extent: tuple[int, int] | None
    cause: str | None
    center: tuple[tuple[int, int], tuple[int, int]]


class PartReach(NamedTuple):
    """Receptive fields of a network or a part of it.

    Attributes:
        deepest: Field of the map with the largest step; of several, the one that sees most.
        output: Field of the last prediction.
    """

    deepest: Reach
    output: Reach


def sides_for(net: InpaintingNetwork, height: int, width: int) -> tuple[int, int]:
    """Return the height and width to which ``net`` pads an image."""
    rows, columns = (math.ceil(max(side, net.min_size) / net.divisor) * net.divisor for side in (height, width))
    return rows, columns


def network_reach(net: InpaintingNetwork, height: int, width: int) -> dict[str, PartReach]:
    """Return the fields of each part of ``net.parts()`` by name, from its own input, and of the network as `WHOLE`.

    A copy runs on the meta device, so no values are computed. An operation without a rule counts as one that sees
    everything, and ``cause`` names it.

    Args:
        net: Network in any mode; its eval mode is analyzed.
        height: Height of the image in pixels; padded as the network requires.
        width: Width of the image in pixels.

    Raises:
        ZooError: If the network's operations depend on values, or its output does not depend on the input.
    """
    sides = sides_for(net, height, width)
    shapes = copy.deepcopy(net).to("meta").eval()
    reach = {name: part_reach(part, (1, 4, *sides)) for name, part in shapes.parts().items()}

    def last(image: Tensor, mask: Tensor) -> Tensor:
        *_, prediction = shapes.predict(image, mask).values()
        return prediction

    return {**reach, WHOLE: part_reach(last, (1, 3, *sides), (1, 1, *sides))}


def part_reach(part: Callable[..., Tensor] | nn.Module, *shapes: Sequence[int]) -> PartReach:
    """Return the receptive field of any function from maps to one map, with weights on the meta device if it has some.

    Args:
        part: Function that takes as many tensors as there are shapes.
        shapes: Shapes (1, C, H, W), all with the same height and width.

    Raises:
        ZooError: As in `network_reach`.
    """
    inputs = [torch.zeros(*shape, device="meta") for shape in shapes]
    walk = _Walk()
    for tensor in inputs:
        walk.put(tensor, Field(Axis.of_input(tensor.shape[-2]), Axis.of_input(tensor.shape[-1]), (2, 3)))
    try:
        with torch.no_grad(), walk:
            output = part(*inputs)
    except (NotImplementedError, RuntimeError) as error:
        raise ZooError(
            f"The receptive field of this network cannot be computed, because it needs values: {error}"
        ) from error
    field = walk.of(output)
    if field is None:
        raise ZooError("The output does not depend on the image, so it has no receptive field.")
    sides = (shapes[0][-2], shapes[0][-1])
    return PartReach(_reach(walk.deepest, sides), _reach(field, sides))


def _reach(field: Field, sides: tuple[int, int]) -> Reach:
    axes = (field.rows, field.columns)
    rows, columns = ((0, side - 1) for side in sides)
    if field.cause is None:
        rows, columns = (
            (max(first, 0), min(last, side - 1))
            for (first, last), side in zip((axis.seen_from(axis.length // 2) for axis in axes), sides, strict=True)
        )
    return Reach(
        size=(axes[0].length, axes[1].length),
        step=(axes[0].step, axes[1].step),
        extent=None if field.cause else (axes[0].width, axes[1].width),
        cause=field.cause,
        center=(rows, columns),
    )


class _Walk(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's
    """Dispatch mode that tracks the field of each tensor that depends on the input.

    Attributes:
        deepest: Field of the deepest map (B, C, H, W) so far.
    """

    deepest: Field

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._fields: dict[int, tuple[Tensor, Field]] = {}  # keeps the tensors, so that their ids are not reused
        self._written: dict[int, Field] = {}  # by storage: the field of what was written through one of its views
        self._deepest: tuple[Fraction, bool, int] | None = None

    def of(self, tensor: Tensor) -> Field | None:
        """Return the field of ``tensor``; None if it depends on no input."""
        if id(tensor) in self._fields:
            return self._fields[id(tensor)][1]
        return self._written.get(_storage(tensor))

    def put(self, tensor: Tensor, field: Field) -> None:
        """Set the field of ``tensor``."""
        self._fields[id(tensor)] = (tensor, field)
        if tensor.ndim != 4 or field.dims != (2, 3):
            return
        depth = (field.rows.step * field.columns.step, field.cause is not None, field.rows.width * field.columns.width)
        if self._deepest is None or depth > self._deepest:
            self._deepest, self.deepest = depth, field

    def __torch_dispatch__(
        self, func: OpOverload, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> object:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        tensors = {id(leaf): leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        tracked = [(tensor, field) for tensor in tensors.values() if (field := self.of(tensor)) is not None]
        outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        if not tracked or not outputs:
            return result
        schema = func._schema
        defaults = {each.name: each.default_value for each in schema.arguments if each.has_default_value()}
        given = dict(zip((each.name for each in schema.arguments), args, strict=False))
        call = Call(
            name=schema.name.removeprefix("aten::").removesuffix("_"),
            arguments=given | {key: value for key, value in defaults.items() if key not in given} | kwargs,
            output=outputs[0],
            pointwise=torch.Tag.pointwise in func.tags,
        )
        field = derive(call, tracked)
        if field is None:
            return result
        pieces = isinstance(result, list | tuple) and call.name in ("split", "split_with_sizes", "unbind")
        for output in outputs:
            alike = pieces or output.shape == outputs[0].shape
            seen = field if alike else field.everywhere(f"another result of {call.name}")
            if id(output) in tensors:
                self._write(output, seen)
            else:
                self.put(output, seen)
        return result

    def _write(self, tensor: Tensor, field: Field) -> None:
        """Record an in-place change; other views of the same memory with another layout get an unknown field."""
        if self.of(tensor) == field:
            return
        rest = field.everywhere("a map that is written in parts")
        self._written[_storage(tensor)] = rest
        for other, _ in list(self._fields.values()):
            if _storage(other) == _storage(tensor):
                self.put(other, field if _layout(other) == _layout(tensor) else rest)
        self.put(tensor, field)


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _layout(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.shape, tensor.stride(), tensor.storage_offset()
