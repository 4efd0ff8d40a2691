"""LGNet's local and global refinement stages after any network (X_LG in the paper)."""

from __future__ import annotations

from torch import Tensor

from inpaint_zoo.combinators.refinement import RefinementNetwork
from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.layers.local_resnet import LocalResNet
from inpaint_zoo.layers.refinement import refine_in_turn
from inpaint_zoo.layers.unet import UNet
from inpaint_zoo.ops import composite, from_range, to_range
from inpaint_zoo.registry import register_combinator

__all__ = ["FIRST", "LocalGlobal", "local_global"]

FIRST = "first/"
"""Prefix of the stages of the first network."""


class LocalGlobal(RefinementNetwork):
    """A first network, followed by LGNet's local network and LGNet's U-Net with attention.

    The first network keeps its own padding and value range. Its raw prediction is the stage `coarse`. The local network
    takes the composite of this prediction without clamping, so that the losses of all stages have gradients for the
    first network at every value.

    Source: LGNet, Table VIII; docs/papers/lgnet.md, "Refinement of other models". It adds 60,587,206 parameters to the
    first network.

    Args:
        first: Any network.
        freeze_first: See `RefinementNetwork`.
        width: Channels of the U-Net's first level.
        levels: Number of downsamplings by 2 in the U-Net.
        local_width: Channels of the local network at full resolution.
        blocks: Number of residual blocks in the local network.

    Shape:
        image (B, 3, H, W) in [0, 1], mask (B, 1, H, W) with 1 = hole -> stages `coarse`, `local`, `global`.
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

    def predict(self, image: Tensor, mask: Tensor, keep_first: bool = False) -> dict[str, Tensor]:
        """Return the raw predictions of the first network and of both refinement stages, in [-1, 1].

        Args:
            image: See `InpaintingNetwork.predict`.
            mask: Likewise.
            keep_first: Also return all stages of the first network, as ``first/<stage>``, for its own losses.
        """
        low, high = self.value_range
        first = self.first.stages_unchecked(from_range(image, low, high), mask)
        first = {name: to_range(stage, low, high) for name, stage in first.items()}
        *_, coarse = first.values()
        kept = {f"{FIRST}{name}": stage for name, stage in first.items()} if keep_first else {}
        nets = {"local": self.local_net, "global": self.global_net}
        return kept | {"coarse": coarse} | refine_in_turn(nets, composite(coarse, image, mask), image, mask)


@register_combinator()
def local_global(
    first: InpaintingNetwork,
    freeze_first: bool = False,
    width: int = 64,
    levels: int = 8,
    local_width: int = 64,
    blocks: int = 4,
) -> LocalGlobal:
    """LGNet's local and global refinement after a network: see `LocalGlobal`."""
    return LocalGlobal(first, freeze_first, width, levels, local_width, blocks)
