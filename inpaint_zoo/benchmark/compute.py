"""Compute one cell: run the method and score its results; images are loaded and scored by threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from inpaint_zoo.analysis.cost import IN_THE_RUN, Alone, ImageCost, watch_memory
from inpaint_zoo.benchmark.images import ImageSet, MaskSet
from inpaint_zoo.benchmark.methods import MethodInput, MethodOutput
from inpaint_zoo.benchmark.plan import Cell
from inpaint_zoo.benchmark.scoring import Score, Scorer, SetScore
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.names import plain_name

__all__ = ["CellResult", "Sample", "Shown", "compute_cell", "load_sample", "naming", "worker_threads"]

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Features = Mapping[str, Floats]
AHEAD = 2  # groups of images that are loaded while a GPU works
TURN = 4  # images per worker between two turns of the CPU


class Sample(NamedTuple):
    """One image of a cell with one mask.

    Attributes:
        number: Index of the image in the dataset.
        target: The ground truth (H, W, 3).
        item: Inputs of the method.
        draw: Number of the mask, from 0.
    """

    number: int
    target: Pixels
    item: MethodInput
    draw: int = 0


class Shown(NamedTuple):
    """An image of the gallery, and its result (H, W, 3)."""

    sample: Sample
    result: Pixels


@dataclass
class CellResult:
    """Results of one cell.

    Attributes:
        values: Columns image, metric, value, group, hole_ratio; rows by image, then metric; set metrics last.
        costs: Cost of each image; empty for a method that computes nothing in this run.
        alone: Latencies, if the images were completed one at a time; else None.
        shown: Images of the gallery, by position.
        capped: Number of values that each metric limited to its cap.
        notes: Notes of set metrics about their last value.
        set_intervals: Intervals of the values of set metrics.
        from_bytes: Metrics defined on unrounded results that were computed on 8-bit ones, because the method returns no
            others.
        left_out: Key of an image -> why it has no values, or no values of some metrics.
        scored: Number of images that have values.
    """

    values: pa.Table
    costs: Sequence[ImageCost]
    alone: Alone | None = None
    shown: dict[int, Shown] = field(default_factory=dict)
    capped: dict[str, int] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    set_intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    from_bytes: tuple[str, ...] = ()

    def timings(self) -> pa.Table:
        """Return ``costs`` as a table with the columns image, seconds, passes, width, height."""
        whole = pa.int32()
        schema = pa.schema(
            [("image", pa.string()), ("seconds", pa.float64()), ("passes", whole), ("width", whole), ("height", whole)]
        )
        return pa.table({name: [getattr(cost, name) for cost in self.costs] for name in schema.names}, schema=schema)

    left_out: dict[str, str] = field(default_factory=dict)
    scored: int = 0


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)  # in this thread only: the order of sums must not depend on the number of workers


@contextmanager
def worker_threads(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Yield a thread pool that loads and scores; pending tasks are canceled on exit."""
    import torch

    torch.get_num_threads()  # fixes the main thread's number before the workers set theirs
    pool = ThreadPoolExecutor(workers, thread_name_prefix="score", initializer=_one_thread)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def load_sample(image_set: ImageSet, masks: MaskSet, index: int, draw: int = 0) -> Sample:
    """Decode image ``index``, make its mask, set the hole to 0, and add the filling that the mask set defines."""
    target = image_set.load(index)
    mask = masks.load(index, (target.shape[0], target.shape[1]), draw, image_set.count)
    image = np.where(mask[..., None], np.uint8(0), target)
    item = MethodInput(image_set.key(index, draw), image, mask, masks.hole_fill(target, mask))
    return Sample(index, target, item, draw)


