"""Compute samples of a cell: run the method and score its results; images are loaded and scored by threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import NamedTuple

import numpy as np

from inpaint_zoo.analysis.cost import ImageCost, watch_memory
from inpaint_zoo.benchmark.breakdown import Clock, added
from inpaint_zoo.benchmark.images import ImageSet, MaskSet
from inpaint_zoo.benchmark.methods import MethodInput, MethodOutput, pasted
from inpaint_zoo.benchmark.parts import Part, Sample, Scored, Shown
from inpaint_zoo.benchmark.plan import Cell
from inpaint_zoo.benchmark.scoring import Pair, Score, Scorer
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.names import plain_name

__all__ = ["Watch", "compute_part", "load_sample", "naming", "worker_threads"]

AHEAD = 2  # groups of images that are loaded while a GPU works
TURN = 4  # images per worker between two turns of the CPU
LARGEST_BLOCK = 2**25 - 2**16  # bytes; larger blocks do not change glibc's threshold


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)  # in this thread only: the order of sums must not depend on the number of workers


@contextmanager
def worker_threads(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Yield a thread pool that loads and scores; pending tasks are canceled on exit."""
    import torch

    torch.get_num_threads()  # fixes the main thread's number before the workers set theirs
    # glibc returns free memory to the system above twice the size of the largest block that was ever freed. Without
    # this block, which takes no memory, each image gets the memory of its arrays anew, which takes as long as a metric.
    np.empty(LARGEST_BLOCK, np.uint8)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="score", initializer=_one_thread)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def load_sample(image_set: ImageSet, masks: MaskSet, index: int, draw: int = 0, clock: Clock | None = None) -> Sample:
    """Decode image ``index``, make its mask, set the hole to 0, and add the filling that the mask set defines."""
    clock = clock or Clock()
    with clock.stage("decode"):
        target = image_set.load(index)
    with clock.stage("mask"):
        mask = masks.load(index, (target.shape[0], target.shape[1]), draw, image_set.count)
        image = pasted(target, ~mask, np.zeros_like(target))
        item = MethodInput(image_set.key(index, draw), image, mask, masks.hole_fill(target, mask))
    return Sample(index, target, item, draw)


class Watch:
    """Follows the computation of a part; this base class ignores it."""

    def begin(self, position: int) -> None:
        """Receive that the method is about to complete this sample, or a batch that begins with it."""

    def image(self) -> None:
        """Receive that a sample is done."""

    def turn(self) -> None:
        """Receive that the part has grown by some samples."""


