"""The order of samples as a pure function of (seed, position), and loaders that can start within an epoch.

Training reads one endless stream: pass after pass over the data, each pass in another order. An epoch is a section of
the stream. The position of a sample in the stream determines its item, its augmentation and its mask; workers, ranks,
batch size and earlier samples have no influence.
"""

from __future__ import annotations

import atexit
import multiprocessing
import multiprocessing.util
import signal
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from inpaint_zoo.data.order import shuffled
from inpaint_zoo.errors import ZooError

__all__ = ["Draw", "EvalSampler", "ResumableLoader", "StreamSampler", "divided", "quiet_worker"]

PADDING = -1


class Draw(NamedTuple):
    """Index that a sampler passes to a dataset.

    Attributes:
        position: Position in the stream; determines augmentation and mask.
        item: Index in the data; -1 pads the ranks to equal length.
    """

    position: int
    item: int


def divided(batch_size: int, count: int) -> int:
    """Return the batch size of each of ``count`` processes that share a batch equally.

    Equal parts let the mean over processes be the mean over the batch.

    Raises:
        ZooError: If ``batch_size`` is not a multiple of ``count``.

    Example:
        >>> divided(8, 4)
        2
    """
    if batch_size % count:
        less = batch_size // count * count
        sizes = [str(size) for size in (less, less + count) if size]
        counts = [str(number) for number in range(1, batch_size + 1) if batch_size % number == 0]
        raise ZooError(
            f"{count} processes cannot divide a batch of {batch_size} equally. Set data.batch_size, which is the batch "
            f"of all processes, to {' or '.join(sizes)}; or use {', '.join(counts)} processes."
        )
    return batch_size // count


class StreamSampler(DistributedSampler[Draw]):
    """Training order: rank r of R takes the positions r, r + R, ... of an epoch.

    The batches of all ranks together are thus the batches of a single process. Lightning does not replace samplers of
    this base class, and sets their epoch.

    Args:
        size: Number of samples in the data.
        length: Number of samples in an epoch; by default ``size``.
        batch_size: Batch size on one rank.
        seed: Seed of the order.
        rank: Rank of this process.
        ranks: Number of processes.
        drop_last: Drop an incomplete last batch; otherwise samples of the next epoch pad the ranks to equal length.
        blocks: File numbers, as in `shuffled`.
        repeat: Read the samples of the first epoch in every epoch, with the same augmentation and masks.
    """

    def __init__(
        self,
        size: int,
        *,
        length: int | None = None,
        batch_size: int = 1,
        seed: int = 0,
        rank: int = 0,
        ranks: int = 1,
        drop_last: bool = True,
        blocks: NDArray[np.int64] | None = None,
        repeat: bool = False,
    ) -> None:
        super().__init__(range(size), num_replicas=ranks, rank=rank, shuffle=False, seed=seed)  # type: ignore[arg-type]
        self.size, self.length = size, size if length is None else length
        unit = ranks * batch_size if drop_last else ranks
        whole = self.length // unit if drop_last else -(-self.length // unit)
        self.num_samples = whole * unit // ranks  # on this rank
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.stood_at = (0, 0)
        self.blocks = blocks
        self.repeat = repeat
        self._orders: dict[int, NDArray[np.int64]] = {}

    @property
    def done(self) -> int:
        """Number of this rank's samples of the current epoch that were done before this process started.

        These are whole batches, unless the batch size has changed: the next batch then starts at the next sample. If
        samples of the epoch are left, at least one batch is left.
        """
        epoch, samples = self.stood_at
        done = min(samples // self.num_replicas, self.num_samples) if epoch == self.epoch else 0
        left = self.num_samples - done
        return self.num_samples - self.batch_size if 0 < left < self.batch_size and self.drop_last else done

    @property
    def batches_left(self) -> int:
        """Number of batches of the epoch that were left when this process started."""
        left = self.num_samples - self.done
        return left // self.batch_size if self.drop_last else -(-left // self.batch_size)

    def draw(self, position: int) -> Draw:
        """Return the sample at a position of the stream."""
        number, place = divmod(position, self.size)
        if number not in self._orders:  # at most two passes are in use at a time
            kept = {key: order for key, order in self._orders.items() if key == number - 1}
            self._orders = {**kept, number: shuffled(self.seed, self.size, number, self.blocks)}
        return Draw(position, int(self._orders[number][place]))

    def __iter__(self) -> Iterator[Draw]:
        first = (0 if self.repeat else self.epoch) * self.length + self.rank
        done = self.done
        end = done + self.batches_left * self.batch_size if self.drop_last else self.num_samples
        for number in range(done, end):
            yield self.draw(first + number * self.num_replicas)

    def __len__(self) -> int:
        return self.num_samples


class EvalSampler(DistributedSampler[Draw]):
    """Evaluation order: each sample once, over any number of ranks; padding of the ranks is marked by item -1.

    Args:
        size: Number of samples in the data.
        rank: Rank of this process.
        ranks: Number of processes.
    """

    def __init__(self, size: int, *, rank: int = 0, ranks: int = 1) -> None:
        super().__init__(range(size), num_replicas=ranks, rank=rank, shuffle=False)  # type: ignore[arg-type]
        self.size = size

    def __iter__(self) -> Iterator[Draw]:
        for number in range(self.num_samples):
            index = self.rank + number * self.num_replicas
            yield Draw(index, index if index < self.size else PADDING)


def quiet_worker(_: int) -> None:
    """Initialize a loading process: use one thread, since others run in parallel, and ignore SIGTERM and SIGINT.

    Ctrl-C, SLURM and container managers send signals to all processes. The main process still needs batches to reach
    the next step boundary, and ends the loading processes when it is done.
    """
    import cv2

    cv2.setNumThreads(0)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


@atexit.register  # runs before the hook of multiprocessing.util, which was imported above
def _end_workers() -> None:
    """Kill loading processes at exit: Python would send SIGTERM, which they ignore, and wait forever."""
    for process in multiprocessing.active_children():
        if process.daemon:
            process.kill()


class ResumableLoader(DataLoader[dict[str, Any]]):
    """Loader over a `StreamSampler` whose state Lightning saves, so that a resumed epoch continues where it stopped.

    Batches that were already done are neither read nor generated again. Loading processes use `quiet_worker`.

    Args:
        dataset: Dataset that is indexed by `Draw`.
        sampler: The order, with its epoch set.
        options: Options of `torch.utils.data.DataLoader`.
    """

    def __init__(self, dataset: Dataset[dict[str, Any]], sampler: StreamSampler, **options: Any) -> None:
        super().__init__(
            dataset, batch_size=sampler.batch_size, sampler=sampler, worker_init_fn=quiet_worker, **options
        )
        self.stream = sampler
        self._done = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:  # type: ignore[override]  # a generator counts the batches
        self._done = self.stream.done
        for batch in super().__iter__():
            self._done = min(self._done + self.stream.batch_size, self.stream.num_samples)
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Return the epoch and the number of samples (of all ranks) and batches done in it."""
        stream = self.stream
        batches = -(-self._done // stream.batch_size)
        return {"epoch": stream.epoch, "batches": batches, "samples": self._done * stream.num_replicas}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue at this sample of this epoch; other epochs start at their beginning."""
        each = self.stream.batch_size * self.stream.num_replicas
        self.stream.stood_at = (state["epoch"], state.get("samples", state["batches"] * each))