def compute_cell(
    cell: Cell,
    scorer: Scorer,
    pool: ThreadPoolExecutor,
    *,
    first: Sample | None,
    workers: int,
    batch_size: int,
    gallery: int,
    alone: bool,
    target_features: Callable[[ImageSet], Features],
    advance: Callable[[], None],
) -> CellResult:
    """Complete and score every image of a cell; the method must have been started.

    On a GPU, loading, completing and scoring overlap. On a CPU, and when images are completed one at a time, they take
    turns after a few images, so that the measured seconds are those of the method alone. An image that gets no mask, or
    that has become unreadable, is left out for all methods; a method that fails on one image has no result for the
    cell.

    Args:
        cell: The cell to compute.
        scorer: The metrics.
        pool: Thread pool from `worker_threads`.
        first: The first image that can be loaded, which is not loaded again; None if there is none.
        workers: Number of its threads.
        batch_size: Number of images in one call of the method.
        gallery: Number of results to keep as images.
        alone: Complete images one at a time with nothing running in parallel, and record the peak memory of each.
        target_features: Function that returns the features (N, D) of a dataset's original images by key.
        advance: Called after each image.

    Raises:
        ZooError: If no image can be scored, or one of the metrics can measure none of them.
        Exception: Any error of the method, with a note that names the images.
    """
    overlap = scorer.device.type != "cpu" and not alone
    peaks: list[float] = []

    def ask(items: list[MethodInput]) -> list[MethodOutput]:
        if not alone:
            return cell.method.fill(items)
        outputs, peak = watch_memory(lambda: cell.method.fill(items), scorer.device)
        peaks.extend([] if peak is None else [peak])
        return outputs

    group = batch_size if overlap else max(batch_size, TURN * workers)
    gathered = _Gathered(cell, scorer, pool, gallery, advance)
    try:
        for loaded in _samples(cell, pool, first, group, ahead=AHEAD if overlap else 0):
            samples = [each for each in loaded if isinstance(each, Sample)]
            for missing in (each for each in loaded if not isinstance(each, Sample)):
                gathered.left_out[missing.key] = missing.reason
                advance()
            for begin in range(0, len(samples), batch_size):
                batch = samples[begin : begin + batch_size]
                with naming(batch):
                    outputs = ask([each.item for each in batch])
                for sample, output in zip(batch, outputs, strict=True):
                    gathered.add(sample, output, score_now=overlap)
            gathered.collect(left=4 * batch_size + 4 * workers if overlap else 0)
        gathered.collect(left=0)
    except BaseException:
        gathered.cancel()
        raise
    _refuse_nothing(gathered, scorer)
    whole: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    if scorer.set_metrics:
        whole, intervals = _compare_sets(cell, scorer, gathered, target_features(cell.image_set))
    return CellResult(
        values=_values(cell, gathered, whole),
        costs=gathered.costs,
        alone=Alone(tuple(cost.seconds for cost in gathered.costs), max(peaks, default=None), IN_THE_RUN)
        if alone
        else None,
        shown=gathered.shown,
        capped=scorer.capped(gathered.scores),
        notes=scorer.notes(),
        set_intervals=intervals,
        from_bytes=scorer.unrounded if gathered.bytes_alone else (),
        left_out=gathered.left_out,
        scored=len(gathered.scores),
    )


