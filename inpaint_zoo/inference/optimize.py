"""A network made faster for inference, with the same outputs."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from inpaint_zoo.errors import unknown_name
from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = ["OptimizedNetwork", "Precision", "optimize"]

Precision = Literal["fp32", "bf16"]

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fold_batch_norms(module: nn.Module) -> None:
    """Fold each batch norm that directly follows a convolution of the same `nn.Sequential` into its weights, in place.

    Exact in eval mode up to rounding. Elsewhere the order of execution is not known from the structure, so nothing is
    folded.
    """
    for child in module.children():
        fold_batch_norms(child)
    if not isinstance(module, nn.Sequential):
        return
    names = list(module._modules)
    for first, second in pairwise(names):
        convolution, norm = module._modules[first], module._modules[second]
        if isinstance(convolution, _CONVOLUTIONS) and isinstance(norm, _NORMS) and norm.track_running_stats:
            transpose = isinstance(convolution, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)
            module._modules[first] = fuse_conv_bn_eval(convolution, norm, transpose)
            module._modules[second] = nn.Identity()


class OptimizedNetwork(InpaintingNetwork):
    """A frozen copy of a network with folded norms, in the given precision; same contract, inference only.

    Args:
        network: Left as it is.
        precision: "fp32", or "bf16" under autocast; what a network keeps in fp32 under autocast stays so.
    """

    def __init__(self, network: InpaintingNetwork, precision: Precision) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        fold_batch_norms(self.network)
        self.precision = precision
        self.origin = network.origin

    def stages(self, image: Tensor, mask: Tensor, **options: Any) -> dict[str, Tensor]:
        """As the network's own, without gradients."""
        with torch.no_grad(), torch.autocast(image.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            return self.network.stages(image, mask, **options)

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """As the network's own."""
        return self.network.predict(image, mask)


def optimize(net: InpaintingNetwork, precision: Precision = "fp32") -> InpaintingNetwork:
    """Return a faster network with the same outputs; the given one is not changed.

    Args:
        net: Any network.
        precision: "fp32" for the same numbers up to rounding, "bf16" for speed where the device has it.

    Raises:
        UnknownNameError: Another precision.
    """
    if precision not in get_args(Precision):
        raise unknown_name("precision", precision, get_args(Precision))
    return OptimizedNetwork(net, precision) if any(True for _ in net.parameters()) else net
