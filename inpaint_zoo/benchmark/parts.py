"""Results of some samples of a cell, and the results of the whole cell, which are merged from them.

A part names its samples by their position in `Cell.samples`. The merged results are in the order of the positions, so
they do not depend on how the samples were divided, or on who computed which part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.analysis.cost import IN_THE_RUN, Alone, ImageCost
from inpaint_zoo.benchmark.breakdown import Clock, added
from inpaint_zoo.benchmark.images import ImageSet
from inpaint_zoo.benchmark.methods import MethodInput
from inpaint_zoo.benchmark.scoring import Score, Scorer, SetScore
from inpaint_zoo.errors import ZooError

if TYPE_CHECKING:
    import pyarrow as pa

    from inpaint_zoo.benchmark.plan import Cell

__all__ = ["CellResult", "Features", "Part", "Sample", "Scored", "Shown", "merge_parts"]

Pixels = NDArray[np.uint8]
Features = Mapping[str, NDArray[np.float32]]


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


class Scored(NamedTuple):
    """Results of one sample.

    Attributes:
        score: Its values and features.
        hole_ratio: Share of the pixels that are hole.
        cost: Its cost; None for a method that computes nothing in this run.
    """

    score: Score
    hole_ratio: float
    cost: ImageCost | None


class Shown(NamedTuple):
    """A sample of the gallery, and its result (H, W, 3)."""

    sample: Sample
    result: Pixels


@dataclass
class Part:
    """Results of some samples of a cell.

    Attributes:
        scored: The samples that were scored, by position.
        left_out: The samples that have no image or mask: position -> the reason.
        shown: Samples of the gallery, by the name of their files.
        peak_memory: Largest memory peak in MiB of an image that was completed alone; None if it was not measured.
        bytes_alone: Whether the method returned a result that has no unrounded form.
        alone: Whether the images are completed one at a time with nothing running in parallel.
        notes: Doubts of the method about its results, unless the part was stored by a run that was stopped.
        seconds: Time of each stage (`breakdown.STAGES`), from the start of the method on.
    """

    scored: dict[int, Scored] = field(default_factory=dict)
    left_out: dict[int, str] = field(default_factory=dict)
    shown: dict[int, Shown] = field(default_factory=dict)
    peak_memory: float | None = None
    bytes_alone: bool = False
    alone: bool = False
    notes: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def positions(self) -> set[int]:
        """Positions of all its samples."""
        return self.scored.keys() | self.left_out.keys()


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
        method_notes: Doubts about the results; see `Method.notes`.
        from_bytes: Metrics defined on unrounded results that were computed on 8-bit ones, because the method returns no
            others.
        left_out: Key of an image -> why it has no values, or no values of some metrics.
        scored: Number of images that have values.
        seconds: Time of each stage (`breakdown.STAGES`), summed over the parts.
    """

    values: pa.Table
    costs: Sequence[ImageCost]
    alone: Alone | None = None
    shown: dict[int, Shown] = field(default_factory=dict)
    capped: dict[str, int] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    set_intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    method_notes: tuple[str, ...] = ()
    from_bytes: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    scored: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def timings(self) -> pa.Table:
        """Return ``costs`` as a table with the columns image, seconds, passes, width, height."""
        import pyarrow as pa

        whole = pa.int32()
        schema = pa.schema(
            [("image", pa.string()), ("seconds", pa.float64()), ("passes", whole), ("width", whole), ("height", whole)]
        )
        return pa.table({name: [getattr(cost, name) for cost in self.costs] for name in schema.names}, schema=schema)


def merge_parts(
    cell: Cell,
    scorer: Scorer,
    parts: Iterable[Part],
    target_features: Callable[[ImageSet], Features],
    clock: Clock,
) -> CellResult:
    """Return the results of a cell from parts that contain every sample once.

    Args:
        cell: The cell.
        scorer: The metrics.
        parts: The parts, in any order.
        target_features: Function that returns the features (N, D) of a dataset's original images by key.
        clock: Counts the time of the metrics of sets.

    Raises:
        ZooError: If no image can be scored, or one of the metrics can measure none of them.
    """
    whole = _joined(cell, parts)
    left_out = _left_out(cell, whole)
    scores = [each.score for each in whole.scored.values()]
    _refuse_nothing(scores, left_out, scorer)
    of_sets: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    if scorer.set_metrics:
        target = target_features(cell.image_set)
        with clock.stage("metrics"):
            of_sets, intervals = _compare_sets(cell, scorer, whole, target)
    costs = [each.cost for each in whole.scored.values() if each.cost is not None]
    return CellResult(
        values=_values(cell, whole, of_sets),
        costs=costs,
        alone=Alone(tuple(cost.seconds for cost in costs), whole.peak_memory, IN_THE_RUN) if whole.alone else None,
        shown=whole.shown,
        capped=scorer.capped(scores),
        notes=scorer.notes(),
        set_intervals=intervals,
        method_notes=whole.notes,
        from_bytes=scorer.unrounded if whole.bytes_alone else (),
        left_out=left_out,
        scored=len(scores),
        seconds=whole.seconds,
    )


