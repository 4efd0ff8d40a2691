"""The order of samples as a pure function of (seed, position), and loaders that start in the midst of an epoch.

Training reads one endless stream: pass after pass over the data, each in an order of its own. An epoch is a stretch of
it. A sample is known by its position in the stream, from which its place in the data, its augmentation and its mask
follow: not from workers, ranks, batch size or what was drawn before.
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

from inpaint_zoo.masks.draws import Draws

__all__ = ["Draw", "EvalSampler", "ResumableLoader", "StreamSampler", "quiet_worker", "shuffled"]

PADDING = -1
MIXED = 8
"""Files whose samples are mixed with one another."""


class Draw(NamedTuple):
    """What a sampler asks of a dataset.

    Attributes:
        position: In the stream; names the augmentation and the mask.
        item: Of the data; -1 only evens out the ranks.
    """

    position: int
    item: int


def shuffled(seed: int, size: int, number: int, blocks: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """The order of pass ``number`` over ``size`` samples: a permutation of 0 ... size - 1.

    Args:
        seed: Of the order.
        size: Samples in the data.
        number: Of the pass.
        blocks: (size,) the file, from 0 up, that each sample lies in, where files should be read one after another:
            they are shuffled, then `MIXED` at a time the samples of these files.

    Example:
        >>> shuffled(0, 5, 0).tolist(), shuffled(0, 5, 1).tolist()
        ([3, 2, 4, 0, 1], [0, 3, 4, 2, 1])
    """
    keys = Draws(seed, f"order/{number}", np.arange(size, dtype=np.uint64)).keys
    if blocks is None:
        return np.argsort(keys, kind="stable")
    files = Draws(seed, f"order/{number}/files", np.arange(blocks.max() + 1, dtype=np.uint64)).keys
    ranks = np.argsort(np.argsort(files, kind="stable"), kind="stable")
    return np.lexsort((keys, ranks[blocks] // MIXED))


class StreamSampler(DistributedSampler[Draw]):
    """Training order: rank r of R takes the positions r, r + R, ... of an epoch.

    So the ranks' batches together are the batches of one process. Lightning leaves samplers of this base class alone,
    and sets their epoch.

    Args:
        size: Samples in the data.
        length: Samples of an epoch; by default ``size``.
        batch_size: On one rank.
        seed: Of the order.
        rank: Of this process.
        ranks: How many processes.
        drop_last: Leave out an incomplete last batch; else it borrows what evens out the ranks from the next epoch.
        blocks: As `shuffled` takes them.
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
        self._orders: dict[int, NDArray[np.int64]] = {}

    @property
    def done(self) -> int:
        """Samples of the epoch that this rank, or the ranks before it, had done before this process began.

        They are whole batches, unless the size of a batch has changed: then the next batch begins there all the same.
        An epoch that has samples left has a batch left.
        """
        epoch, samples = self.stood_at
        done = min(samples // self.num_replicas, self.num_samples) if epoch == self.epoch else 0
        left = self.num_samples - done
        return self.num_samples - self.batch_size if 0 < left < self.batch_size and self.drop_last else done

    @property
    def batches_left(self) -> int:
        """Batches of the epoch that are to come, counted where the process began."""
        left = self.num_samples - self.done
        return left // self.batch_size if self.drop_last else -(-left // self.batch_size)

    def draw(self, position: int) -> Draw:
        """The sample at a position of the stream."""
        number, place = divmod(position, self.size)
        if number not in self._orders:  # one pass or two are in use at a time
            kept = {key: order for key, order in self._orders.items() if key == number - 1}
            self._orders = {**kept, number: shuffled(self.seed, self.size, number, self.blocks)}
        return Draw(position, int(self._orders[number][place]))

    def __iter__(self) -> Iterator[Draw]:
        first = self.epoch * self.length + self.rank
        done = self.done
        end = done + self.batches_left * self.batch_size if self.drop_last else self.num_samples
        for number in range(done, end):
            yield self.draw(first + number * self.num_replicas)

    def __len__(self) -> int:
        return self.num_samples


class EvalSampler(DistributedSampler[Draw]):
    """Each sample once and in order, over any number of ranks; what evens out the ranks is marked by item -1.

    Args:
        size: Samples in the data.
        rank: Of this process.
        ranks: How many processes.
    """

    def __init__(self, size: int, *, rank: int = 0, ranks: int = 1) -> None:
        super().__init__(range(size), num_replicas=ranks, rank=rank, shuffle=False)  # type: ignore[arg-type]
        self.size = size

    def __iter__(self) -> Iterator[Draw]:
        for number in range(self.num_samples):
            index = self.rank + number * self.num_replicas
            yield Draw(index, index if index < self.size else PADDING)


def quiet_worker(_: int) -> None:
    """A loading process: one thread, since others run beside it, and deaf to signals meant for the run.

    Ctrl-C, SLURM and container managers signal all processes; the main one still needs its batches to reach the next
    step boundary, and ends the others when it is done.
    """
    import cv2

    cv2.setNumThreads(0)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


@atexit.register  # runs before the hook of multiprocessing.util, imported above
def _end_workers() -> None:
    """End what still loads when the program ends: Python sends SIGTERM, to which they are deaf, and waits for ever."""
    for process in multiprocessing.active_children():
        if process.daemon:
            process.kill()


class ResumableLoader(DataLoader[dict[str, Any]]):
    """A loader over a `StreamSampler` whose state Lightning keeps: a resumed epoch begins where it stood.

    Batches that were done are neither read nor drawn again. Its processes are `quiet_worker`s.

    Args:
        dataset: Takes a `Draw`.
        sampler: The order, with its epoch set.
        options: Of `torch.utils.data.DataLoader`.
    """

    def __init__(self, dataset: Dataset[dict[str, Any]], sampler: StreamSampler, **options: Any) -> None:
        super().__init__(
            dataset, batch_size=sampler.batch_size, sampler=sampler, worker_init_fn=quiet_worker, **options
        )
        self.stream = sampler
        self._done = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:  # type: ignore[override]  # a generator counts what was taken
        self._done = self.stream.done
        for batch in super().__iter__():
            self._done = min(self._done + self.stream.batch_size, self.stream.num_samples)
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Epoch, and the samples and batches done in it; samples by all ranks together."""
        stream = self.stream
        batches = -(-self._done // stream.batch_size)
        return {"epoch": stream.epoch, "batches": batches, "samples": self._done * stream.num_replicas}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin there in that epoch; other epochs begin at their beginning."""
        each = self.stream.batch_size * self.stream.num_replicas
        self.stream.stood_at = (state["epoch"], state.get("samples", state["batches"] * each))
