"""Inference forms of layers, which compute the same outputs (up to rounding) faster. `inpaint_zoo.optimize` uses them.

A layer with its own inference form is `Fusable`. Batch norms that directly follow a convolution in the same
`nn.Sequential` are folded in any network.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from inpaint_zoo.errors import ZooError
from inpaint_zoo.ops import without_autocast

__all__ = [
    "Activation",
    "Fusable",
    "FusedConv2d",
    "FusedConvTranspose2d",
    "FusedHead",
    "fold",
    "fold_affine",
    "fuse",
    "pad_as_it_is",
    "to_bfloat16",
]

ConvT = TypeVar("ConvT", bound=nn.Module)

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class Fusable(nn.Module, ABC):
    """A layer that provides a faster form of itself for inference."""

    @abstractmethod
    def fused(self) -> nn.Module:
        """Return the inference form.

        It has the same inputs and outputs as this layer in eval mode and no gradients. It may share this layer's
        weights.
        """


def fold(convolution: ConvT, norm: nn.Module) -> ConvT:
    """Fold ``norm``, as in eval mode, and spectral norm into a new convolution that replaces ``convolution``."""
    folded = getattr(convolution, "folded", None)
    plain = convolution if folded is None else cast(nn.Module, folded())
    return cast(
        ConvT, fuse_conv_bn_eval(cast(nn.Conv2d, plain), cast(_BatchNorm, norm), isinstance(plain, _TRANSPOSED))
    )


def fold_affine(convolution: nn.Conv2d, scale: Tensor, bias: Tensor | None) -> nn.Conv2d:
    """Return a copy of a convolution without bias, with output scaled and shifted by ``scale`` and ``bias``, (C,)."""
    folded = copy.deepcopy(convolution)
    folded.weight = nn.Parameter(convolution.weight.detach() * scale.detach().view(-1, 1, 1, 1), requires_grad=False)
    folded.bias = None if bias is None else nn.Parameter(bias.detach().clone(), requires_grad=False)
    return folded


def fuse(module: nn.Module) -> nn.Module:
    """Return the inference form of ``module``; a module without its own form is changed in place.

    Batch norms and activations that follow a convolution in the same `nn.Sequential` become part of it. In other
    modules, the structure does not tell the order of execution.
    """
    if isinstance(module, Fusable):
        return module.fused()
    if isinstance(module, nn.ReflectionPad2d):
        return FusedReflection(module)
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and _takes(module):
        return FusedConv2d(module) if isinstance(module, nn.Conv2d) else FusedConvTranspose2d(module)
    if isinstance(module, nn.Sequential):
        _fold_norms(module)
    for name, child in list(module._modules.items()):
        if child is not None:
            module._modules[name] = fuse(child)
    if isinstance(module, nn.Sequential):
        _join_activations(module)
    return module


def _takes(convolution: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    return convolution.padding_mode == "zeros" and not isinstance(convolution.padding, str)


def _fold_norms(layers: nn.Sequential) -> None:
    for first, second in pairwise(list(layers._modules)):
        convolution, norm = layers._modules[first], layers._modules[second]
        if isinstance(convolution, _CONVOLUTIONS) and isinstance(norm, _NORMS) and norm.track_running_stats:
            layers._modules[first] = fold(convolution, norm)
            layers._modules[second] = nn.Identity()


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


def _join_activations(layers: nn.Sequential) -> None:
    convolution: _LaidOut | None = None
    for name, layer in layers._modules.items():
        activation = Activation.of(layer)
        if activation.name != "none" and convolution is not None:
            convolution.activation = activation
            layers._modules[name] = nn.Identity()
            convolution = None
        elif not isinstance(layer, nn.Identity):
            convolution = layer if isinstance(layer, _LaidOut) else None


class _LaidOut(nn.Module):
    """Convolution for inference whose weights are reordered for oneDNN once, for the first input's shape.

    `nn.Conv2d` reorders its weights in each call. On devices other than the CPU, this is an ordinary convolution.

    Args:
        convolution: The original convolution, with zero padding or none.

    Attributes:
        activation: Activation applied to the output.
    """

    def __init__(self, convolution: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        if not _takes(convolution):
            raise ZooError(f"{type(self).__name__} supports only zero padding by a number, got {convolution}.")
        self.weight = convolution.weight
        self.bias = convolution.bias
        self.stride, self.padding = list(convolution.stride), list(cast(tuple[int, ...], convolution.padding))
        self.dilation, self.groups = list(convolution.dilation), convolution.groups
        self.activation = Activation()
        self._packed: Tensor | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Omit the reordered weights, which can be neither copied nor pickled."""
        return {**self.__dict__, "_packed": None}

    def _lay_out(self, size: list[int]) -> Tensor:
        raise NotImplementedError

    def _laid_out(self, x: Tensor) -> Tensor:
        if self._packed is None or self._packed.dtype != self.weight.dtype:
            self._packed = self._lay_out(list(x.shape))
        return self._packed


