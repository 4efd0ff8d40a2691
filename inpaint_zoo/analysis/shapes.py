"""Run a network on the meta device in less time, for counts that depend on shapes alone."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils import _pytree
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["ShapesOnce"]


class ShapesOnce(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch does not annotate it
    """Within this context, the result's shapes of each operation are computed once for equal shapes of its inputs.

    PyTorch computes the shapes of many operations in Python. This takes most of the time of a network that repeats its
    blocks. Views and operations that write to their inputs are left as they are. Without gradients only.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._known: dict[object, tuple[list[Tensor], _pytree.TreeSpec]] = {}

    def __torch_dispatch__(
        self, func: OpOverload, types: object, args: Sequence[object] = (), kwargs: Mapping[str, object] | None = None
    ) -> object:
        """Return new tensors with the shapes that the operation returns for inputs like these."""
        kwargs = kwargs or {}
        if any(argument.alias_info is not None for argument in func._schema.arguments):
            return func(*args, **kwargs)
        inputs, structure = _pytree.tree_flatten((args, kwargs))
        key = (func, str(structure), *map(_form, inputs))  # PyTorch 2.6 cannot hash a structure
        if key not in self._known:
            outputs, built = _pytree.tree_flatten(func(*args, **kwargs))
            if not all(isinstance(output, Tensor) and output.is_meta for output in outputs):
                return _pytree.tree_unflatten(outputs, built)
            self._known[key] = outputs, built
        outputs, built = self._known[key]
        copies = [
            torch.empty_strided(output.shape, output.stride(), dtype=output.dtype, device="meta") for output in outputs
        ]
        return _pytree.tree_unflatten(copies, built)


def _form(value: object) -> tuple[object, ...]:
    """Return what the shapes of a result depend on."""
    return (value.shape, value.stride(), value.dtype) if isinstance(value, Tensor) else (type(value), value)
