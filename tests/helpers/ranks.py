"""Processes that share a batch: simulated by threads of one process (for tests of every loss), or real ones."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import torch
from torch import Tensor, distributed, multiprocessing

from tests.helpers import programs  # noqa: F401 (it tells the server what to import before it forks)

WAIT = 120


def shard(value: Any, rank: int, count: int) -> Any:
    """Return the samples of one process, every ``count``-th from ``rank`` on. Dictionaries are handled recursively."""
    if isinstance(value, dict):
        return {key: shard(part, rank, count) for key, part in value.items()}
    return value[rank::count]


def on_threads(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Run ``work(rank)`` for all ranks at once, each in a thread that is a process for `torch.distributed`."""
    place = threading.local()
    barrier = threading.Barrier(count)
    parts: list[Tensor] = [torch.empty(0)] * count

    def all_reduce(x: Tensor, op: Any = distributed.ReduceOp.SUM) -> None:
        parts[place.rank] = x.clone()
        barrier.wait(WAIT)
        stacked = torch.stack(parts)
        barrier.wait(WAIT)
        x.copy_(stacked.amax(0) if op == distributed.ReduceOp.MAX else stacked.sum(0))

    def run(rank: int) -> Any:
        place.rank = rank
        try:
            return work(rank)
        except BaseException:
            barrier.abort()
            raise

    with (
        mock.patch.multiple(
            distributed,
            is_initialized=lambda: True,
            get_rank=lambda: place.rank,
            get_world_size=lambda: count,
            all_reduce=all_reduce,
        ),
        ThreadPoolExecutor(count) as pool,
    ):
        return list(pool.map(run, range(count)))


def _process(rank: int, count: int, folder: str, work: Callable[[int, int], Any]) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store{count}", rank=rank, world_size=count)
    torch.save(work(rank, count), f"{folder}/{rank}_of_{count}.pt")
    distributed.barrier()  # gloo may abort a process whose peer has left already
    distributed.destroy_process_group()


def on_processes(count: int, work: Callable[[int, int], Any], folder: str) -> list[Any]:
    """Run ``work(rank, count)``, a module-level function that returns tensors, in real processes that use gloo."""
    multiprocessing.start_processes(_process, (count, folder, work), nprocs=count, start_method="forkserver")
    return [torch.load(f"{folder}/{rank}_of_{count}.pt", weights_only=True) for rank in range(count)]
