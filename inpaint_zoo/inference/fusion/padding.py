"""Padding that keeps the dtype of its input under autocast."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.inference.fusion.forms import fuse
from inpaint_zoo.ops import without_autocast

__all__ = ["FusedReflection", "pad_unchanged"]


def pad_unchanged(x: Tensor, padding: Sequence[int], mode: str = "reflect") -> Tensor:
    """Pad by `F.pad` in the dtype of ``x``; under autocast, `F.pad` itself converts to float32 for reflection.

    Args:
        x: (B, C, H, W).
        padding: Padding at the left, right, top and bottom, in pixels.
        mode: Padding mode of `F.pad`.
    """
    with without_autocast(x.device):
        return F.pad(x, list(padding), mode=mode)


@fuse.register(nn.ReflectionPad2d)
class FusedReflection(nn.Module):
    """`nn.ReflectionPad2d` that keeps the dtype of its input, see `pad_unchanged`."""

    def __init__(self, pad: nn.ReflectionPad2d) -> None:
        super().__init__()
        self.padding = pad.padding

    def forward(self, x: Tensor) -> Tensor:
        """Return the padded feature map."""
        return pad_unchanged(x, self.padding)
