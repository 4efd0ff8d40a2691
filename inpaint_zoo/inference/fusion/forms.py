"""Find the inference form of a layer by its type."""

from __future__ import annotations

from functools import singledispatch

from torch import nn

__all__ = ["fuse", "fuse_children"]


@singledispatch
def fuse(module: nn.Module) -> nn.Module:
    """Return the inference form of ``module``.

    The form takes the same inputs and returns the same outputs as the module in eval mode. It does not support
    gradients. It may share or change the module's weights and submodules, so fuse a copy if you still need the
    original. Fusing a form again changes nothing.

    `functools.singledispatch` selects the form by the module's type, else by its nearest base class. To register one:
    ``fuse.register(Layer, FusedLayer)``, where ``FusedLayer`` is a function or class that takes the layer and returns
    its form. A type without a registered form keeps its own code, and its submodules are fused in place.
    """
    return fuse_children(module)


def fuse_children(module: nn.Module) -> nn.Module:
    """Replace the submodules of ``module`` by their inference forms, in place, and return ``module``."""
    for name, child in list(module._modules.items()):
        if child is not None:
            module._modules[name] = fuse(child)
    return module
