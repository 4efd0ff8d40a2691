"""LGNet's local and global refinement behind any network (X_LG)."""

from __future__ import annotations

from torch import Tensor

from inpaint_zoo.combinators.behind import BehindFirst
from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.layers.local_resnet import LocalResNet
from inpaint_zoo.layers.refinement import refine_in_turn
from inpaint_zoo.layers.unet import UNet
from inpaint_zoo.ops import composite, from_range, to_range
from inpaint_zoo.registry import register_combinator

__all__ = ["LocalGlobal", "local_global"]


class LocalGlobal(BehindFirst):
    """A first network, then LGNet's shallow local one, then its U-Net with attention.

    The first network works at its own sides, in its own range. Its raw prediction is the stage `coarse`, and the
    composite of it, not clamped, is what the local network sees: a loss on any stage has a gradient for it everywhere.

    Source: LGNet, Table VIII; specs/lgnet.md, section 8.3. 60,587,206 parameters beyond the first network's.

    Args:
        first: Any network.
        freeze_first: See `BehindFirst`.
        width: Channels of the U-Net's first level.
        levels: Its halvings.
        local_width: Channels of the local network at full size.
        blocks: Its residual blocks.

    Shape:
        As every `InpaintingNetwork`; stages `coarse`, `local`, `global`.
    """

    value_range = (-1.0, 1.0)
    hole_value = 1.0

    def __init__(
        self,
        first: InpaintingNetwork,
        freeze_first: bool = False,
        width: int = 64,
        levels: int = 8,
        local_width: int = 64,
        blocks: int = 4,
    ) -> None:
        super().__init__(first, freeze_first)
        self.divisor = self.min_size = 2**levels
        self.local_net = LocalResNet(local_width, blocks)
        self.global_net = UNet(width, levels, attention=True)
        self.train(self.training)

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the first network's prediction and both refinements."""
        low, high = self.value_range
        *_, coarse = self.first.trusted_stages(from_range(image, low, high), mask).values()
        coarse = to_range(coarse, low, high)
        nets = {"local": self.local_net, "global": self.global_net}
        return {"coarse": coarse} | refine_in_turn(nets, composite(coarse, image, mask), image, mask)


@register_combinator()
def local_global(
    first: InpaintingNetwork,
    freeze_first: bool = False,
    width: int = 64,
    levels: int = 8,
    local_width: int = 64,
    blocks: int = 4,
) -> LocalGlobal:
    """LGNet's local and global refinement behind a network: see `LocalGlobal`."""
    return LocalGlobal(first, freeze_first, width, levels, local_width, blocks)
