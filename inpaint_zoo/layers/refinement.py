"""A sequence of networks, each of which refines the result of the previous one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from inpaint_zoo.ops import composite

__all__ = ["refine_in_turn"]


def refine_in_turn(
    nets: Mapping[str, Callable[[Tensor], Tensor]], filled: Tensor, image: Tensor, mask: Tensor
) -> dict[str, Tensor]:
    """Run each network on the previous network's composite and the mask, without detaching the composite.

    Source: LGNet; docs/papers/lgnet.md, "Networks".

    Args:
        nets: Networks by the names of their stages; each takes image and mask, (B, 4, H, W).
        filled: Input image of the first network, (B, 3, H, W).
        image: Image (B, 3, H, W) with the known pixels of every composite.
        mask: (B, 1, H, W), 1 = hole.

    Returns:
        Raw predictions (B, 3, H, W) by the names of the stages.
    """
    found: dict[str, Tensor] = {}
    for name, net in nets.items():
        found[name] = net(torch.cat([filled, mask], dim=1))
        filled = composite(found[name], image, mask)
    return found
