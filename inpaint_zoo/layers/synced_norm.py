"""Batch norm over the samples of all processes that share a batch.

torch's `SyncBatchNorm` works on GPUs only and has no second derivatives, which gradient penalties through batch norm
need (R1 in LaMa's training).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from inpaint_zoo.ops import mean_over_ranks, rank_and_count
from inpaint_zoo.ops.precision import full_precision

__all__ = ["own_norms", "sync_norms"]


class _SyncedNorm(_BatchNorm):
    """Batch norm whose training statistics are those of the batch of all processes.

    Each process must hold the same number of samples. In eval mode and in a single process, it is the layer that it is
    made from.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Normalize (B, C, ...) by the mean and variance over all processes."""
        count = rank_and_count()[1]
        if not self.training or count == 1:
            return super().forward(input)
        self._check_input_dim(input)  # type: ignore[no-untyped-call]  # torch does not annotate it
        x = full_precision(input)
        dims = [0, *range(2, x.ndim)]
        shape = (1, -1, *[1] * (x.ndim - 2))
        mean = mean_over_ranks(x.mean(dims))  # (C,)
        centered = x - mean.view(shape)
        variance = mean_over_ranks(centered.square().mean(dims))
        self._track(mean.detach(), variance.detach(), count * x.numel() // x.shape[1])
        scale = (variance + self.eps).rsqrt()
        if self.affine:
            scale = scale * self.weight
        normed = centered * scale.view(shape)
        return (normed + self.bias.view(shape) if self.affine else normed).to(input.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, size: int) -> None:
        """Update the running statistics from those of ``size`` values per channel."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean), momentum)
        self.running_var.lerp_((variance * size / max(size - 1, 1)).to(self.running_var), momentum)


class _SyncedNorm1d(_SyncedNorm, nn.BatchNorm1d): ...


class _SyncedNorm2d(_SyncedNorm, nn.BatchNorm2d): ...


class _SyncedNorm3d(_SyncedNorm, nn.BatchNorm3d): ...


SYNCED: dict[type[nn.Module], type[_SyncedNorm]] = {
    nn.BatchNorm1d: _SyncedNorm1d,
    nn.BatchNorm2d: _SyncedNorm2d,
    nn.BatchNorm3d: _SyncedNorm3d,
}


def sync_norms(module: nn.Module) -> None:
    """Let all batch norms in ``module`` use the samples of all processes, in place.

    Layers keep their names, parameters and buffers, and remain instances of their torch class. Subclasses of torch's
    layers are left as they are.
    """
    for layer in module.modules():
        if type(layer) in SYNCED:
            layer.__class__ = SYNCED[type(layer)]


def own_norms(module: nn.Module) -> None:
    """Undo `sync_norms`, in place."""
    plain = {synced: kind for kind, synced in SYNCED.items()}
    for layer in module.modules():
        if type(layer) in plain:
            layer.__class__ = plain[type(layer)]  # type: ignore[index]