def _compare_sets(
    cell: Cell, scorer: Scorer, gathered: _Gathered, target: Features
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Return values and intervals of the set metrics; if an image has several masks, of the means over the draws."""
    every: list[dict[str, SetScore]] = []
    groups: list[str] = []
    for draw in dict.fromkeys(draw for _, draw in gathered.samples):
        at = [row for row, sample in enumerate(gathered.samples) if sample[1] == draw]
        features = {key: np.stack([gathered.scores[row].features[key] for row in at]) for key in scorer.feature_keys}
        rows = np.flatnonzero(np.isin(cell.image_set.indices, [gathered.samples[row][0] for row in at]))
        every.append(scorer.compare_sets(features, {key: values[rows] for key, values in target.items()}))
        groups += [cell.image_set.group(gathered.samples[row][0]) for row in at]
    values = {name: fmean(scores[name].value for scores in every) for name in every[0]}
    intervals = {}
    for name, value in values.items():
        influences = np.concatenate([scores[name].influences for scores in every]) / len(every)
        low, high = scorer.set_interval(name, value, influences, groups)
        if np.isfinite([low, high]).all():
            intervals[name] = low, high
    return values, intervals


def _refuse_nothing(gathered: _Gathered, scorer: Scorer) -> None:
    reasons = iter(gathered.left_out.items())
    if not gathered.scores:
        key, reason = next(reasons)
        raise ZooError(f"None of {len(gathered.left_out)} images can be scored; the first, {key}: {reason}")
    for metric in scorer.image_metrics:
        if not any(metric in score.values for score in gathered.scores):
            raise ZooError(f"All images are too small: {gathered.scores[0].too_small[metric]}.")


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


class _Gathered:
    """Results of a cell so far, in the order of its images."""

    def __init__(
        self, cell: Cell, scorer: Scorer, pool: ThreadPoolExecutor, gallery: int, advance: Callable[[], None]
    ) -> None:
        self._scorer, self._pool, self._advance = scorer, pool, advance
        self._shown = cell.image_set.gallery(gallery)
        self._unscored: list[tuple[Pixels, Floats | None, Sample]] = []
        self.bytes_alone = False  # whether the method returned an 8-bit result
        self._waiting: deque[Future[Score]] = deque()
        self.scores: list[Score] = []
        self.ratios: list[float] = []
        self.costs: list[ImageCost] = []
        self.samples: list[tuple[int, int]] = []  # index of the image and draw of the mask
        self.keys: list[str] = []
        self.left_out: dict[str, str] = {}
        self.shown: dict[int, Shown] = {}

    def add(self, sample: Sample, output: MethodOutput, *, score_now: bool) -> None:
        """Score the result now or when `collect` is called."""
        mask = sample.item.mask
        self.bytes_alone |= output.unrounded is None
        self._unscored.append((output.image, output.unrounded if self._scorer.unrounded else None, sample))
        if score_now:
            self._submit()
        self.ratios.append(float(np.count_nonzero(mask)) / mask.size)
        self.samples.append((sample.number, sample.draw))
        self.keys.append(sample.item.key)
        if output.seconds is not None:
            cost = ImageCost(sample.item.key, output.seconds, output.passes, mask.shape[1], mask.shape[0])
            self.costs.append(cost)
        if sample.draw == 0 and sample.number in self._shown:
            self.shown[self._shown[sample.number]] = Shown(sample, output.image)

    def _submit(self) -> None:
        for completed, unrounded, sample in self._unscored:
            pair = (completed, sample.target, sample.item.mask, unrounded)
            self._waiting.append(self._pool.submit(self._scorer.score, *pair))
        self._unscored.clear()

    def collect(self, left: int) -> None:
        """Wait until at most ``left`` scores are pending; this limits the number of images in memory."""
        self._submit()
        while len(self._waiting) > left:
            score = self._waiting.popleft().result()
            if score.too_small:
                self.left_out[self.keys[len(self.scores)]] = "; ".join(score.too_small.values())
            self.scores.append(score)
            self._advance()

    def cancel(self) -> None:
        """Cancel the scores that no thread has started."""
        for future in self._waiting:
            future.cancel()


class _Missing(NamedTuple):
    """An image that gets no sample: its key and the reason."""

    key: str
    reason: str


def _load(cell: Cell, first: Sample | None, index: int, draw: int) -> Sample | _Missing:
    if first is not None and (index, draw) == (first.number, first.draw):
        return first
    try:
        return load_sample(cell.image_set, cell.masks, index, draw)
    except ZooError as error:
        return _Missing(cell.image_set.key(index, draw), plain_name(" ".join(str(error).split())))


def _samples(
    cell: Cell, pool: ThreadPoolExecutor, first: Sample | None, group: int, ahead: int
) -> Iterator[list[Sample | _Missing]]:
    """Yield the samples in groups; ``ahead`` further groups are loaded while the caller works on one."""
    samples = cell.samples
    loading: deque[list[Future[Sample | _Missing]]] = deque()
    try:
        for begin in range(0, len(samples), group):
            chosen = samples[begin : begin + group]
            loading.append([pool.submit(_load, cell, first, *sample) for sample in chosen])
            if len(loading) > ahead:
                yield [future.result() for future in loading.popleft()]
        while loading:
            yield [future.result() for future in loading.popleft()]
    finally:
        for future in chain.from_iterable(loading):
            future.cancel()


def _values(cell: Cell, gathered: _Gathered, whole: Mapping[str, float]) -> pa.Table:
    columns: dict[str, list[Any]] = {"image": [], "metric": [], "value": [], "group": [], "hole_ratio": []}

    def add(*row: object) -> None:
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)

    for (index, draw), score, ratio in zip(gathered.samples, gathered.scores, gathered.ratios, strict=True):
        for metric, value in score.values.items():
            add(cell.image_set.key(index, draw), metric, value, cell.image_set.group(index), ratio)
    for metric, value in whole.items():
        add(None, metric, value, None, None)
    text, number = pa.string(), pa.float64()
    schema = pa.schema([("image", text), ("metric", text), ("value", number), ("group", text), ("hole_ratio", number)])
    return pa.table(columns, schema=schema)
