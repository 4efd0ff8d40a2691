"""Fast Fourier convolution (FFC) as LaMa uses it: a local branch, a global branch, and the four paths between them.

Source: docs/papers/glama.md, "FFC" to "Local Fourier unit". Attribute names are those of the authors' checkpoints.
"""

from __future__ import annotations

from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.ops import without_autocast
from inpaint_zoo.ops.precision import full_precision

__all__ = ["FFC", "Branches", "FFCNormAct", "FFCResnetBlock", "FourierUnit", "SpectralTransform", "quadrants"]

Branches = tuple[Tensor | None, Tensor | None]
"""Local and global feature maps (B, C, H, W) of the same size; None for a branch without channels."""

PaddingMode = Literal["zeros", "reflect"]


class FourierUnit(nn.Module):
    """A 1x1 convolution in the frequency domain: every output pixel depends on every input pixel.

    The Fourier transform is orthonormal. Real and imaginary parts alternate as channels (re 0, im 0, re 1, ...), as the
    released weights expect. Everything is computed in float32 at least, even under autocast.

    Args:
        channels: Input and output channels.

    Shape:
        (B, C, H, W) -> (B, C, H, W), any H and W.
    """

    full_precision = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_layer = nn.Conv2d(2 * channels, 2 * channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of shape (B, C, H, W), in the dtype of ``x``."""
        H, W = x.shape[-2:]
        with without_autocast(x.device):
            spectrum = torch.view_as_real(torch.fft.rfft2(full_precision(x), norm="ortho"))  # (B, C, H, W//2+1, 2)
            mixed = self.conv_layer(rearrange(spectrum, "b c h w part -> b (c part) h w"))
            mixed = rearrange(self.bn(mixed).relu(), "b (c part) h w -> b c h w part", part=2)
            # without `s`, an odd W would come back one pixel smaller
            filtered = torch.fft.irfft2(torch.view_as_complex(mixed.contiguous()), s=(H, W), norm="ortho")
        return filtered.to(x.dtype)


def quadrants(x: Tensor) -> Tensor:
    """Split the first quarter of the channels into image quadrants and stack these as channels.

    The order is top left, bottom left, top right, bottom right: (B, C, H, W) -> (B, C, H/2, W/2).
    """
    quarter = x[:, : x.shape[1] // 4]
    half_h, half_w = x.shape[-2] // 2, x.shape[-1] // 2
    return torch.cat([quarter[..., y : y + half_h, z : z + half_w] for z in (0, half_w) for y in (0, half_h)], dim=1)


class SpectralTransform(nn.Module):
    """The path from global to global branch: reduce the channels, mix them in the frequency domain, expand them.

    Args:
        channels_in: Input channels.
        channels: Output channels; half as many inside.
        stride: 2 first downsamples by average pooling.
        local_fourier: Add the local Fourier unit (LFU), which processes each image quadrant of a quarter of the
            channels separately. Off in released models. It needs square feature maps of even size.

    Shape:
        (B, C_in, H, W) -> (B, C, H/stride, W/stride).
    """

    def __init__(self, channels_in: int, channels: int, stride: int = 1, local_fourier: bool = False) -> None:
        super().__init__()
        inner = channels // 2
        self.downsample = nn.AvgPool2d(2, 2) if stride == 2 else nn.Identity()
        self.conv1 = nn.Sequential(
            nn.Conv2d(channels_in, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(inplace=True)
        )
        self.fu = FourierUnit(inner)
        self.lfu = FourierUnit(inner) if local_fourier else None
        self.conv2 = nn.Conv2d(inner, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of shape (B, C, H/stride, W/stride)."""
        x = self.conv1(self.downsample(x))
        mixed = x + self.fu(x)
        if self.lfu is not None:
            mixed = mixed + self.lfu(quadrants(x)).repeat(1, 1, 2, 2)
        return self.conv2(mixed)


class FFC(nn.Module):
    """Fast Fourier convolution: out_l = l2l(x_l) + g2l(x_g), out_g = l2g(x_l) + g2g(x_g).

    Three paths are ordinary convolutions without bias, the fourth is a `SpectralTransform`. A path exists only if its
    input and its output have channels.

    Args:
        channels_in: Input channels of both branches together.
        channels: Output channels of both branches together.
        kernel_size: Kernel size of the convolutions.
        ratio_in: Fraction of the input channels that belong to the global branch.
        ratio: Fraction of the output channels that belong to the global branch.
        stride: Stride of all paths.
        padding: Padding of the convolutions in pixels.
        padding_mode: Padding mode of the convolutions.
        local_fourier: See `SpectralTransform`.

    Shape:
        Local (B, C_in - int(C_in ratio_in), H, W) and global (B, int(C_in ratio_in), H, W) -> local
        (B, C - int(C ratio), H', W') and global (B, int(C ratio), H', W').
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        kernel_size: int,
        ratio_in: float,
        ratio: float,
        stride: int = 1,
        padding: int = 0,
        padding_mode: PaddingMode = "reflect",
        local_fourier: bool = False,
    ) -> None:
        super().__init__()
        global_in, global_out = int(channels_in * ratio_in), int(channels * ratio)
        local_in, local_out = channels_in - global_in, channels - global_out
        self.local_channels, self.global_channels = local_out, global_out

        def path(source: int, target: int) -> nn.Conv2d | None:
            if not (source and target):
                return None
            return nn.Conv2d(source, target, kernel_size, stride, padding, bias=False, padding_mode=padding_mode)

        self.convl2l = path(local_in, local_out)
        self.convl2g = path(local_in, global_out)
        self.convg2l = path(global_in, local_out)
        self.convg2g = (
            SpectralTransform(global_in, global_out, stride, local_fourier) if global_in and global_out else None
        )

    def forward(self, x: Branches) -> Branches:
        """Return both branches; a path that does not exist contributes 0."""
        local, context = x
        return (
            _sum(_through(self.convl2l, local), _through(self.convg2l, context)),
            _sum(_through(self.convl2g, local), _through(self.convg2g, context)),
        )


def _through(path: nn.Module | None, x: Tensor | None) -> Tensor | None:
    return None if path is None else path(x)


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b


class FFCNormAct(nn.Module):
    """FFC, followed by batch norm and ReLU on each branch separately.

    Args:
        ffc: The convolution.

    Shape:
        Local and global branch, see ``ffc``.
    """

    def __init__(self, ffc: FFC) -> None:
        super().__init__()
        self.ffc = ffc
        self.bn_l = nn.BatchNorm2d(ffc.local_channels) if ffc.local_channels else None
        self.bn_g = nn.BatchNorm2d(ffc.global_channels) if ffc.global_channels else None

    def forward(self, x: Branches) -> Branches:
        """Return both branches."""
        local, context = self.ffc(x)
        return _norm_act(self.bn_l, local), _norm_act(self.bn_g, context)


def _norm_act(norm: nn.BatchNorm2d | None, x: Tensor | None) -> Tensor | None:
    return None if norm is None or x is None else F.relu(norm(x), inplace=True)


class FFCResnetBlock(nn.Module):
    """Residual block of two 3x3 FFC layers, without an activation after the sum.

    Args:
        channels: Channels of both branches together.
        ratio: Fraction of the channels that belong to the global branch.
        padding_mode: Padding mode of the convolutions.
        local_fourier: See `SpectralTransform`.

    Shape:
        Local and global branch -> local and global branch of the same shapes.
    """

    def __init__(
        self, channels: int, ratio: float, padding_mode: PaddingMode = "reflect", local_fourier: bool = False
    ) -> None:
        super().__init__()
        self.conv1, self.conv2 = (
            FFCNormAct(FFC(channels, channels, 3, ratio, ratio, 1, 1, padding_mode, local_fourier)) for _ in range(2)
        )

    def forward(self, x: Branches) -> Branches:
        """Return both branches."""
        local, context = self.conv2(self.conv1(x))
        return _sum(x[0], local), _sum(x[1], context)
