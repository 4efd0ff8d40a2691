"""Inference form of AOT-GAN's block, which needs fewer passes over memory for the gate and the sum."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inpaint_zoo.inference.fusion.forms import fuse
from inpaint_zoo.layers.aot import AOTBlock
from inpaint_zoo.ops.precision import full_precision, without_autocast

__all__ = ["FusedAOTBlock"]


@fuse.register(AOTBlock)
class FusedAOTBlock(nn.Module):
    """Inference form of `AOTBlock`."""

    def __init__(self, block: AOTBlock) -> None:
        super().__init__()
        self.branches = nn.ModuleList(fuse(block.get_submodule(f"block{k:02d}")) for k in range(len(block.rates)))
        self.fuse, self.gate = fuse(block.fuse), fuse(block.gate)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of shape (B, channels, H, W), as `AOTBlock`."""
        merged = self.fuse(torch.cat([branch(x) for branch in self.branches], dim=1))
        with without_autocast(x.device):
            gate = full_precision(self.gate(x))
            gate = gate - gate.mean(dim=(-2, -1), keepdim=True)
            # standard deviation in two passes, because `std_mean` is slow in channels-last format
            freedom = gate.shape[-2] * gate.shape[-1] - 1
            std = (gate.square().sum(dim=(-2, -1), keepdim=True) / freedom).sqrt_()
            let_in = gate.mul_(10 / (std + 1e-9)).sub_(5).sigmoid_().to(merged.dtype)
            return torch.lerp(x.to(merged.dtype), merged, let_in)
