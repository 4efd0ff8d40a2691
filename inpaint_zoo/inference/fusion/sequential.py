"""Inference form of `nn.Sequential`: batch norms and activations become part of the convolution before them.

In other modules, the structure does not tell the order of execution.
"""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from inpaint_zoo.inference.fusion.folding import CONVOLUTIONS, fold
from inpaint_zoo.inference.fusion.forms import fuse, fuse_children
from inpaint_zoo.inference.fusion.onednn import Activation, PackedConvolution

__all__ = ["fuse_sequential"]

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@fuse.register(nn.Sequential)
def fuse_sequential(layers: nn.Sequential) -> nn.Sequential:
    """Fuse the layers in place. A norm or an activation that became part of another layer leaves an `nn.Identity`."""
    _fold_norms(layers)
    fuse_children(layers)
    _join_activations(layers)
    return layers


def _fold_norms(layers: nn.Sequential) -> None:
    for first, second in pairwise(list(layers._modules)):
        convolution, norm = layers._modules[first], layers._modules[second]
        if isinstance(convolution, CONVOLUTIONS) and isinstance(norm, _NORMS) and norm.track_running_stats:
            layers._modules[first] = fold(convolution, norm)
            layers._modules[second] = nn.Identity()


def _join_activations(layers: nn.Sequential) -> None:
    convolution: PackedConvolution | None = None
    for name, layer in layers._modules.items():
        activation = Activation.of(layer)
        if activation.name != "none" and convolution is not None:
            convolution.activation = activation
            layers._modules[name] = nn.Identity()
            convolution = None
        elif not isinstance(layer, nn.Identity):
            convolution = layer if isinstance(layer, PackedConvolution) else None
