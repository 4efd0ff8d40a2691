"""The kept images that are published: ground truth, masked image, result and difference, with the scores of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from inpaint_zoo.benchmark.report.gallery import (
    Pixels,
    difference_rgb,
    image_scores,
    masked_rgb,
    read_hole,
    read_rgb,
)
from inpaint_zoo.benchmark.report.run_folder import Run

__all__ = ["MOST_ROWS", "ImageRow", "ImageRows", "Panels", "image_rows"]

MOST_ROWS = 64  # images for each method, each with one mask; further images stay in the folder


class Panels(NamedTuple):
    """The pixels (H, W, 3) of one row, and the share of the image that is hole."""

    ground_truth: Pixels
    masked: Pixels
    result: Pixels
    difference: Pixels
    hole_ratio: float


@dataclass(frozen=True)
class ImageRow:
    """A result of a method.

    Attributes:
        dataset, mask: Labels.
        image: Key of the image.
        cell: Identifier of the cell.
        scores: Values of the per-image metrics.
        target, hole, result: Files of the ground truth, the mask and the result.
    """

    dataset: str
    mask: str
    image: str
    cell: str
    scores: dict[str, float]
    target: Path
    hole: Path
    result: Path

    def read(self) -> Panels:
        """Read the files and compute the masked image and the difference map, in the colors of the report."""
        target, hole, result = read_rgb(self.target), read_hole(self.hole), read_rgb(self.result)
        difference = difference_rgb(result, target, hole)
        return Panels(target, masked_rgb(target, hole), result, difference, float(hole.mean()))


class ImageRows(NamedTuple):
    """Rows of each method, in the order of the suite, and the number of images with a mask that the run kept."""

    rows: dict[str, tuple[ImageRow, ...]]
    kept: int


def image_rows(run: Run) -> ImageRows:
    """Return the rows of all methods, image by image over all datasets and mask sets, at most MOST_ROWS for each.

    All methods show the same images with the same masks, except where a result is missing.
    """
    keys = {dataset: run.gallery_keys(dataset) for dataset in run.datasets}
    places = [
        (turn, at)
        for at, (dataset, mask) in enumerate(run.tables)
        for turn, number in enumerate(keys[dataset])
        if run.mask_file(dataset, mask, number).is_file()
    ]
    shown = sorted(sorted(places)[:MOST_ROWS], key=lambda place: (place[1], place[0]))
    scores = image_scores(run, {dataset: list(found.values()) for dataset, found in keys.items()})
    rows: dict[str, list[ImageRow]] = {method: [] for method in run.methods}
    for turn, at in shown:
        dataset, mask = run.tables[at]
        number, key = list(keys[dataset].items())[turn]
        for method, mine in rows.items():
            cell = (method, dataset, mask)
            result = run.result_file(cell, number)
            if result is not None:
                files = (run.target_file(dataset, number), run.mask_file(dataset, mask, number), result)
                mine.append(ImageRow(*cell[1:], key, run.cells[cell][0], scores.get((*cell, key), {}), *files))
    return ImageRows({method: tuple(found) for method, found in rows.items()}, len(places))
