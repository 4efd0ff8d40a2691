"""Networks in a row, each refining what the one before made of the hole."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from inpaint_zoo.ops import composite

__all__ = ["refine_in_turn"]


def refine_in_turn(
    nets: Mapping[str, Callable[[Tensor], Tensor]], filled: Tensor, image: Tensor, mask: Tensor
) -> dict[str, Tensor]:
    """Run each network on the picture that the one before completed, and the mask; nothing is detached between them.

    Source: LGNet; specs/lgnet.md, section 3.

    Args:
        nets: By the names of their stages; each takes (B, 4, H, W).
        filled: (B, 3, H, W), what the first one finds.
        image: (B, 3, H, W), the known pixels of every composite.
        mask: (B, 1, H, W), 1 = hole.

    Returns:
        Raw predictions (B, 3, H, W) by the same names.
    """
    found: dict[str, Tensor] = {}
    for name, net in nets.items():
        found[name] = net(torch.cat([filled, mask], dim=1))
        filled = composite(found[name], image, mask)
    return found
