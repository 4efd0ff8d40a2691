"""Inference form of fast Fourier convolution.

Batch norms are folded into convolutions, each feature map is padded once, and spectra need no copy to interleave real
and imaginary parts.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from inpaint_zoo.inference.fusion.folding import fold, fold_affine
from inpaint_zoo.inference.fusion.forms import fuse
from inpaint_zoo.inference.fusion.onednn import FusedConv2d
from inpaint_zoo.inference.fusion.padding import pad_unchanged
from inpaint_zoo.layers.ffc import Branches, FFCNormAct, FourierUnit, SpectralTransform, quadrants
from inpaint_zoo.ops import without_autocast

__all__ = ["FusedFFC", "FusedFourierUnit", "FusedSpectralTransform"]


class FusedFourierUnit(nn.Module):
    """`FourierUnit` in channels-last format, in which a complex spectrum has the channel order of the convolution."""

    full_precision = True

    def __init__(self, unit: FourierUnit) -> None:
        super().__init__()
        self.convolution = FusedConv2d(fold(unit.conv_layer, unit.bn))

    def forward(self, x: Tensor) -> Tensor:
        """Return features of shape (B, C, H, W)."""
        H, W = x.shape[-2:]
        with without_autocast(x.device):
            spectrum = torch.fft.rfft2(x.float(), norm="ortho").permute(0, 2, 3, 1).contiguous()  # (B, H, W//2+1, C)
            parts = torch.view_as_real(spectrum).flatten(-2).permute(0, 3, 1, 2)  # (B, 2 C, H, W//2+1), a view
            mixed = self.convolution(parts, relu=True).permute(0, 2, 3, 1).contiguous().unflatten(-1, (-1, 2))
            spectrum = torch.view_as_complex(mixed).permute(0, 3, 1, 2).contiguous()  # (B, C, H, W//2+1)
            return _channels_last(torch.fft.irfft2(spectrum, s=(H, W), norm="ortho"))


def _channels_last(x: Tensor) -> Tensor:
    if len(x) > 1:
        return x.contiguous(memory_format=torch.channels_last)
    _, C, H, W = x.shape
    # PyTorch copies a transposed matrix in blocks, but a permuted 4-D tensor value by value
    return x.view(C, H * W).t().contiguous().view(1, H, W, C).permute(0, 3, 1, 2)


class FusedSpectralTransform(nn.Module):
    """`SpectralTransform` followed by a scale and a bias per channel."""

    def __init__(self, transform: SpectralTransform, scale: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.downsample = transform.downsample
        self.squeeze = FusedConv2d(fold(cast(nn.Conv2d, transform.conv1[0]), transform.conv1[1]))
        self.fu = FusedFourierUnit(transform.fu)
        self.lfu = None if transform.lfu is None else FusedFourierUnit(transform.lfu)
        self.expand = FusedConv2d(fold_affine(transform.conv2, scale, bias))

    def forward(self, x: Tensor, relu: bool = False, into: Tensor | None = None) -> Tensor:
        """Map (B, C_in, H, W) to (B, C, H/stride, W/stride); for ``relu`` and ``into`` see `FusedConv2d`."""
        x = self.squeeze(self.downsample(x), relu=True)
        mixed = x + self.fu(x).to(x.dtype)
        if self.lfu is not None:
            mixed += self.lfu(quadrants(x)).to(x.dtype).repeat(1, 1, 2, 2)
        return self.expand(mixed, relu, into)


Path = FusedConv2d | FusedSpectralTransform


@fuse.register(FFCNormAct)
class FusedFFC(nn.Module):
    """`FFCNormAct` with the batch norms folded into the weights of its paths."""

    def __init__(self, layer: FFCNormAct) -> None:
        super().__init__()
        ffc = layer.ffc
        any_path = next(path for path in (ffc.convl2l, ffc.convl2g, ffc.convg2l) if path is not None)
        self.padding = int(any_path.padding[0])
        self.mode = "constant" if any_path.padding_mode == "zeros" else any_path.padding_mode
        self.l2l, self.g2l = self._paths(ffc.convl2l, ffc.convg2l, layer.bn_l)
        self.l2g, self.g2g = self._paths(ffc.convl2g, ffc.convg2g, layer.bn_g)

    @staticmethod
    def _paths(
        local: nn.Conv2d | None, context: nn.Conv2d | SpectralTransform | None, norm: nn.BatchNorm2d | None
    ) -> tuple[Path | None, Path | None]:
        """Return both paths to one output branch: both have the norm's scale, the first existing one has its bias."""
        if norm is None:
            return None, None
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        bias = norm.bias - norm.running_mean * scale
        first = None if local is None else _unpadded(fold_affine(local, scale, bias))
        rest = bias if first is None else None
        if context is None:
            return first, None
        if isinstance(context, nn.Conv2d):
            return first, _unpadded(fold_affine(context, scale, rest))
        return first, FusedSpectralTransform(context, scale, rest)

    def forward(self, x: Branches) -> Branches:
        """Return the local and the global branch after ReLU."""
        local, context = (None if branch is None else self._pad(branch) for branch in x)
        return _joined(self.l2l, local, self.g2l, context), _joined(self.l2g, local, self.g2g, x[1])

    def _pad(self, x: Tensor) -> Tensor:
        return pad_unchanged(x, [self.padding] * 4, self.mode) if self.padding else x


def _unpadded(convolution: nn.Conv2d) -> FusedConv2d:
    convolution.padding, convolution.padding_mode = (0, 0), "zeros"
    return FusedConv2d(convolution)


def _joined(first: Path | None, x: Tensor | None, second: Path | None, y: Tensor | None) -> Tensor | None:
    """Return ReLU of the sum of both paths."""
    both = [(path, branch) for path, branch in ((first, x), (second, y)) if path is not None and branch is not None]
    out: Tensor | None = None
    for number, (path, branch) in enumerate(both, 1):
        out = path(branch, relu=number == len(both), into=out)
    return out
