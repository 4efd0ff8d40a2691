"""The network as it is exported: the package's contract in one graph, for sizes that the network takes unpadded."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from inpaint_zoo.export.layers import replace_layers, use_half
from inpaint_zoo.interfaces import MIN_SIDE, InpaintingNetwork
from inpaint_zoo.ops import change_range, composite, spread_known, to_range

__all__ = ["HALF", "ExportForm", "export_form", "smallest_side"]

HALF = {"fp16": torch.float16, "bf16": torch.bfloat16}
"""Types of the precisions that store convolutions in 16 bits."""


class ExportForm(nn.Module):
    """A network as a function of image and mask that returns the completed image; there are no checks and no padding.

    Args:
        network: A network in eval mode; it is not copied.
        filled: Whether the hole of the image already holds the filling that a network which predicts differences
            starts from (`ops.spread_known`). False computes the filling in the graph.

    Shape:
        image (B, 3, H, W), RGB, known pixels in [0, 1], mask (B, 1, H, W) with 1 = hole -> (B, 3, H, W) in [0, 1], with
        the known pixels of the image. H and W are multiples of the network's ``divisor``, at least its ``min_size``.
    """

    def __init__(self, network: InpaintingNetwork, filled: bool = False) -> None:
        super().__init__()
        self.network, self.filled = network, filled

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Return the completed image."""
        net = self.network
        low, high = net.value_range
        hole = mask > 0.5
        if self.filled:
            inside = to_range(image, low, high)
        elif net.predicts_difference:
            inside = to_range(spread_known(image.masked_fill(hole, 0), mask), low, high)
        else:
            inside = torch.where(hole, net.hole_value, to_range(image, low, high))
        *_, last = net.predict(inside, mask).values()
        return composite(change_range(last, net.value_range, (0.0, 1.0)).clamp(0, 1), image, mask)


def export_form(net: InpaintingNetwork, format: str, *, filled: bool, precision: str) -> ExportForm:  # noqa: A002
    """Return a copy of a network in the form that is exported.

    Args:
        net: The network, which is not changed.
        format: The format, which decides what layers are replaced; see `layers`.
        filled: See `ExportForm`.
        precision: "fp32", "fp16" or "bf16".
    """
    copied = copy.deepcopy(net).cpu().eval().requires_grad_(False)
    replace_layers(copied, format)
    if precision in HALF:
        use_half(copied, HALF[precision])
    return ExportForm(copied, filled).eval()


def smallest_side(net: InpaintingNetwork) -> int:
    """Return the smallest height and width in pixels that a network takes without padding."""
    return -(-max(net.min_size, MIN_SIDE) // net.divisor) * net.divisor
