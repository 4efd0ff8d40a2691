"""What every rank does for an order of rank 0: compute its share, and answer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.analysis.machine import describe_device
from inpaint_zoo.benchmark.breakdown import Clock
from inpaint_zoo.benchmark.compute import Watch, compute_part, load_sample, naming
from inpaint_zoo.benchmark.identity import code_sha256
from inpaint_zoo.benchmark.images import ImageSet
from inpaint_zoo.benchmark.kept_parts import Keeping, KeptParts
from inpaint_zoo.benchmark.methods import Method, MethodInput
from inpaint_zoo.benchmark.options import Options
from inpaint_zoo.benchmark.parts import Part, Sample
from inpaint_zoo.benchmark.plan import Cell, Plan
from inpaint_zoo.benchmark.ranks.group import Ranks
from inpaint_zoo.benchmark.ranks.orders import Failed
from inpaint_zoo.errors import ZooError

if TYPE_CHECKING:
    import torch

__all__ = ["Shares"]


class _NeedlessError(Exception):
    """The cell has failed at an earlier sample on another rank."""


class _RankWatch(Watch):
    """Reports the progress of a share, stores its parts, and stops it when it has become needless."""

    def __init__(self, ranks: Ranks, keeping: Keeping, image: Callable[[], None]) -> None:
        self._ranks, self._keeping, self._image = ranks, keeping, image
        self.position = -1

    def begin(self, position: int) -> None:
        self.others()
        if self._ranks.is_needless(position):
            raise _NeedlessError
        self.position = position

    def image(self) -> None:
        self._image()
        self.others(1)

    def turn(self) -> None:
        self._keeping.now_and_then()

    def others(self, images: int = 0) -> None:
        """Report own images, and receive those of the other ranks."""
        for _ in range(self._ranks.exchange(images)):
            self._image()


class Shares:
    """Computes the shares of one rank.

    Attributes:
        clock: Counts the time of each stage on this rank.

    Args:
        plan: The plan of the run, equal on all ranks.
        pool: Thread pool from `worker_threads`.
        device: Device of this rank.
        options: Options of the run.
        ranks: The ranks.
        out: The folder of results.
        image: Called after each image, on rank 0 also after those of the other ranks.
    """

    def __init__(
        self,
        plan: Plan,
        pool: ThreadPoolExecutor,
        device: torch.device,
        options: Options,
        ranks: Ranks,
        out: Path,
        image: Callable[[], None],
    ) -> None:
        self.plan, self.pool, self.device = plan, pool, device
        self.options, self.ranks, self._out, self._image = options, ranks, out, image
        self.clock = Clock()
        self._warm: Method | None = None

    def kept(self, cell: Cell) -> KeptParts:
        """Return the stored parts of a cell."""
        import torch

        made_by = {
            "code": code_sha256(),
            "device": describe_device(self.device),
            "threads": torch.get_num_threads() if self.device.type == "cpu" else None,
            "gallery": self.options.gallery,
        }
        return KeptParts(self._out, cell, made_by)

    def start(self, cell: Cell, positions: Sequence[int]) -> Sample | None:
        """Start the method, and fill one image, so that one-time setup does not count as latency.

        Returns:
            The first of the samples that can be read and gets a mask; None if there is none.
        """
        with self.clock.stage("start"):
            cell.method.start(cell.task, self.device, self.options.precision)
        if cell.method.takes_all:
            with self.clock.stage("forward"):
                cell.method.prepare(self._items(cell, positions))
        first = self._first(cell, positions)
        if first is not None and cell.method.computes and self._warm is not cell.method:
            with naming([first]), self.clock.stage("start"):
                cell.method.fill([first.item])
            self._warm = cell.method
        return first

    def _items(self, cell: Cell, positions: Sequence[int]) -> Iterator[MethodInput]:
        """Yield those of the samples that can be read and get a mask."""
        samples = cell.samples
        for at in positions:
            with suppress(ZooError):
                yield load_sample(cell.image_set, cell.masks, *samples[at]).item

    def _first(self, cell: Cell, positions: Sequence[int]) -> Sample | None:
        samples = cell.samples
        for at in positions:
            with suppress(ZooError):
                return load_sample(cell.image_set, cell.masks, *samples[at], clock=self.clock)
        return None

    def compute(self, cell: Cell, positions: Sequence[int], first: Sample | None, alone: bool) -> list[Part | Failed]:
        """Compute the share of a cell, and return the shares of all ranks on rank 0.

        Args:
            cell: The cell.
            positions: Positions of the samples that all ranks share.
            first: Result of `start`; None if the method was not started.
            alone: See `compute_part`.
        """
        if self.ranks.rank:
            self.clock.lap()  # the time since the last order does not belong to this cell
        part = Part(alone=alone)
        with Keeping(self.kept(cell), part, self.clock) as keeping:
            watch = _RankWatch(self.ranks, keeping, self._image)
            answer = self._answer(cell, self.ranks.share(positions), first, part, watch)
            return self.ranks.collect(answer, watch.others)

    def _answer(
        self, cell: Cell, mine: Sequence[int], first: Sample | None, part: Part, watch: _RankWatch
    ) -> Part | Failed:
        try:
            if mine and first is None:
                first = self.start(cell, mine)
            compute_part(
                cell,
                self.plan.scorer,
                self.pool,
                part,
                positions=mine,
                first=first,
                workers=self.options.num_workers,
                batch_size=self.options.batch_size,
                gallery=self.options.gallery,
                clock=self.clock,
                watch=watch,
            )
            part.notes = tuple(cell.method.notes())
        except _NeedlessError:
            return Failed(sys.maxsize, "", "")
        except Exception as error:
            self.ranks.fail_at(watch.position)
            return Failed.of(error, watch.position)
        return part

    def features(self, image_set: ImageSet) -> list[dict[str, NDArray[np.float32]] | Failed]:
        """Compute a share of the features (n, D) of a dataset's original images, and return those of all ranks."""
        scorer = self.plan.scorer
        answer: dict[str, Any] | Failed
        try:
            mine, size = self.ranks.share(image_set.indices), scorer.together
            batches = [mine[begin : begin + size] for begin in range(0, len(mine), size)]
            rows = [row for part in self.pool.map(partial(self._features, image_set), batches) for row in part]
            answer = {key: np.stack([row[key] for row in rows]) for key in scorer.feature_keys} if rows else {}
        except Exception as error:
            answer = Failed.of(error, -1)
        return self.ranks.collect(answer)

    def _features(self, image_set: ImageSet, indices: Sequence[int]) -> list[dict[str, NDArray[np.float32]]]:
        with self.clock.stage("decode"):
            images = [image_set.load(index) for index in indices]
        with self.clock.stage("metrics"):
            return self.plan.scorer.features(images)