def compute_part(
    cell: Cell,
    scorer: Scorer,
    pool: ThreadPoolExecutor,
    part: Part,
    *,
    positions: Sequence[int],
    first: Sample | None,
    workers: int,
    batch_size: int,
    gallery: int,
    clock: Clock,
    watch: Watch,
) -> None:
    """Complete and score some samples of a cell; the method must have been started.

    On a GPU, and for finished results, loading, completing and scoring overlap. On a CPU, and when images are completed
    one at a time, they take turns after a few images, so that the measured seconds are those of the method alone. An
    image that gets no mask, or that has become unreadable, is left out for all methods; a method that fails on one
    image has no result for the cell.

    Args:
        cell: The cell to compute.
        scorer: The metrics.
        pool: Thread pool from `worker_threads`.
        part: Where the results are added. If it is ``alone``, nothing runs in parallel to the method, and the peak
            memory of each image is recorded.
        positions: The samples, by their position in `Cell.samples`, in rising order.
        first: A sample that is not loaded again; None if there is none.
        workers: Number of the pool's threads.
        batch_size: Number of images in one call of the method.
        gallery: Number of results of the cell to keep as images.
        clock: Counts the time of each stage.
        watch: Receives the progress.

    Raises:
        Exception: Any error of the method, with a note that names the images.
    """
    overlap = not part.alone and (scorer.device.type != "cpu" or not cell.method.computes)
    # a multiple of the batch size, and enough work for all threads
    group = batch_size * -(-(workers if overlap else TURN * workers) // batch_size)
    gathered = _Gathered(cell, scorer, pool, part, gallery, clock, watch)

    def ask(items: list[MethodInput]) -> list[MethodOutput]:
        if not part.alone:
            return cell.method.fill(items)
        outputs, peak = watch_memory(lambda: cell.method.fill(items), scorer.device, fresh=part.peak_memory is None)
        gathered.watched(peak)
        return outputs

    load = partial(_load, cell, first, clock)
    try:
        for turn in _turns(cell, pool, load, positions, group, ahead=AHEAD if overlap else 0):
            loaded = gathered.loaded(turn)
            for begin in range(0, len(loaded), batch_size):
                batch = loaded[begin : begin + batch_size]
                watch.begin(batch[0][0])
                samples = [each.sample for _, each in batch]
                outputs = [each.output for _, each in batch if each.output is not None]
                if not outputs:
                    with naming(samples), clock.stage("forward"):
                        outputs = ask([sample.item for sample in samples])
                for (position, each), output in zip(batch, outputs, strict=True):
                    gathered.add(position, each.sample, output)
                if overlap:
                    gathered.submit()
            gathered.collect(left=4 * max(batch_size, workers, scorer.together) if overlap else 0)
            watch.turn()
        gathered.collect(left=0)
    except BaseException:
        gathered.cancel()
        raise
    part.seconds = added([part.seconds, clock.lap()])


@contextmanager
def naming(samples: Sequence[Sample]) -> Iterator[None]:
    """Add the names of the images to errors that are raised in the block, unless the error names one itself."""
    try:
        yield
    except Exception as error:
        keys = [sample.item.key for sample in samples]
        if any(key in str(error) for key in keys):
            raise
        error.add_note(f"image{'s' if len(keys) > 1 else ''} {', '.join(keys)}")
        raise


class _Loaded(NamedTuple):
    """A sample, and its result if that was only read."""

    sample: Sample
    output: MethodOutput | None


class _Unscored(NamedTuple):
    """A completed sample: its position, what is compared, its share of hole, and its cost."""

    position: int
    pair: Pair
    hole_ratio: float
    cost: ImageCost | None


class _Gathered:
    """Adds the results of samples to a part of a cell, in the order in which the samples are completed."""

    def __init__(
        self,
        cell: Cell,
        scorer: Scorer,
        pool: ThreadPoolExecutor,
        part: Part,
        gallery: int,
        clock: Clock,
        watch: Watch,
    ) -> None:
        self._scorer, self._pool, self._part, self._clock, self._watch = scorer, pool, part, clock, watch
        self._shown = cell.image_set.gallery(gallery)
        self._unscored: list[_Unscored] = []
        self._waiting: deque[tuple[list[_Unscored], Future[list[Score]]]] = deque()

    def loaded(self, turn: Iterable[tuple[int, _Loaded | str]]) -> list[tuple[int, _Loaded]]:
        """Return the samples that could be loaded, and leave the others out."""
        found: list[tuple[int, _Loaded]] = []
        for position, each in turn:
            if isinstance(each, _Loaded):
                found.append((position, each))
            else:
                self._part.left_out[position] = each
                self._watch.image()
        return found

    def watched(self, peak: float | None) -> None:
        """Record the memory peak of an image."""
        known = (self._part.peak_memory, peak)
        self._part.peak_memory = max((each for each in known if each is not None), default=None)

    def add(self, position: int, sample: Sample, output: MethodOutput) -> None:
        """Add a result, which is scored after a call of `submit` or `collect`."""
        mask = sample.item.mask
        height, width = mask.shape
        self._part.bytes_alone |= output.unrounded is None
        cost = None
        if output.seconds is not None:
            cost = ImageCost(sample.item.key, output.seconds, output.passes, width, height)
        unrounded = output.unrounded if self._scorer.unrounded else None
        pair = Pair(output.image, sample.target, mask, unrounded)
        self._unscored.append(_Unscored(position, pair, float(np.count_nonzero(mask)) / mask.size, cost))
        if sample.draw == 0 and sample.number in self._shown:
            self._part.shown[self._shown[sample.number]] = Shown(sample, output.image)

    def submit(self, least: int | None = None) -> None:
        """Start to score the results, in complete batches of the device, or in batches of ``least`` and more images."""
        size = self._scorer.together
        while len(self._unscored) >= (least or size):
            batch, self._unscored = self._unscored[:size], self._unscored[size:]
            self._waiting.append((batch, self._pool.submit(self._score, [each.pair for each in batch])))

    def _score(self, pairs: list[Pair]) -> list[Score]:
        with self._clock.stage("metrics"):
            return self._scorer.score(pairs)

    def collect(self, left: int) -> None:
        """Wait until at most ``left`` results are not scored; this limits the number of images in memory."""
        if left == 0:
            self.submit(least=1)
        while sum(len(batch) for batch, _ in self._waiting) > left:
            batch, scores = self._waiting.popleft()
            for each, score in zip(batch, scores.result(), strict=True):
                self._part.scored[each.position] = Scored(score, each.hole_ratio, each.cost)
                self._watch.image()

    def cancel(self) -> None:
        """Cancel the scores that no thread has started."""
        for _, scores in self._waiting:
            scores.cancel()


def _load(cell: Cell, first: Sample | None, clock: Clock, index: int, draw: int) -> _Loaded | str:
    """Return a sample, with its result if that is only read, or the reason why it cannot be loaded."""
    if first is not None and (index, draw) == (first.number, first.draw):
        sample = first
    else:
        try:
            sample = load_sample(cell.image_set, cell.masks, index, draw, clock)
        except ZooError as error:
            return plain_name(" ".join(str(error).split()))
    if cell.method.computes:
        return _Loaded(sample, None)
    with naming([sample]), clock.stage("forward"):
        return _Loaded(sample, cell.method.fill([sample.item])[0])


def _turns(
    cell: Cell,
    pool: ThreadPoolExecutor,
    load: Callable[[int, int], _Loaded | str],
    positions: Sequence[int],
    group: int,
    ahead: int,
) -> Iterator[list[tuple[int, _Loaded | str]]]:
    """Yield the samples in groups; ``ahead`` further groups are loaded while the caller works on one."""
    samples = cell.samples
    loading: deque[list[tuple[int, Future[_Loaded | str]]]] = deque()
    try:
        for begin in range(0, len(positions), group):
            chosen = positions[begin : begin + group]
            loading.append([(at, pool.submit(load, *samples[at])) for at in chosen])
            if len(loading) > ahead:
                yield [(at, future.result()) for at, future in loading.popleft()]
        while loading:
            yield [(at, future.result()) for at, future in loading.popleft()]
    finally:
        for _, future in chain.from_iterable(loading):
            future.cancel()
