"""Count the multiply-accumulates (MACs) of a network, by the true count and by the convention that papers use."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor, nn

    from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = ["MACS_CONVENTION", "OLD_THOP_CONVENTION", "THOP_CONVENTION", "Macs", "count_macs"]

MACS_CONVENTION = "FLOPs of torch.utils.flop_counter / 2: convolutions, matrix products and attention, one image"
THOP_CONVENTION = (
    "as thop 0.1.1: transposed convolutions at their output's size, 4 for each element of a norm, "
    "11 for each output element of a layer that interpolates bilinearly, none for operations that are no layer (FFT, "
    "attention products)"
)
OLD_THOP_CONVENTION = "as thop 0.1.1, but 2 for each element of a norm, as older versions count"
UPSAMPLE = {"nearest": 1, "bilinear": 11}  # operations per element, as counted by thop 0.1.1


class Macs(NamedTuple):
    """Multiply-accumulates for one image; for a network that repeats, with a single pass.

    Attributes:
        true: MACs by `MACS_CONVENTION`.
        thop: MACs by `THOP_CONVENTION`, which GRIG's Table 4 and other papers use.
        true_of_pass: MACs that each further pass of a `RepeatingNetwork` adds to ``true``; 0 for other networks.
        thop_of_pass: MACs that each further pass adds to ``thop``.
        norm_elements: Number of elements that norms with weights read; ``thop`` contains four MACs for each.
    """

    true: int
    thop: int
    true_of_pass: int = 0
    thop_of_pass: int = 0
    norm_elements: int = 0

    @property
    def old_thop(self) -> int:
        """MACs by `OLD_THOP_CONVENTION`, which LGNet's Table IV uses."""
        return self.thop - 2 * self.norm_elements

    def with_passes(self, passes: int | None) -> Macs:
        """Return the MACs of the same image with ``passes`` passes; None returns them unchanged.

        Example:
            >>> Macs(10, 12, 4, 5).with_passes(3)[:2]
            (18, 22)
        """
        further = 0 if passes is None else passes - 1
        return self._replace(true=self.true + further * self.true_of_pass, thop=self.thop + further * self.thop_of_pass)


def count_macs(net: InpaintingNetwork, height: int, width: int, *, use_up: bool = False) -> Macs | None:
    """Count MACs from shapes on the meta device, without computing values.

    Args:
        net: Network whose `predict` is counted; a copy without memory is used, unless ``use_up`` is True.
        height: Height of the image in pixels; padded as the network requires.
        width: Width of the image in pixels.
        use_up: Count on ``net`` itself instead of a copy, which takes less time; it cannot be used afterwards.

    Returns:
        The counts; None if the network has no parameters, if its operations depend on values other than the number of
        passes, or if it contains several repeating networks.
    """
    import copy

    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from inpaint_zoo.analysis.shapes import ShapesOnce
    from inpaint_zoo.combinators.wrapper import repeating_networks

    if next(net.parameters(), None) is None:
        return None
    sides = [math.ceil(max(side, net.min_size) / net.divisor) * net.divisor for side in (height, width)]
    shapes = (net if use_up else copy.deepcopy(net)).to("meta").eval()
    image, mask = (torch.zeros(1, channels, *sides, device="meta") for channels in (3, 1))
    thop = _Thop(shapes)
    counter = FlopCounterMode(display=False)
    begun: list[tuple[int, int, int]] = []  # the counts at the start of each pass
    repeating = repeating_networks(shapes)
    if len(repeating) > 1:
        return None
    for network in repeating:
        network.passes_on_meta = 2  # two passes: the difference between their starts is the cost of one pass
        network.on_pass = lambda _: begun.append((counter.get_total_flops() // 2, thop.total, thop.norm_elements))
    try:
        with torch.no_grad(), ShapesOnce(), counter:
            shapes.predict(image, mask)
    except (NotImplementedError, RuntimeError):
        return None
    total = Macs(counter.get_total_flops() // 2, thop.total, norm_elements=thop.norm_elements)
    if not repeating:
        return total
    true, thop_macs, norms = (after - before for before, after in zip(*begun, strict=True))
    return Macs(total.true - true, total.thop - thop_macs, true, thop_macs, total.norm_elements - norms)


class _Thop:
    """Adds up MACs by layer type during the forward pass, with forward hooks."""

    def __init__(self, net: nn.Module) -> None:
        self.total = self.norm_elements = 0
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
        elif isinstance(module, _NormBase | nn.LayerNorm):
            weighted = module.elementwise_affine if isinstance(module, nn.LayerNorm) else module.affine
            self.total += inputs[0].numel() * (4 if weighted else 2)
            self.norm_elements += inputs[0].numel() * weighted
        elif isinstance(module, nn.AvgPool2d):
            self.total += output.numel()
        elif isinstance(module, nn.AdaptiveAvgPool2d):
            self.total += inputs[0].numel() + output.numel()
        elif isinstance(module, nn.Upsample):
            self.total += output.numel() * UPSAMPLE.get(module.mode, 0)
