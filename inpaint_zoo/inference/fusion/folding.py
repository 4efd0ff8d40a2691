"""Fold norms, and spectral norm, into the weights of convolutions."""

from __future__ import annotations

import copy
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from inpaint_zoo.layers.spectral import SpectralConv2d

__all__ = ["CONVOLUTIONS", "fold", "fold_affine", "without_spectral_norm"]

ConvT = TypeVar("ConvT", bound=nn.Module)

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, *_TRANSPOSED)


def fold(convolution: ConvT, norm: nn.Module) -> ConvT:
    """Fold ``norm``, as in eval mode, and spectral norm into a new convolution that replaces ``convolution``."""
    plain = without_spectral_norm(convolution) if isinstance(convolution, SpectralConv2d) else convolution
    return cast(
        ConvT, fuse_conv_bn_eval(cast(nn.Conv2d, plain), cast(_BatchNorm, norm), isinstance(plain, _TRANSPOSED))
    )


def fold_affine(convolution: nn.Conv2d, scale: Tensor, bias: Tensor | None) -> nn.Conv2d:
    """Return a copy of a convolution without bias, with output scaled and shifted by ``scale`` and ``bias``, (C,)."""
    folded = copy.deepcopy(convolution)
    folded.weight = nn.Parameter(convolution.weight.detach() * scale.detach().view(-1, 1, 1, 1), requires_grad=False)
    folded.bias = None if bias is None else nn.Parameter(bias.detach().clone(), requires_grad=False)
    return folded


def without_spectral_norm(layer: SpectralConv2d) -> nn.Conv2d:
    """Return an ordinary convolution that computes the same as ``layer`` in eval mode."""
    with torch.device("meta"):
        plain = nn.Conv2d(layer.in_channels, layer.out_channels, 1, bias=layer.bias is not None)
    plain.kernel_size, plain.stride, plain.dilation = layer.kernel_size, layer.stride, layer.dilation
    plain.padding = layer.padding
    plain.weight = nn.Parameter(layer.normalized_weight.detach(), requires_grad=False)
    if layer.bias is not None:
        plain.bias = nn.Parameter(layer.bias.detach().clone(), requires_grad=False)
    return plain.train(layer.training)
