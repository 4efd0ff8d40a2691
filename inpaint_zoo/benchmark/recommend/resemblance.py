"""Which mask sets of a benchmark have holes like those of given masks: as large, and as wide."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from inpaint_zoo.benchmark.report.run_folder import Run
from inpaint_zoo.errors import ZooError
from inpaint_zoo.masks.create import create_generator
from inpaint_zoo.masks.overview import Measures, measure

__all__ = ["ALIKE", "HoleShape", "MaskSet", "resembling"]

ALIKE = 2.0
"""Largest factor between the hole ratios, and between the hole widths, of masks that resemble each other."""
MASKS = 32  # masks of a set from which its hole width is measured
SIDE = 256  # height and width of these masks, if the run states no size


class HoleShape(NamedTuple):
    """Medians over the masks of a set that have a hole.

    Attributes:
        ratio: Share of hole pixels.
        width: Mean width of the holes relative to the side of the image, see `Measures`; None if it is unknown.
    """

    ratio: float
    width: float | None

    @classmethod
    def of(cls, measures: Measures) -> HoleShape:
        """Return the shape of measured masks.

        Raises:
            ZooError: No mask has a hole.
        """
        holes = measures.ratio > 0
        if not holes.any():
            raise ZooError("no mask has a hole (white = hole)")
        widths = measures.width[holes & np.isfinite(measures.width)]
        return cls(float(np.median(measures.ratio[holes])), float(np.median(widths)) if len(widths) else None)

    def factor(self, other: HoleShape) -> float:
        """Return the factor between the hole ratios or between the hole widths, whichever is larger; at least 1."""
        pairs = [(self.ratio, other.ratio)]
        if self.width and other.width:
            pairs.append((self.width, other.width))
        return max(math.exp(abs(math.log(max(one, 1e-9) / max(two, 1e-9)))) for one, two in pairs)


class MaskSet(NamedTuple):
    """A mask set on a dataset of a run.

    Attributes:
        dataset, mask: Their labels.
        shape: What its holes are like.
        factor: Factor between its holes and those of the given masks, see `HoleShape.factor`.
    """

    dataset: str
    mask: str
    shape: HoleShape
    factor: float


def resembling(run: Run, wanted: HoleShape) -> list[MaskSet]:
    """Return the mask sets whose factor is at most `ALIKE`, or else the one with the smallest factor.

    Args:
        run: A finished benchmark. Mask sets whose holes show a mosaic of the ground truth are left out.
        wanted: What the holes of the given masks are like.

    Raises:
        ZooError: The run has no results.
    """
    found = []
    for dataset, mask in run.tables:
        rows = run.results[(run.results["dataset"] == dataset) & (run.results["mask"] == mask)]
        if rows.empty or mask in run.deblurring:
            continue
        shape = HoleShape(float(rows["hole_ratio"].median()), _width(run, dataset, mask))
        found.append(MaskSet(dataset, mask, shape, wanted.factor(shape)))
    if not found:
        raise ZooError(f"{run.folder} has no results of images with holes.")
    found.sort(key=lambda each: each.factor)
    return [each for each in found if each.factor <= ALIKE] or found[:1]


def _width(run: Run, dataset: str, mask: str) -> float | None:
    """Return the median hole width of a mask set; None if its masks cannot be made here, such as those of files."""
    try:
        generator = create_generator(str(run.folder / "masks" / f"{mask}.yaml"))
        masks = generator.batch(range(MASKS), _size(run, dataset, mask))
    except (OSError, ZooError):
        return None
    widths = measure([masks]).width
    known: Sequence[float] = widths[np.isfinite(widths)].tolist()
    return float(np.median(known)) if known else None


def _size(run: Run, dataset: str, mask: str) -> tuple[int, int]:
    """Return height and width of the images of a cell, from the record of a method."""
    for (_, *table), costs in run.costs.items():
        if table == [dataset, mask]:
            return int(costs["height"][0]), int(costs["width"][0])
    return SIDE, SIDE
