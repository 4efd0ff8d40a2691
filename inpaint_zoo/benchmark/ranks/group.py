"""The processes (ranks) of one run, and what they tell each other.

Rank 0 leads: it holds the lock of the folder, decides what is computed, and writes all results. The other ranks follow
its orders: each order is one piece of work that all ranks share, and rank 0 collects what they made of it.

Ranks wait by asking a `torch.distributed.TCPStore` of rank 0 again and again, so that Ctrl-C works while they wait and
no waiting time is too long. Only the work itself, whose size does not suit the store, is sent by gloo. Nothing here
needs NCCL: what is exchanged are arrays in main memory, because each rank copies its results from its device anyway.
"""

from __future__ import annotations

import multiprocessing
import pickle
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from inpaint_zoo.benchmark.options import MOST_WORKERS
from inpaint_zoo.benchmark.ranks.orders import Order

if TYPE_CHECKING:
    import torch
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

__all__ = ["LostRankError", "ManyRanks", "Ranks"]

T = TypeVar("T")

EXCHANGE = 0.2  # seconds between two reports of progress
BEAT = 5.0  # seconds between two signs of life
LOST = 300.0  # seconds without a sign of life after which a rank is lost
PATIENCE = timedelta(minutes=10)  # of single operations, which take milliseconds


class LostRankError(KeyboardInterrupt):
    """Another process of the run has ended or does not answer.

    It ends a run as Ctrl-C does, and for the same reason: the cell that is being computed has not failed.
    """


class Ranks:
    """The only process of a run: it leads, and nothing follows.

    Attributes:
        rank: Number of this process.
        count: Number of processes.
        device: Device of this process; None to choose it by the options.
    """

    rank = 0
    count = 1
    device: torch.device | None = None

    def share(self, work: Sequence[T]) -> Sequence[T]:
        """Return what this rank does of ``work``: every ``count``-th item.

        The shares of all ranks contain every item once, their sizes differ by at most one, and items that are
        neighbors, and therefore take about equally long, go to different ranks.
        """
        return work[self.rank :: self.count]

    def workers(self, given: int) -> int:
        """Return the number of threads that decode and score, as `Options.workers`."""
        return given

    def announce(self, order: Order | None) -> None:
        """Give an order to the other ranks; only rank 0 does. None means that there are no more."""

    def collect(self, value: T, waiting: Callable[[], None] = lambda: None) -> list[T]:
        """Return the values of all ranks on rank 0, by rank, and nothing on the others.

        Args:
            value: The value of this rank.
            waiting: Called again and again while other ranks are not ready.
        """
        return [value]

    def exchange(self, images: int) -> int:
        """Report finished images, and return how many the other ranks have reported (on rank 0, else 0)."""
        return 0

    def fail_at(self, position: int) -> None:
        """Tell the other ranks that the current work failed at this position."""

    def is_needless(self, position: int) -> bool:
        """Return whether the current work has failed at an earlier position."""
        return False