def _joined(cell: Cell, parts: Iterable[Part]) -> Part:
    """Return the union of parts, in the order of the positions."""
    parts = list(parts)
    count = sum(len(part.positions) for part in parts)
    found = set[int]().union(*(part.positions for part in parts))
    if count != len(found) or found != set(range(len(cell.task.keys))):
        raise RuntimeError(f"{cell.key}: {len(parts)} parts have {count} samples of {len(cell.task.keys)}")
    peaks = [part.peak_memory for part in parts if part.peak_memory is not None]
    return Part(
        scored=dict(sorted((at, each) for part in parts for at, each in part.scored.items())),
        left_out=dict(sorted((at, reason) for part in parts for at, reason in part.left_out.items())),
        shown={name: shown for part in parts for name, shown in part.shown.items()},
        peak_memory=max(peaks, default=None),
        bytes_alone=any(part.bytes_alone for part in parts),
        alone=all(part.alone for part in parts if part.positions),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        seconds=added(part.seconds for part in parts),
    )


def _left_out(cell: Cell, whole: Part) -> dict[str, str]:
    """Return why images have no values, or no values of some metrics, by their keys and in their order."""
    too_small = {at: "; ".join(each.score.too_small.values()) for at, each in whole.scored.items()}
    reasons = {**whole.left_out, **{at: reason for at, reason in too_small.items() if reason}}
    return {cell.task.keys[at]: reasons[at] for at in sorted(reasons)}


def _refuse_nothing(scores: Sequence[Score], left_out: Mapping[str, str], scorer: Scorer) -> None:
    if not scores:
        key, reason = next(iter(left_out.items()))
        raise ZooError(f"None of {len(left_out)} images can be scored; the first, {key}: {reason}")
    for metric in scorer.image_metrics:
        if not any(metric in score.values for score in scores):
            raise ZooError(f"All images are too small: {scores[0].too_small[metric]}.")


def _compare_sets(
    cell: Cell, scorer: Scorer, whole: Part, target: Features
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Return values and intervals of the set metrics; if an image has several masks, of the means over the draws."""
    by_draw: dict[int, dict[int, Scored]] = {}  # draw -> index of the image -> its results
    samples = cell.samples
    for at, each in whole.scored.items():
        index, draw = samples[at]
        by_draw.setdefault(draw, {})[index] = each
    every: list[dict[str, SetScore]] = []
    groups: list[str] = []
    for images in by_draw.values():
        pred = {key: np.stack([each.score.features[key] for each in images.values()]) for key in scorer.feature_keys}
        rows = np.flatnonzero(np.isin(cell.image_set.indices, list(images)))
        every.append(scorer.compare_sets(pred, {key: values[rows] for key, values in target.items()}))
        groups += map(cell.image_set.group, images)
    values = {name: fmean(scores[name].value for scores in every) for name in every[0]}
    intervals: dict[str, tuple[float, float]] = {}
    for name, value in values.items():
        influences = np.concatenate([scores[name].influences for scores in every]) / len(every)
        low, high = scorer.set_interval(name, value, influences, groups)
        if np.isfinite([low, high]).all():
            intervals[name] = low, high
    return values, intervals


def _values(cell: Cell, whole: Part, of_sets: Mapping[str, float]) -> pa.Table:
    import pyarrow as pa

    columns: dict[str, list[Any]] = {"image": [], "metric": [], "value": [], "group": [], "hole_ratio": []}

    def add(*row: object) -> None:
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)

    samples = cell.samples
    for at, each in whole.scored.items():
        group = cell.image_set.group(samples[at][0])
        for metric, value in each.score.values.items():
            add(cell.task.keys[at], metric, value, group, each.hole_ratio)
    for metric, value in of_sets.items():
        add(None, metric, value, None, None)
    text, number = pa.string(), pa.float64()
    schema = pa.schema([("image", text), ("metric", text), ("value", number), ("group", text), ("hole_ratio", number)])
    return pa.table(columns, schema=schema)
