"""Convolution with few output channels, such as the colors of an image, that trains fast on the CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_weight

__all__ = ["OutputConv2d"]

SPAN = 4  # neighboring pixels of a row that are computed together: 3 colors of 4 pixels fill most of 16 channels


def _convolve(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve without padding; the output's width is a multiple of `SPAN`.

    The kernel is repeated for neighboring pixels, each with its own output channels and shifted by its distance. The
    added weights are 0, so that the result is that of one kernel.
    """
    target, source, rows, columns = weight.shape
    shifted = [F.pad(weight, (place, SPAN - 1 - place)) for place in range(SPAN)]
    wide = torch.stack(shifted, dim=1).reshape(target * SPAN, source, rows, columns + SPAN - 1)
    B, _, H, W = x.shape
    H, W = H - rows + 1, W - columns + 1
    groups = F.conv2d(x, wide, stride=(1, SPAN)).view(B, target, SPAN, H, W // SPAN)
    return groups.permute(0, 1, 3, 4, 2).reshape(B, target, H, W)


class _Convolve(torch.autograd.Function):
    """`_convolve`, whose gradients are computed by a convolution from few to many channels."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:  # noqa: ANN401 - torch's context has no public type
        ctx.save_for_backward(x, weight)
        return _convolve(x, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:  # noqa: ANN401
        x, weight = ctx.saved_tensors
        turned = weight.flip(2, 3).transpose(0, 1)  # (many, few, rows, columns)
        padding = (weight.shape[2] - 1, weight.shape[3] - 1)
        of_x = F.conv2d(gradient, turned, padding=padding) if ctx.needs_input_grad[0] else None
        of_weight = None
        if ctx.needs_input_grad[1]:
            of_turned = conv2d_weight(gradient, turned.shape, x, padding=padding)  # type: ignore[no-untyped-call]
            of_weight = of_turned.transpose(0, 1).flip(2, 3)
        return of_x, of_weight


class OutputConv2d(nn.Conv2d):
    """Convolution to few channels without padding. The result and the state dict are those of `nn.Conv2d`.

    Processors compute 16 channels of a convolution at once, and a convolution to three colors fills three of them. On
    the CPU, training therefore uses other convolutions that give the same output and gradients, in a third of the time.

    Args:
        source: Input channels.
        target: Output channels.
        kernel: Kernel size.

    Shape:
        (B, source, H, W) -> (B, target, H - kernel + 1, W - kernel + 1).
    """

    def __init__(self, source: int, target: int, kernel: int) -> None:
        super().__init__(source, target, kernel)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of (B, source, H, W)."""
        plain = (
            not self.training
            or x.device.type != "cpu"
            or torch.is_autocast_enabled("cpu")
            or torch.compiler.is_compiling()
            or (x.shape[-1] - self.kernel_size[1] + 1) % SPAN
        )
        if plain:
            return super().forward(x)
        assert self.bias is not None
        return _Convolve.apply(x, self.weight) + self.bias[:, None, None]  # type: ignore[no-untyped-call]
