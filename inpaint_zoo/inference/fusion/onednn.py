"""Convolutions and matrix products by oneDNN. This is the only module that calls private operators of PyTorch.

`torch.compile` uses the same operators for frozen weights: convolutions with weights that are reordered once, that add
to an existing feature map, and that apply an activation as they write. PyTorch does not document them. Wherever they
are missing or do not support the input (another version of PyTorch, another device, oneDNN switched off, another
dtype), the same values, up to rounding, are computed with public functions; see `uses_onednn`.
"""

from __future__ import annotations

import os
import platform
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.errors import ZooError
from inpaint_zoo.inference.fusion.folding import without_spectral_norm
from inpaint_zoo.inference.fusion.forms import fuse
from inpaint_zoo.layers.spectral import SpectralConv2d
from inpaint_zoo.ops import winograd

__all__ = [
    "Activation",
    "FusedConv2d",
    "FusedConvTranspose2d",
    "PackedConvolution",
    "has_bfloat16",
    "matrix_products",
    "uses_onednn",
]

_OPERATORS = (
    "_convolution_pointwise",
    "_convolution_pointwise_",
    "_convolution_transpose_pointwise",
    "_is_mkldnn_bf16_supported",
    "_linear_pointwise",
    "_reorder_convolution_transpose_weight",
    "_reorder_convolution_weight",
)
HAS_OPERATORS = all(hasattr(torch.ops.mkldnn, name) for name in _OPERATORS) and hasattr(torch._C, "_get_mkldnn_enabled")


def uses_onednn(x: Tensor) -> bool:
    """Return whether this module uses oneDNN's operators for ``x``, instead of public functions."""
    if x.device.type != "cpu" or not HAS_OPERATORS or not torch._C._get_mkldnn_enabled():
        return False
    if x.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return x.dtype == torch.float32


def has_bfloat16(device: torch.device) -> bool:
    """Return whether a device has instructions for bfloat16; without them, oneDNN converts every value.

    A CPU has them if it has AVX512-BF16 or AMX, and the environment variable ONEDNN_MAX_CPU_ISA does not exclude them.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return True
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "DEFAULT").upper()
    if not any(name in limit for name in ("DEFAULT", "BF16", "FP16", "AMX")):
        return False
    if platform.machine().lower() in ("x86_64", "amd64"):
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return HAS_OPERATORS and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class Activation(NamedTuple):
    """Activation that a convolution applies while it writes its output.

    Attributes:
        name: Name in oneDNN's operators.
        slope: Negative slope of LeakyReLU; None for other activations.
    """

    name: Literal["none", "relu", "tanh", "leaky_relu"] = "none"
    slope: float | None = None

    @classmethod
    def of(cls, layer: nn.Module | None) -> Activation:
        """Return the activation of a layer, or "none" if oneDNN cannot fuse it with a convolution."""
        if isinstance(layer, nn.ReLU):
            return cls("relu")
        if isinstance(layer, nn.Tanh):
            return cls("tanh")
        return cls("leaky_relu", layer.negative_slope) if isinstance(layer, nn.LeakyReLU) else cls()

    @property
    def arguments(self) -> tuple[str, list[float], str]:
        """Name, scalars and algorithm, as oneDNN's operators take them."""
        return self.name, [] if self.slope is None else [self.slope], ""

    def in_place(self, x: Tensor) -> Tensor:
        """Apply the activation in place, without oneDNN, on any device."""
        if self.slope is not None:
            return F.leaky_relu_(x, self.slope)
        return x if self.name == "none" else cast(Tensor, getattr(x, f"{self.name}_")())


