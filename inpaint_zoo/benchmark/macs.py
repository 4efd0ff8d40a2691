"""Multiply-accumulates of a network, by the true count and by the one that papers print."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor, nn

    from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = ["MACS_CONVENTION", "THOP_CONVENTION", "Macs", "count_macs"]

MACS_CONVENTION = "FLOPs of torch.utils.flop_counter / 2: convolutions, matrix products and attention, one photograph"
THOP_CONVENTION = (
    "as thop 0.1.1: transposed convolutions at their output's size, 4 for each element of a norm, "
    "11 for each of a bilinear enlargement that is a layer, what is no layer (FFT, attention products) not at all"
)
UPSAMPLE = {"nearest": 1, "bilinear": 11}  # operations for each element, as thop 0.1.1 counts them


class Macs(NamedTuple):
    """Multiply-accumulates for one picture.

    Attributes:
        true: `MACS_CONVENTION`.
        thop: `THOP_CONVENTION`; GRIG's Table 4 and others print it.
    """

    true: int
    thop: int


def count_macs(net: InpaintingNetwork, height: int, width: int) -> Macs | None:
    """Count on shapes alone: nothing is computed.

    Args:
        net: Whose `predict` is counted; a copy without memory is used.
        height: Of the picture; padded as the network needs it.
        width: ...

    Returns:
        None where the network has nothing to count, or what it does depends on values.
    """
    import copy

    import torch
    from torch.utils.flop_counter import FlopCounterMode

    if next(net.parameters(), None) is None:
        return None
    sides = [math.ceil(max(side, net.min_size) / net.divisor) * net.divisor for side in (height, width)]
    shapes = copy.deepcopy(net).to("meta").eval()
    image, mask = (torch.zeros(1, channels, *sides, device="meta") for channels in (3, 1))
    thop = _Thop(shapes)
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            shapes.predict(image, mask)
    except (NotImplementedError, RuntimeError):
        return None
    return Macs(counter.get_total_flops() // 2, thop.total)


class _Thop:
    """Adds up by layer, as its forward passes happen."""

    def __init__(self, net: nn.Module) -> None:
        self.total = 0
        for module in net.modules():
            module.register_forward_hook(self._add)

    def _add(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        from torch import nn
        from torch.nn.modules.batchnorm import _NormBase

        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            kernel = math.prod(module.kernel_size)
            self.total += output.numel() * module.in_channels // module.groups * kernel
        elif isinstance(module, nn.Linear):
            self.total += output.numel() * module.in_features
        elif isinstance(module, _NormBase):
            self.total += inputs[0].numel() * (4 if module.affine else 2)
        elif isinstance(module, nn.LayerNorm):
            self.total += inputs[0].numel() * (4 if module.elementwise_affine else 2)
        elif isinstance(module, nn.AvgPool2d):
            self.total += output.numel()
        elif isinstance(module, nn.AdaptiveAvgPool2d):
            self.total += inputs[0].numel() + output.numel()
        elif isinstance(module, nn.Upsample):
            self.total += output.numel() * UPSAMPLE.get(module.mode, 0)