class ManyRanks(Ranks):
    """One of several processes of a run.

    Args:
        store: Store that rank 0 hosts.
        rank: Number of this process.
        hosts: Host of each rank, for messages.
        device: Device of this process.
        cores: Number of CPU cores for this process, if all share them evenly.

    Raises:
        LostRankError: In every method, if another process has ended.
    """

    device: torch.device

    def __init__(self, store: TCPStore, rank: int, hosts: Sequence[str], device: torch.device, cores: int) -> None:
        self.rank, self.count, self.device = rank, len(hosts), device
        self._store, self._hosts, self._cores = store, hosts, cores
        self._orders = self._meetings = self._reported = self._others = 0
        self._failures, self._first_failure = 0, float("inf")
        self._waits_for_orders = True  # whether the other ranks do, as far as rank 0 knows
        self._next_exchange = 0.0
        self._ended = threading.Event()
        self._beats = {other: (0, time.monotonic()) for other in range(self.count) if other != rank}
        threading.Thread(target=self._beat, name="sign of life", daemon=True).start()

    def workers(self, given: int) -> int:
        """Return the number of threads that decode and score: this rank's part of the cores unless it is given."""
        return given or min(self._cores, MOST_WORKERS)

    def announce(self, order: Order | None) -> None:
        """Give an order to the other ranks; only rank 0 does. None means that there are no more."""
        self._orders += 1
        self._waits_for_orders = False
        self._failures, self._first_failure = 0, float("inf")
        with self._noticing_losses():
            self._store.set(f"order/{self._orders}", pickle.dumps(order))  # type: ignore[arg-type]

    def next_order(self) -> Order | None:
        """Wait for an order of rank 0 and return it; None means that there are no more."""
        self._orders += 1
        self._failures, self._first_failure = 0, float("inf")
        key = f"order/{self._orders}"
        self._until(lambda: self._store.check([key]))
        with self._noticing_losses():
            order: Order | None = pickle.loads(self._store.get(key))
        return order

    def collect(self, value: T, waiting: Callable[[], None] = lambda: None) -> list[T]:
        """Return the values of all ranks on rank 0, by rank, and nothing on the others."""
        from torch import distributed

        if self._reported and self.rank:
            with self._noticing_losses():
                self._store.add("images", self._reported)
            self._reported = 0
        self._meet(waiting)  # the collective operation itself then takes no longer than sending the data
        self._next_exchange = 0.0
        waiting()
        values: list[Any] = [None] * self.count
        with self._noticing_losses():
            distributed.gather_object(value, values if self.rank == 0 else None)
        self._waits_for_orders = True
        return values if self.rank == 0 else []

    def exchange(self, images: int) -> int:
        """Report finished images, and return how many the other ranks have reported (on rank 0, else 0)."""
        self._reported += images
        if time.monotonic() < self._next_exchange:
            return 0
        self._next_exchange = time.monotonic() + EXCHANGE
        self._look()
        with self._noticing_losses():
            if self.rank:
                self._store.add("images", self._reported)
                self._reported = 0
                return 0
            known, self._others = self._others, self._store.add("images", 0)
            return self._others - known

    def fail_at(self, position: int) -> None:
        """Tell the other ranks that the current work failed at this position."""
        with self._noticing_losses():
            self._store.set(f"failed/{self._orders}/{self.rank}", str(position))
            self._store.add(f"failures/{self._orders}", 1)

    def is_needless(self, position: int) -> bool:
        """Return whether the current work has failed at an earlier position."""
        return position > self._first_failure

    def leave(self, orderly: bool) -> None:
        """Leave the run.

        Args:
            orderly: Whether all ranks leave. If not, the other ranks are told that this one does, so that they do not
                wait for it.
        """
        with suppress(LostRankError), self._noticing_losses():
            if orderly and self.rank == 0 and self._waits_for_orders:
                self.announce(None)
                self._meet(lambda: None)  # rank 0 hosts the store, so it leaves last
            elif orderly and self.rank:
                self._meet(lambda: None)
            else:
                self._store.set("left", str(self.rank))
        self._ended.set()

    def _meet(self, waiting: Callable[[], None]) -> None:
        """Wait until all ranks have come to the same point."""
        self._meetings += 1
        key = f"met/{self._meetings}"
        with self._noticing_losses():
            self._store.add(key, 1)
        self._until(lambda: self._store.add(key, 0) >= self.count, waiting)

    def _until(self, condition: Callable[[], bool], waiting: Callable[[], None] = lambda: None) -> None:
        """Ask for a condition until it holds, at first often."""
        pause = 0.001
        while True:
            with self._noticing_losses():
                if condition():
                    return
            self._look()
            waiting()
            time.sleep(pause)
            pause = min(1.5 * pause, 0.1)

    def _look(self) -> None:
        """Notice ranks that have left or ended, and failures of the current work."""
        starter = multiprocessing.parent_process()
        if starter is not None and not starter.is_alive():
            raise LostRankError("stopped, because the process that started this run has ended")
        with self._noticing_losses():
            if self._store.check(["left"]):
                raise LostRankError(self._gone(int(self._store.get("left"))))
            if (failures := self._store.add(f"failures/{self._orders}", 0)) > self._failures:
                self._failures = failures
                keys = [f"failed/{self._orders}/{other}" for other in range(self.count)]
                found = [int(self._store.get(key)) for key in keys if self._store.check([key])]
                self._first_failure = min(found)
            now = time.monotonic()
            for other, (beats, since) in self._beats.items():
                if now - since > BEAT and (found_beats := self._store.add(f"alive/{other}", 0)) != beats:
                    self._beats[other] = (found_beats, now)
                elif now - since > LOST:
                    raise LostRankError(self._gone(other))

    def _gone(self, rank: int) -> str:
        return (
            f"stopped, because rank {rank} on {self._hosts[rank]} has ended; finished work is kept, and running the "
            "same command again continues it"
        )

    def _beat(self) -> None:
        """Give signs of life until the end, in a thread."""
        with suppress(RuntimeError):  # rank 0 has ended; this rank notices it itself
            while not self._ended.wait(BEAT):
                self._store.add(f"alive/{self.rank}", 1)

    @contextmanager
    def _noticing_losses(self) -> Iterator[None]:
        """Turn errors of a connection, whose other end has closed, into a lost rank."""
        try:
            yield
        except RuntimeError as error:
            raise LostRankError(
                "stopped, because another process of this run has ended; finished work is kept, and running the same "
                "command again continues it"
            ) from error
