"""Attention between all positions of a feature map."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.errors import unknown_name
from inpaint_zoo.ops.precision import full_precision, without_autocast

__all__ = ["AttentionVariant", "SelfPatchAttention"]

AttentionVariant = Literal["code", "paper"]
VARIANTS: tuple[AttentionVariant, ...] = ("code", "paper")


class SelfPatchAttention(nn.Module):
    """LGNet's attention: a 1x1 convolution combines the feature map with the result of attention over all positions.

    Variant "code", as released: the query is the sum of the features over 3x3 positions; keys and values are the
    features divided by their length. Variant "paper": the scores are cosines between single positions; the values are
    the features. Neither has a temperature, a mask or learned projections. Because the 3x3 sum and the inner product
    commute, fused attention can be used, which stores neither patches nor the HW x HW scores.

    Source: LGNet, section III-D; docs/papers/lgnet.md, "Attention".

    Args:
        channels: Channels of the feature map.
        variant: "code" or "paper", see above.

    Shape:
        (B, C, H, W) -> (B, C, H, W). Computed in float32 even under autocast, because the logits can reach nine times
        the features' length.

    Raises:
        UnknownNameError: If the variant is unknown.
    """

    full_precision = True

    def __init__(self, channels: int, variant: AttentionVariant = "code") -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise unknown_name("attention variant", variant, VARIANTS)
        self.variant = variant
        self.combiner = nn.Conv2d(2 * channels, channels, 1)

    def attended(self, x: Tensor) -> Tensor:
        """Return the result of the attention before the 1x1 convolution, (B, C, H, W)."""
        B, C, H, W = x.shape
        unit = x + 1e-7
        unit = unit / unit.norm(dim=1, keepdim=True)
        query = 9 * F.avg_pool2d(x, 3, 1, 1) if self.variant == "code" else unit
        value = unit if self.variant == "code" else x
        rows = [part.flatten(2).mT.contiguous()[:, None] for part in (query, unit, value)]  # (B, 1, H W, C)
        mixed = F.scaled_dot_product_attention(rows[0], rows[1], rows[2], scale=1.0)
        return mixed[:, 0].mT.reshape(B, C, H, W)

    def forward(self, x: Tensor) -> Tensor:
        """Return the combined feature map, (B, C, H, W)."""
        with without_autocast(x.device):
            x = full_precision(x)
            return self.combiner(torch.cat([self.attended(x), x], dim=1))