class PackedConvolution(nn.Module):
    """Convolution for inference whose weights are reordered for oneDNN once, for the first input's shape.

    `nn.Conv2d` reorders its weights in each call. Where `uses_onednn` is False, this is an ordinary convolution.

    Args:
        convolution: The original convolution, with zero padding or none.

    Attributes:
        activation: Activation applied to the output.
    """

    def __init__(self, convolution: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        if not _takes(convolution):
            raise ZooError(f"{type(self).__name__} supports only zero padding given as integers, got {convolution}.")
        self.weight = convolution.weight
        self.bias = convolution.bias
        self.stride, self.padding = list(convolution.stride), list(cast(tuple[int, ...], convolution.padding))
        self.dilation, self.groups = list(convolution.dilation), convolution.groups
        self.activation = Activation()
        self._packed: Tensor | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Omit the reordered weights, which can be neither copied nor pickled."""
        return {**self.__dict__, "_packed": None}

    def _pack(self, size: list[int]) -> Tensor:
        raise NotImplementedError

    def _packed_weight(self, x: Tensor) -> Tensor:
        if self._packed is None or self._packed.dtype != self.weight.dtype:
            self._packed = self._pack(list(x.shape))
        return self._packed


class FusedConv2d(PackedConvolution):
    """Convolution for inference that adds to an existing feature map and applies its activation in the same pass.

    See `PackedConvolution` for its weights. Where `winograd` is faster, a 3x3 convolution in float32 is computed that
    way.
    """

    def __init__(self, convolution: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__(convolution)
        self._kernels: Tensor | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Omit the transformed kernels, which are made again from the weights."""
        return {**super().__getstate__(), "_kernels": None}

    def forward(self, x: Tensor, relu: bool = False, into: Tensor | None = None) -> Tensor:
        """Map (B, C_in, H, W) to (B, C, H', W').

        Args:
            x: The input; it is converted to the dtype of the weights, also under autocast.
            relu: Apply ReLU to the result instead of `activation`.
            into: Feature map of the result's shape that is added before the activation. The result overwrites it.
        """
        x = x.to(self.weight.dtype)
        activation = Activation("relu") if relu else self.activation
        if not uses_onednn(x):
            return self._plain(x, activation, into)
        shape = (self.padding, self.stride, self.dilation, self.groups)
        if winograd.applies(x, self.weight, self.stride, self.padding, self.dilation, self.groups):
            return self._by_winograd(x, activation, into)
        if into is None:
            operator = torch.ops.mkldnn._convolution_pointwise
            return operator(x, self._packed_weight(x), self.bias, *shape, *activation.arguments)
        in_place = torch.ops.mkldnn._convolution_pointwise_.binary
        joined = "relu" if activation.name == "relu" else None  # the only activation that oneDNN fuses with a sum
        out = in_place(into, x, self._packed_weight(x), self.bias, *shape, "add", 1.0, joined, [], "")
        return out if joined or activation.name == "none" else _activated(out, activation)

    def _by_winograd(self, x: Tensor, activation: Activation, into: Tensor | None) -> Tensor:
        if self._kernels is None:
            self._kernels = winograd.transform_kernels(self.weight)
        relu = activation.name == "relu"
        padding = (self.padding[0], self.padding[1])
        out = winograd.convolve(x, self._kernels, self.bias, padding, self.dilation[0], relu, into)
        return out if relu or activation.name == "none" else _activated(out, activation)

    def _plain(self, x: Tensor, activation: Activation, into: Tensor | None) -> Tensor:
        out = F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        if into is not None:
            out = into.add_(out)
        return activation.in_place(out)

    def _pack(self, size: list[int]) -> Tensor:
        return torch.ops.mkldnn._reorder_convolution_weight(
            self.weight, self.padding, self.stride, self.dilation, self.groups, size
        )


class FusedConvTranspose2d(PackedConvolution):
    """Transposed convolution for inference that applies its activation in the same pass; see `PackedConvolution`."""

    def __init__(self, convolution: nn.ConvTranspose2d) -> None:
        super().__init__(convolution)
        self.output_padding = list(convolution.output_padding)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C, H', W'), in the dtype of the weights."""
        x = x.to(self.weight.dtype)
        shape = (self.padding, self.output_padding, self.stride, self.dilation, self.groups)
        if uses_onednn(x):
            operator = torch.ops.mkldnn._convolution_transpose_pointwise
            return operator(x, self._packed_weight(x), self.bias, *shape, *self.activation.arguments)
        padding, output_padding, stride, dilation, groups = shape
        out = F.conv_transpose2d(x, self.weight, self.bias, stride, padding, output_padding, groups, dilation)
        return self.activation.in_place(out)

    def _pack(self, size: list[int]) -> Tensor:
        return torch.ops.mkldnn._reorder_convolution_transpose_weight(
            self.weight, self.padding, self.output_padding, self.stride, self.dilation, self.groups, size
        )


def _activated(x: Tensor, activation: Activation) -> Tensor:
    """Apply an activation with oneDNN, whose tanh takes a quarter of the time of `Tensor.tanh_`.

    oneDNN applies it as part of a convolution, here a depthwise 1x1 convolution with weight 1.
    """
    channels = x.shape[1]
    same = ([0, 0], [1, 1], [1, 1], channels)
    operator = torch.ops.mkldnn._convolution_pointwise
    return operator(x, x.new_ones(channels, 1, 1, 1), None, *same, *activation.arguments)


def matrix_products(a: Tensor, b: Tensor) -> Tensor:
    """Return `torch.bmm` without gradients; on a CPU, oneDNN is up to twice as fast as the BLAS that `bmm` uses."""
    if a.dtype != torch.float32 or not uses_onednn(a) or torch.compiler.is_compiling():
        return torch.bmm(a, b)
    linear = torch.ops.mkldnn._linear_pointwise
    rows = zip(a.contiguous(), b.mT.contiguous(), strict=True)
    return torch.stack([linear(x, weight, None, "none", [], "") for x, weight in rows])


def _takes(convolution: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    return convolution.padding_mode == "zeros" and not isinstance(convolution.padding, str)


@fuse.register(nn.Conv2d)
def _fuse_convolution(convolution: nn.Conv2d) -> nn.Module:
    return FusedConv2d(convolution) if _takes(convolution) else convolution


@fuse.register(nn.ConvTranspose2d)
def _fuse_transposed(convolution: nn.ConvTranspose2d) -> nn.Module:
    return FusedConvTranspose2d(convolution) if _takes(convolution) else convolution


@fuse.register(SpectralConv2d)
def _fuse_spectral(convolution: SpectralConv2d) -> nn.Module:
    return FusedConv2d(without_spectral_norm(convolution))
