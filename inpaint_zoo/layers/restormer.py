"""Restormer's blocks: attention between channels, with cost linear in the pixels, and a gated feed-forward network."""

from __future__ import annotations

from collections import OrderedDict

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.errors import ZooError
from inpaint_zoo.ops.precision import full_precision, without_autocast

__all__ = ["GDFN", "MDTA", "ChannelNorm", "TransformerBlock"]


class ChannelNorm(nn.Module):
    """Layer norm over the channels at each pixel, with a weight and a bias per channel, computed in float32.

    Shape:
        (B, channels, H, W) -> (B, channels, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize with the biased variance and eps 1e-5."""
        with without_autocast(x.device):
            pixels = full_precision(x).permute(0, 2, 3, 1)  # (B, H, W, C), contiguous in channels-last format
            normed = F.layer_norm(pixels, self.weight.shape, self.weight, self.bias)
            return normed.permute(0, 3, 1, 2).to(x.dtype)


class MDTA(nn.Module):
    """Multi-Dconv head transposed attention: each channel attends to the channels of its head.

    Queries and keys are normalized to unit length over the pixels; for a single pixel, they are signs.

    Source: Restormer (Zamir et al., CVPR 2022); docs/papers/grig.md, "Blocks".

    Args:
        channels: Input and output channels.
        heads: Number of attention heads, i.e. groups of channels.

    Shape:
        (B, channels, H, W) -> (B, channels, H, W).

    Raises:
        ZooError: If ``channels`` is not a multiple of ``heads``.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        if channels % heads:
            raise ZooError(f"`channels` must be a multiple of `heads` ({heads}), got {channels}.")
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.qkv_dwconv = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=False)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the projected result of the attention, (B, channels, H, W)."""
        H, W = x.shape[-2:]
        q, k, v = rearrange(
            self.qkv_dwconv(self.qkv(x)), "b (three head c) h w -> three b head c (h w)", three=3, head=self.heads
        )
        with without_autocast(x.device):  # softmax and norms in float32: half precision loses the small weights
            q, k = (F.normalize(full_precision(x), dim=-1) for x in (q, k))
            weights = ((q @ k.transpose(-2, -1)) * self.temperature).softmax(dim=-1)  # (B, heads, c, c)
        attended = weights.to(v.dtype) @ v
        return self.project_out(rearrange(attended, "b head c (h w) -> b (head c) h w", h=H, w=W))


class GDFN(nn.Module):
    """Gated-Dconv feed-forward network: GELU of one half of the hidden channels times the other half.

    Source: Restormer (Zamir et al., CVPR 2022); docs/papers/grig.md, "Blocks".

    Args:
        channels: Input and output channels.
        expansion: Each half has int(expansion * channels) hidden channels.

    Shape:
        (B, channels, H, W) -> (B, channels, H, W).
    """

    def __init__(self, channels: int, expansion: float = 2.66) -> None:
        super().__init__()
        hidden = int(expansion * channels)
        self.project_in = nn.Conv2d(channels, 2 * hidden, 1, bias=False)
        self.dwconv = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=False)
        self.project_out = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the projected gated features, (B, channels, H, W)."""
        features, gate = self.dwconv(self.project_in(x)).chunk(2, dim=1)
        return self.project_out(F.gelu(features) * gate)


class TransformerBlock(nn.Module):
    """Restormer block: attention and feed-forward network, each with a preceding norm and a residual connection.

    Source: Restormer (Zamir et al., CVPR 2022); docs/papers/grig.md, "Blocks". 31,279 parameters for 48 channels and
    one head, 1,796,306 for 384 channels and eight heads. Convolutions have no bias.

    Args:
        channels: Input and output channels.
        heads: Number of attention heads.
        expansion: Channel expansion of the feed-forward network, see `GDFN`.

    Shape:
        (B, channels, H, W) -> (B, channels, H, W).
    """

    def __init__(self, channels: int, heads: int, expansion: float = 2.66) -> None:
        super().__init__()
        # the norms have the names of the released checkpoints
        self.norm1 = nn.Sequential(OrderedDict(body=ChannelNorm(channels)))
        self.attn = MDTA(channels, heads)
        self.norm2 = nn.Sequential(OrderedDict(body=ChannelNorm(channels)))
        self.ffn = GDFN(channels, expansion)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of shape (B, channels, H, W)."""
        x = x + self.attn(self.norm1(x))
        return x + self.ffn(self.norm2(x))
