"""Convolution with spectral norm: the weight is divided by its largest singular value."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inpaint_zoo.ops import without_autocast

__all__ = ["SpectralConv2d"]

SETTLED = 15  # initial power iterations, so that eval mode works before training; as in PyTorch's parametrization


class SpectralConv2d(nn.Conv2d):
    """Convolution with spectral norm (Miyato et al., ICLR 2018).

    Each forward pass runs one power iteration in training mode and none in eval mode. The state dict is that of
    `torch.nn.utils.spectral_norm`, as in released checkpoints: `weight_orig`, `weight_u`, `weight_v`. Unlike that hook,
    this layer stores no computed weight between passes, so it can be copied and exported at any time. It computes the
    normalized weight in the dtype of its weights even under autocast. It accepts singular vectors that do not have unit
    length, which result from averaging weights.

    Args:
        source: Input channels.
        target: Output channels.
        kernel: Kernel size.
        stride: Stride of the convolution.
        padding: Zero padding on each side, in pixels.
        dilation: Dilation of the kernel.
        bias: Whether to add a bias, which is not normalized.

    Shape:
        (B, source, H, W) -> (B, target, H', W').
    """

    def __init__(
        self,
        source: int,
        target: int,
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__(source, target, kernel, stride, padding, dilation, bias=bias)
        self.weight_orig = self.weight
        del self.weight
        left, right = self.weight_orig.detach().flatten(1).shape
        u, v = torch.randn(left), torch.randn(right)
        if not self.weight_orig.is_meta:  # on the meta device there are no values, but each operation takes time
            u, v = F.normalize(u, dim=0), F.normalize(v, dim=0)
        self.register_buffer("weight_u", u)
        self.register_buffer("weight_v", v)
        self.weight_u: Tensor
        self.weight_v: Tensor
        self.iterate(SETTLED)

    @property
    def normalized_weight(self) -> Tensor:
        """The weight divided by its spectral norm; on the meta device, the weight itself."""
        if self.weight_orig.is_meta:
            return self.weight_orig
        with without_autocast(self.weight_orig.device):
            # copies, because the next forward pass may update u and v before the backward pass of this one
            u, v = (F.normalize(vector, dim=0) for vector in (self.weight_u, self.weight_v))
            normalized: Tensor = _Normalization.apply(self.weight_orig, u, v)  # type: ignore[no-untyped-call]
        return normalized

    @torch.no_grad()
    def iterate(self, times: int = 1) -> None:
        """Run power iterations that update the estimates v and u of the leading singular vectors.

        On the meta device, nothing is done.
        """
        if self.weight_orig.is_meta:
            return
        with without_autocast(self.weight_orig.device):
            matrix = self.weight_orig.flatten(1)
            for _ in range(times):
                self.weight_v.copy_(F.normalize(matrix.t().mv(self.weight_u), dim=0))
                self.weight_u.copy_(F.normalize(matrix.mv(self.weight_v), dim=0))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve with the normalized weight: (B, source, H, W) -> (B, target, H', W')."""
        if self.training:
            self.iterate()
        return self._conv_forward(x, self.normalized_weight, self.bias)


class _Normalization(torch.autograd.Function):
    """Quotient of a weight W and its norm s = u^T W v, given the singular vectors u and v.

    Each operation on a large weight takes as long as reading it from memory, so the gradient uses the closed form of
    Miyato et al. (equation 12): (G - <G, W / s> u v^T) / s for a gradient G. Autograd would differentiate the quotient
    and the norm by three times as many operations.
    """

    @staticmethod
    def forward(ctx: Any, *args: Tensor) -> Tensor:  # noqa: ANN401 - as PyTorch declares it
        weight, u, v = args
        norm = _norm(weight, u, v)
        normalized = weight / norm
        ctx.save_for_backward(weight, u, v, norm, normalized)
        return normalized

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:  # noqa: ANN401 - as PyTorch declares it
        (grad,) = grads
        weight, u, v, norm, normalized = ctx.saved_tensors
        if torch.is_grad_enabled():  # for a gradient penalty; the normalized weight is part of the graph already
            norm = _norm(weight, u, v)
        along = torch.dot(grad.flatten(), normalized.flatten())
        return (torch.addr(grad.flatten(1), -along * u, v) / norm).view_as(weight), None, None


def _norm(weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
    return torch.dot(u, weight.flatten(1).mv(v))
