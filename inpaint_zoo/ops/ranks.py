"""Values over all processes that share a batch, so that N processes train like one process with the whole batch.

Each process holds an equal part of the batch, and the training strategy averages the gradients over the processes. A
loss that is a mean over samples needs nothing else. What depends on several samples at once, such as a divisor that
counts the hole pixels of the batch, takes its value from here. Without a process group nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, distributed

__all__ = ["copy_from_first", "max_over_ranks", "mean_over_ranks", "own_samples", "rank_and_count"]


def rank_and_count() -> tuple[int, int]:
    """Return the number of this process, from 0, and of all processes; (0, 1) without a process group."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


class _SumOverRanks(torch.autograd.Function):
    """Sum of a tensor over all processes. The gradient of each process's tensor is the sum of all gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401 - as torch declares it
        total = x.clone(memory_format=torch.contiguous_format)
        # complex numbers as pairs of real ones, which every backend can add
        distributed.all_reduce(torch.view_as_real(total) if total.is_complex() else total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        return _sum_over_ranks(gradient)  # differentiable, for penalties


def _sum_over_ranks(x: Tensor) -> Tensor:
    return _SumOverRanks.apply(x)  # type: ignore[no-untyped-call]  # torch does not annotate it


def mean_over_ranks(x: Tensor) -> Tensor:
    """Return the mean of ``x`` over all processes. It can be differentiated any number of times.

    Its gradient is that of the sum of all processes' losses, so the average over the processes of the gradients of
    f(mean_over_ranks(x)) is the gradient of f(mean of x over the whole batch), also if f differs between processes. All
    processes must call it, and its backward pass, in the same order.

    Args:
        x: Real or complex, of any shape that is the same on all processes.
    """
    count = rank_and_count()[1]
    return x if count == 1 else _sum_over_ranks(x) / count


def max_over_ranks(x: Tensor) -> Tensor:
    """Return the elementwise maximum of ``x`` over all processes, without a gradient.

    Args:
        x: Real, of any shape that is the same on all processes.
    """
    largest = x.detach().clone(memory_format=torch.contiguous_format)
    if rank_and_count()[1] > 1:
        distributed.all_reduce(largest, op=distributed.ReduceOp.MAX)
    return largest


def copy_from_first(tensors: Iterable[Tensor]) -> None:
    """Copy the values of the first process into the tensors of all others, in place.

    Args:
        tensors: Tensors with the same shapes, in the same order, on all processes.
    """
    if rank_and_count()[1] > 1:
        for tensor in tensors:
            distributed.broadcast(tensor, 0)


def own_samples(draw: Callable[[int], Tensor], count: int) -> Tensor:
    """Draw random numbers for the whole batch and return those of this process's samples.

    Process r of R holds the samples r, r + R, ... of the batch, as `data.sampling.StreamSampler` distributes them. With
    a random generator that all processes seed alike, each sample gets the numbers that it gets in a single process.

    Args:
        draw: Takes the number of samples of the whole batch; the last dimension of its result runs over them.
        count: Number of samples on this process.

    Example:
        >>> own_samples(lambda count: torch.arange(count), 3)
        tensor([0, 1, 2])
    """
    rank, ranks = rank_and_count()
    return draw(count * ranks)[..., rank::ranks]
