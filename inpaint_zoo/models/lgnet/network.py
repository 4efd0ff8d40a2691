"""LGNet's generator: coarse, local and global stages that refine the previous composite (docs/papers/lgnet.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, get_args

from torch import Tensor, nn

from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.layers.attention import AttentionVariant
from inpaint_zoo.layers.local_resnet import LocalResNet
from inpaint_zoo.layers.refinement import refine_in_turn
from inpaint_zoo.layers.unet import UNet

__all__ = ["LGNetGenerator", "StageKind"]

StageKind = Literal["unet", "local", "unet_att"]


class LGNetGenerator(InpaintingNetwork):
    """LGNet generator: a sequence of stages. Each stage takes the previous stage's composite and the mask.

    The composites are not detached, so the losses of later stages train earlier stages as well. In the input of the
    first stage the hole is white.

    Source: LGNet (Quan et al., TIP 2022) as released. 115,002,185 parameters in its three stages.

    Args:
        stages: Kind of each stage by the stage's name: "unet" (its receptive field covers the whole image), "local"
            (receptive field 89 px) or "unet_att" (U-Net with attention).
        width: Channels of the U-Nets' first level.
        levels: Number of downsamplings by 2 in the U-Nets.
        local_width: Channels of the local network at full resolution.
        blocks: Number of residual blocks in the local network.
        share: The first stage uses the last stage's U-Net, including its normalization statistics, without attention.
        attention_variant: See `SelfPatchAttention`.

    Shape:
        `predict`: image (B, 3, H, W) in [-1, 1] with +1 in the hole, mask (B, 1, H, W) with 1 = hole, H and W
        multiples of 2 ** levels -> one raw prediction (B, 3, H, W) in [-1, 1] per stage.

    Raises:
        ZooError: If there is no stage, a kind is unknown, or ``share`` does not fit the kinds of the stages.
    """

    value_range = (-1.0, 1.0)
    hole_value = 1.0
    takes_hole_fill = True

    def __init__(
        self,
        stages: Mapping[str, StageKind],
        width: int = 64,
        levels: int = 8,
        local_width: int = 64,
        blocks: int = 4,
        share: bool = False,
        attention_variant: AttentionVariant = "code",
    ) -> None:
        super().__init__()
        if not stages:
            raise ZooError("`stages` is empty: LGNet needs at least one stage.")
        for kind in stages.values():
            if kind not in get_args(StageKind):
                raise unknown_name("kind of stage", kind, get_args(StageKind))
        self.stage_names = tuple(stages)
        self.first, self.last = self.stage_names[0], self.stage_names[-1]
        if share and (stages[self.first] != "unet" or stages[self.last] != "unet_att"):
            raise ZooError("`share` needs a first stage 'unet' and a last stage 'unet_att'.")
        self.divisor = self.min_size = 2**levels
        self.share = share
        # the suffix "_net" is needed because export generates Python code, where "global" is a keyword
        nets: dict[str, nn.Module] = {}
        for name, kind in stages.items():
            if share and name == self.first:
                continue
            if kind == "local":
                nets[f"{name}_net"] = LocalResNet(local_width, blocks)
            else:
                nets[f"{name}_net"] = UNet(width, levels, kind == "unet_att", attention_variant)
        self.nets = nn.ModuleDict(nets)

    def parts(self) -> dict[str, nn.Module]:
        """Return the network of each stage by the stage's name; a shared network appears once."""
        return {name.removesuffix("_net"): net for name, net in self.nets.items()}

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the raw prediction of every stage, in [-1, 1]."""
        return refine_in_turn({name: self._stage(name, image) for name in self.stage_names}, image, image, mask)

    def _stage(self, name: str, image: Tensor) -> Callable[[Tensor], Tensor]:
        net = self._net(name)
        return lambda given: self.to_prediction(net(given), image)

    def _net(self, stage: str) -> Callable[[Tensor], Tensor]:
        if self.share and stage == self.first:
            return partial(self.nets[f"{self.last}_net"], attend=False)
        return self.nets[f"{stage}_net"]