class FusedConv2d(_LaidOut):
    """Convolution for inference that adds to an existing feature map and applies its activation as it writes.

    See `_LaidOut` for its weights.
    """

    def forward(self, x: Tensor, relu: bool = False, into: Tensor | None = None) -> Tensor:
        """Map (B, C_in, H, W) to (B, C, H', W').

        Args:
            x: The input; it is converted to the dtype of the weights, also under autocast.
            relu: Apply ReLU to the result instead of `activation`.
            into: Feature map of the result's shape that is added before the activation. The result overwrites it.
        """
        x = x.to(self.weight.dtype)
        activation = Activation("relu") if relu else self.activation
        if not _has_onednn(x):
            return self._plain(x, activation, into)
        shape = (self.padding, self.stride, self.dilation, self.groups)
        if into is None:
            operator = torch.ops.mkldnn._convolution_pointwise
            return operator(x, self._laid_out(x), self.bias, *shape, *activation.arguments)
        in_place = torch.ops.mkldnn._convolution_pointwise_.binary
        joined = "relu" if activation.name == "relu" else None  # the only activation that oneDNN fuses with a sum
        out = in_place(into, x, self._laid_out(x), self.bias, *shape, "add", 1.0, joined, [], "")
        return out if joined or activation.name == "none" else _activated(out, activation)

    def _plain(self, x: Tensor, activation: Activation, into: Tensor | None) -> Tensor:
        out = F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        if into is not None:
            out = into.add_(out)
        return activation.in_place(out)

    def _lay_out(self, size: list[int]) -> Tensor:
        return torch.ops.mkldnn._reorder_convolution_weight(
            self.weight, self.padding, self.stride, self.dilation, self.groups, size
        )


class FusedConvTranspose2d(_LaidOut):
    """Transposed convolution for inference that applies its activation as it writes; see `_LaidOut`."""

    def __init__(self, convolution: nn.ConvTranspose2d) -> None:
        super().__init__(convolution)
        self.output_padding = list(convolution.output_padding)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C, H', W'), in the dtype of the weights."""
        x = x.to(self.weight.dtype)
        shape = (self.padding, self.output_padding, self.stride, self.dilation, self.groups)
        if _has_onednn(x):
            operator = torch.ops.mkldnn._convolution_transpose_pointwise
            return operator(x, self._laid_out(x), self.bias, *shape, *self.activation.arguments)
        padding, output_padding, stride, dilation, groups = shape
        out = F.conv_transpose2d(x, self.weight, self.bias, stride, padding, output_padding, groups, dilation)
        return self.activation.in_place(out)

    def _lay_out(self, size: list[int]) -> Tensor:
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


def _has_onednn(x: Tensor) -> bool:
    """Return whether oneDNN's operators support this tensor. torch.compile uses the same ones for frozen weights."""
    if x.device.type != "cpu" or not torch._C._get_mkldnn_enabled():
        return False
    if x.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return x.dtype == torch.float32


def pad_as_it_is(x: Tensor, padding: Sequence[int], mode: str = "reflect") -> Tensor:
    """Pad by `F.pad` in the dtype of ``x``; under autocast, `F.pad` itself converts to float32 for reflection.

    Args:
        x: (B, C, H, W).
        padding: Padding at the left, right, top and bottom, in pixels.
        mode: Padding mode of `F.pad`.
    """
    with without_autocast(x.device):
        return F.pad(x, list(padding), mode=mode)


class FusedReflection(nn.Module):
    """`nn.ReflectionPad2d` that keeps the dtype of its input, see `pad_as_it_is`."""

    def __init__(self, pad: nn.ReflectionPad2d) -> None:
        super().__init__()
        self.padding = pad.padding

    def forward(self, x: Tensor) -> Tensor:
        """Return the padded feature map."""
        return pad_as_it_is(x, self.padding)


def to_bfloat16(module: nn.Module) -> None:
    """Convert the weights of convolutions and linear layers to bfloat16, in place.

    A module whose attribute ``full_precision`` is True keeps its dtype, including all its submodules.
    """
    if getattr(module, "full_precision", False):
        return
    if isinstance(module, _LaidOut | nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        module.to(torch.bfloat16)
    for child in module.children():
        to_bfloat16(child)


class FusedHead(nn.Module):
    """Convolution with few output channels that computes several neighboring pixels at once.

    A vector register holds 16 numbers, which a convolution fills with output channels; three channels would leave most
    of it unused. The kernel is therefore repeated for ``span`` neighboring pixels of a row, each with its own output
    channels.

    Args:
        convolution: Convolution with stride 1 and without padding, groups or dilation.
        span: Number of pixels computed at once. The input is padded so that the output's width is a multiple of it, and
            the output is cropped.
    """

    def __init__(self, convolution: nn.Conv2d, span: int = 4) -> None:
        super().__init__()
        channels, source, height, width = convolution.weight.shape
        spread = convolution.weight.new_zeros(span, channels, source, height, width + span - 1)
        for shift in range(span):
            spread[shift, ..., shift : shift + width] = convolution.weight.detach()
        self.span = span
        self.extra = width - 1
        wide = nn.Conv2d(source, span * channels, (height, width + span - 1), stride=(1, span))
        wide.weight = nn.Parameter(spread.flatten(0, 1), requires_grad=False)
        bias = convolution.bias
        wide.bias = None if bias is None else nn.Parameter(bias.detach().repeat(span), requires_grad=False)
        self.wide = FusedConv2d(wide)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, channels, H - h + 1, W - w + 1), where h and w are the kernel's height and width."""
        width = x.shape[-1] - self.extra
        x = F.pad(x, (0, -width % self.span))
        spans = self.wide(x).unflatten(1, (self.span, -1))  # (B, span, channels, H, W / span)
        return spans.permute(0, 2, 3, 4, 1).flatten(-2)[..., :width]
