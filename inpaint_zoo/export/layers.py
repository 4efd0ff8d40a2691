"""Layers in the form in which they are exported. They compute the same outputs, up to rounding.

- A convolution with spectral norm becomes an ordinary convolution.
- A partial convolution sums the mask by a convolution with ones. PyTorch's ONNX exporter ignores the argument
  ``divisor_override`` of average pooling, which the layer uses.
- For ONNX, the Fourier transform becomes two products with matrices of cosines and sines. ONNX has the operator DFT
  since opset 17, but only for one axis and for complex numbers as pairs; runtimes for phones and browsers lack it.
- For ONNX and `torch.export`, adaptive average pooling becomes two matrix products, because the operator needs a fixed
  size, and contextual attention takes and pastes patches by slices, in one block, whose number depends on no size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.inference.fusion import without_spectral_norm
from inpaint_zoo.layers.contextual_attention import OVERLAP, ContextualAttention
from inpaint_zoo.layers.ffc import FourierUnit
from inpaint_zoo.layers.partial_conv import PartialConv2d
from inpaint_zoo.layers.spectral import SpectralConv2d
from inpaint_zoo.ops import without_autocast
from inpaint_zoo.ops.precision import full_precision

__all__ = [
    "HalfLayer",
    "MatrixFourierUnit",
    "MatrixPool",
    "SlicedAttention",
    "SummedPartialConv2d",
    "replace_layers",
    "use_half",
]


class SummedPartialConv2d(PartialConv2d):
    """Partial convolution that sums the mask by a convolution with ones. It takes over the layer's parameters."""

    ones: Tensor

    def __init__(self, layer: PartialConv2d) -> None:
        nn.Module.__init__(self)
        self.shares, self.kernel, self.stride = layer.shares, layer.kernel, layer.stride
        self.convolution, self.bias = layer.convolution, layer.bias
        shares = torch.tensor(self.shares, dtype=torch.float32).view(1, -1, 1, 1)
        self.register_buffer("ones", shares.expand(1, -1, self.kernel, self.kernel).contiguous())

    def ratio(self, mask: Tensor) -> Tensor:
        """Return |window| / sum(m), see `PartialConv2d.ratio`."""
        with without_autocast(mask.device):
            known = F.conv2d(mask.float(), self.ones, stride=self.stride, padding=self.kernel // 2)
        window = sum(self.shares) * self.kernel**2
        return (window / known.clamp(min=1)) * (known > 0)


class MatrixFourierUnit(nn.Module):
    """`FourierUnit` whose transforms are products with matrices of cosines and sines.

    Args:
        unit: The unit, whose layers it takes over.
    """

    full_precision = True

    def __init__(self, unit: FourierUnit) -> None:
        super().__init__()
        self.conv_layer, self.bn = unit.conv_layer, unit.bn

    def forward(self, x: Tensor) -> Tensor:
        """Return features of shape (B, C, H, W), in the dtype of ``x``."""
        H, W = x.shape[-2:]
        with without_autocast(x.device):
            real, imaginary = _forward_transform(full_precision(x), H, W)
            # real and imaginary parts alternate as channels
            spectrum = torch.stack([real, imaginary], dim=2).flatten(1, 2)  # (B, 2 C, H, W//2+1)
            mixed = self.bn(self.conv_layer(spectrum)).relu().reshape(*x.shape[:2], 2, H, W // 2 + 1)
            filtered = _inverse_transform(mixed[:, :, 0], mixed[:, :, 1], H, W)
        return filtered.to(x.dtype)


def _waves(length: int, count: int) -> tuple[Tensor, Tensor]:
    """Return cosines and sines (length, count) of 2 pi j k / length, divided by sqrt(length)."""
    whole = _tensor(length)
    turns = torch.arange(length)[:, None] * torch.arange(count) % whole  # integers: exact for every length
    angle = turns.float() * (2 * math.pi / whole.float())
    scale = whole.float().rsqrt()
    return angle.cos() * scale, angle.sin() * scale


def _tensor(length: int) -> Tensor:
    """Return a length as a tensor. The ONNX exporter does not support arithmetic of tensors with symbolic numbers."""
    return torch.ones(length, dtype=torch.int64).sum()


def _forward_transform(x: Tensor, H: int, W: int) -> tuple[Tensor, Tensor]:
    """Return real and imaginary part, (B, C, H, W//2+1), of the orthonormal real transform of (B, C, H, W)."""
    cos_w, sin_w = _waves(W, W // 2 + 1)
    real, imaginary = x @ cos_w, -(x @ sin_w)
    cos_h, sin_h = _waves(H, H)  # symmetric
    return cos_h @ real + sin_h @ imaginary, cos_h @ imaginary - sin_h @ real


def _inverse_transform(real: Tensor, imaginary: Tensor, H: int, W: int) -> Tensor:
    """Return the inverse of `_forward_transform`, (B, C, H, W); like `irfft2`, it assumes a Hermitian spectrum."""
    cos_h, sin_h = _waves(H, H)
    real, imaginary = cos_h @ real - sin_h @ imaginary, cos_h @ imaginary + sin_h @ real
    cos_w, sin_w = _waves(W, W // 2 + 1)
    column = torch.arange(W // 2 + 1)
    alone = (column == 0) | (2 * column == _tensor(W))  # every other column stands for itself and its mirror image
    twice = torch.where(alone, 1.0, 2.0)
    return (real * twice) @ cos_w.T - (imaginary * twice) @ sin_w.T


class MatrixPool(nn.Module):
    """Adaptive average pooling to a fixed size as two matrix products, for inputs of any size.

    Args:
        pool: The pooling layer.
    """

    def __init__(self, pool: nn.AdaptiveAvgPool2d) -> None:
        super().__init__()
        size = pool.output_size
        self.size = size if isinstance(size, tuple) else (size, size)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, h, w)."""
        rows, columns = (
            _means(length, cast(int, target)) for length, target in zip(x.shape[-2:], self.size, strict=True)
        )
        return rows.to(x.dtype) @ x @ columns.T.to(x.dtype)


def _means(length: int, target: int) -> Tensor:
    """Return the matrix (target, length) that averages the ranges of adaptive pooling."""
    cell, place = torch.arange(target)[:, None], torch.arange(length)
    whole = _tensor(length)
    start = cell * whole // target
    stop = ((cell + 1) * whole + (target - 1)) // target
    inside = ((place >= start) & (place < stop)).float()
    return inside / inside.sum(1, keepdim=True)


class SlicedAttention(ContextualAttention):
    """Contextual attention whose patches are taken and pasted by slices, and whose scores are in memory at once.

    Args:
        layer: The layer, whose settings it takes over.
    """

    def __init__(self, layer: ContextualAttention) -> None:
        nn.Module.__init__(self)
        for name in ("ksize", "stride", "rate", "reach", "softmax_scale", "norm", "mask_reduce", "tf_resize"):
            setattr(self, name, getattr(layer, name))
        self.first_mask_only = layer.first_mask_only

    def forward(self, foreground: Tensor, background: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the weighted means of background patches, (B, C, H, W)."""
        with without_autocast(foreground.device):
            foreground, background = full_precision(foreground), full_precision(background)
            valid = self._valid(mask, background)
            queries, keys = self._shrunk(foreground, self.rate), self._shrunk(background, self.rate)
            h, w = queries.shape[-2:]
            around = (self.ksize // 2,) * 4
            query = _patches(F.pad(queries, around), self.ksize, 1)
            key = _patches(F.pad(keys, around), self.ksize, self.stride)
            scores = query.mT @ (key * (self.softmax_scale / self._length(key)))
            if self.reach:
                scores = _turn(_with_neighbors(scores, self.reach), h, w)
                scores = _turn(_with_neighbors(scores, self.reach), w, h)
            scores = scores if valid is None else scores * valid
            before, after = self.rate // 2, self.rate - self.rate // 2
            padded = F.pad(background, (before, after, before, after))
            patches = _patches(padded, 2 * self.rate, self.rate * self.stride)
            patches = patches if valid is None else patches * valid
            pasted = _pasted(patches @ scores.softmax(-1).mT, h, w, self.rate)
            H, W = foreground.shape[-2:]
            return pasted[..., before : before + H, before : before + W] / OVERLAP


def _patches(x: Tensor, size: int, stride: int) -> Tensor:
    """Return all patches of (B, C, H, W) as `unfold` does without padding: (B, C size size, L)."""
    H, W = x.shape[-2:]
    rows, columns = (H - size) // stride + 1, (W - size) // stride + 1
    height, width = (rows - 1) * stride + 1, (columns - 1) * stride + 1
    shifted = [x[..., i : i + height : stride, j : j + width : stride] for i in range(size) for j in range(size)]
    return torch.stack(shifted, dim=2).flatten(1, 2).flatten(2)


def _pasted(patches: Tensor, h: int, w: int, rate: int) -> Tensor:
    """Add patches (B, C 2r 2r, h w) at distances of r pixels, as `fold` does: (B, C, (h + 1) r, (w + 1) r)."""
    B, width, _ = patches.shape
    parts = patches.reshape(B, width // (4 * rate * rate), 2, rate, 2, rate, h, w)
    total: Tensor | int = 0
    for a in (0, 1):
        for b in (0, 1):
            total = total + F.pad(parts[:, :, a, :, b], (b, 1 - b, a, 1 - a))
    assert isinstance(total, Tensor)
    return total.permute(0, 1, 4, 2, 5, 3).flatten(4).flatten(2, 3)  # (B, C, h+1, r, w+1, r) before


def _with_neighbors(scores: Tensor, reach: int) -> Tensor:
    """Add to each score (B, N, L) those of the pairs of positions up to ``reach`` before and after it."""
    N, L = scores.shape[-2:]
    padded = F.pad(scores, (reach,) * 4)
    shifted = [padded[:, k : k + N, k : k + L] for k in range(2 * reach + 1)]
    return torch.stack(shifted).sum(0)


def _turn(scores: Tensor, h: int, w: int) -> Tensor:
    """Reorder scores (B, h w, h w) of positions in rows to positions in columns, (B, w h, w h)."""
    return scores.reshape(len(scores), h, w, h, w).permute(0, 2, 1, 4, 3).flatten(3).flatten(1, 2)


class HalfLayer(nn.Module):
    """A convolution or linear layer that computes in 16 bits and takes and returns float32.

    Casts are written out, because exported graphs do not keep autocast.

    Args:
        layer: The layer, whose weights are converted in place.
        dtype: Type of the weights and of the computation.
    """

    def __init__(self, layer: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.layer, self.dtype = layer.to(dtype), dtype

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output in float32."""
        return self.layer(x.to(self.dtype)).float()


def use_half(module: nn.Module, dtype: torch.dtype) -> None:
    """Replace convolutions and linear layers by `HalfLayer`, except in modules that need full precision, in place."""
    if getattr(module, "full_precision", False):
        return
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            setattr(module, name, HalfLayer(child, dtype))
        else:
            use_half(child, dtype)


_ALWAYS: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    SpectralConv2d: without_spectral_norm,
    PartialConv2d: SummedPartialConv2d,
}
_GRAPH: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    nn.AdaptiveAvgPool2d: MatrixPool,
    ContextualAttention: SlicedAttention,
}
_ONNX: dict[type[nn.Module], Callable[[Any], nn.Module]] = {FourierUnit: MatrixFourierUnit}
_FORMS = {"torchscript": _ALWAYS, "torch-export": _ALWAYS | _GRAPH, "onnx": _ALWAYS | _GRAPH | _ONNX}


def replace_layers(module: nn.Module, format: str) -> None:  # noqa: A002 - as in `export_model`
    """Replace the layers below a module by their export forms, in place.

    Args:
        module: The module; itself it is not replaced.
        format: The format, as in `export_model`.
    """
    forms = _FORMS[format]
    for name, child in module.named_children():
        build = forms.get(type(child))
        if build is not None:
            setattr(module, name, build(child))
        else:
            replace_layers(child, format)
