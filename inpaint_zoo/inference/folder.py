"""Run a model on many images: they are decoded, filled and encoded in parallel.

`jobs.plan_jobs` and `mask_source.mask_source` detect all errors that concern the whole request before any file is
written. Errors of single images are collected and do not stop the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.errors import ZooError
from inpaint_zoo.inference.batch import Levels
from inpaint_zoo.inference.edits import NO_EDITS, Edits
from inpaint_zoo.inference.extras import Painted, paint
from inpaint_zoo.inference.jobs import Job
from inpaint_zoo.inference.mask_source import MaskSource
from inpaint_zoo.inference.strategy import AnySize
from inpaint_zoo.io.images import (
    ALPHA_SUFFIXES,
    DEEP_SUFFIXES,
    MAX_PIXELS,
    DecodedImage,
    read_image,
    without_room,
    write_image,
)
from inpaint_zoo.io.names import concerns_one_name, exists
from inpaint_zoo.io.pixels import GRAY_NOTE, eight_bits

__all__ = ["FolderReport", "Problem", "Saving", "fill_folder"]

READERS = WRITERS = 2  # threads; enough for a fast model, and more would only keep more images in memory
WAITING = 4  # number of batches of images that wait for others of their size


class Problem(NamedTuple):
    """An image that could not be filled, and the reason."""

    image: Path
    reason: str


class Saving(NamedTuple):
    """How results are written.

    Attributes:
        quality: Quality of JPEG and WebP files. None keeps the tables of a JPEG input; other inputs get JPEG with
            quality 95, or lossless WebP.
        subsampling: Color resolution of JPEG files, as in `write_image`; None keeps that of a JPEG input.
        opaque_holes: Whether the result is opaque in its hole, for holes that are made of transparent pixels.
    """

    quality: int | None = None
    subsampling: int | None = None
    opaque_holes: bool = False


@dataclass
class FolderReport:
    """Outcome of a run.

    Attributes:
        done: Number of results written.
        problems: Images without a result, in order.
        notes: Conversions and losses -> the images concerned.
        doubts: Kind of doubt about masks, one of `masks.read.DOUBTS` -> a sentence for each mask file concerned.
    """

    done: int = 0
    problems: list[Problem] = field(default_factory=list)
    notes: dict[str, list[Path]] = field(default_factory=dict)
    doubts: dict[str, list[str]] = field(default_factory=dict)


class _Loaded(NamedTuple):
    """An image with its edits.

    Attributes:
        job: The job.
        image: The image as it was read.
        pixels: (H, W, 3), expanded.
        hole: (H, W), the pixels to replace.
        seen: (H, W), the pixels that the model fills; more than ``hole`` if its border is feathered.
        doubts: Doubts about the mask.
    """

    job: Job
    image: DecodedImage
    pixels: Levels
    hole: NDArray[np.bool_]
    seen: NDArray[np.bool_]
    doubts: dict[str, str]


def fill_folder(
    fillers: Sequence[AnySize],
    jobs: Sequence[Job],
    masks: MaskSource,
    *,
    batch_size: int = 1,
    edits: Edits = NO_EDITS,
    saving: Saving = Saving(),  # noqa: B008 - immutable
    max_pixels: int = MAX_PIXELS,
    overwrite: bool = True,
    finished: Callable[[Job], None] = lambda job: None,
) -> FolderReport:
    """Fill all images and write the results. Decoding and encoding run in threads in parallel with the models.

    Args:
        fillers: The model on each device, with its strategy. Several devices work in parallel.
        jobs: Jobs from `plan_jobs`, without those that are already done.
        masks: Function from `mask_source`.
        batch_size: Maximum number of images of one padded size that run as one batch; the result does not depend on it.
        edits: Changes of holes and sizes.
        saving: How results are written.
        max_pixels: Images with more pixels raise an error.
        overwrite: If False, keep existing results and add only their missing additional files.
        finished: Called after each job, whether it succeeded or failed.

    Raises:
        OSError: If the disk is full or not writable, since no later image could be written either. Results written
            before are complete. A name that is too long, or taken by a folder, is recorded as that image's problem.
    """
    report = FolderReport()

    def load(job: Job) -> _Loaded:
        image = read_image(job.image, max_pixels=max_pixels, deep=job.target.suffix.lower() in DEEP_SUFFIXES)
        H, W = edits.size(image.size)
        if max_pixels < H * W:
            raise ZooError(
                f"with the added pixels, the image is {W} x {H}, more than the {max_pixels:,} pixels allowed "
                "(max_pixels raises the limit)"
            )
        mask, doubts = masks(job, image)
        if mask.shape != image.size:
            raise ZooError(_sizes(image, mask))
        hole = edits.hole(mask.astype(bool))
        return _Loaded(job, image, edits.pixels(image.pixels), hole, edits.seen(hole), doubts)

    def write(loaded: _Loaded, painted: Painted) -> None:
        target, image = loaded.job.target, loaded.image
        fresh = overwrite or not exists(target) or target.is_dir()  # writing to a folder names it as the problem
        loaded.job.extras.write(target, painted, image, _alpha(loaded, painted.result, saving, edits), fresh)
        if fresh:  # written last, so that a result with incomplete additional files is made again
            result = painted.result if target.suffix.lower() in DEEP_SUFFIXES else eight_bits(painted.result)
            write_image(
                target,
                result,
                _alpha(loaded, result, saving, edits) if target.suffix.lower() in ALPHA_SUFFIXES else None,
                quality=saving.quality,
                subsampling=saving.subsampling,
                jpeg=image.jpeg,
                icc_profile=image.icc_profile,
                exif=image.exif,
                xmp=image.xmp,
                dpi=image.dpi,
                gray=image.gray,
            )

    def fail(job: Job, error: Exception) -> None:
        text = str(error) if isinstance(error, ZooError) else f"{type(error).__name__}: {error}"
        if isinstance(error, OSError):
            text = f"the result cannot be written: {error.strerror}: {job.target.name}"
        report.problems.append(Problem(job.image, " ".join(text.split()).removeprefix(f"{job.image}: ")))
        finished(job)

    def settle(job: Job, writing: Future[None]) -> None:
        try:
            writing.result()
        except Exception as error:  # of an encoder, for example for metadata that it cannot write
            if isinstance(error, OSError) and not concerns_one_name(error):
                raise
            fail(job, error)
            return
        report.done += 1
        finished(job)

    def size_of(loaded: _Loaded) -> tuple[int, int]:
        H, W = loaded.hole.shape
        alike = batch_size > 1 and not (loaded.job.extras.branches or loaded.job.extras.attention)  # drawn unpadded
        return fillers[0].padded_size(H, W) if alike else (H, W)

    with ThreadPoolExecutor(READERS) as readers, ThreadPoolExecutor(WRITERS) as writers:
        written: deque[tuple[Job, Future[None]]] = deque()
        loading = _ahead(readers, load, jobs, batch_size + READERS)
        groups = _groups(_succeeded(loading, fail), batch_size, size_of)
        for group, outcome in _painted(fillers, groups, edits):
            for loaded in group:
                _take_notes(report, loaded)
            for loaded, painted in zip(group, outcome, strict=True):
                if isinstance(painted, Exception):
                    fail(loaded.job, painted)
                else:
                    written.append((loaded.job, writers.submit(write, loaded, painted)))
            while len(written) > batch_size + WRITERS:
                settle(*written.popleft())
        for entry in written:
            settle(*entry)
    order = {job.image: job.number for job in jobs}
    report.problems.sort(key=lambda problem: order[problem.image])
    return report


def _alpha(loaded: _Loaded, pixels: Levels, saving: Saving, edits: Edits) -> Levels | None:
    alpha = loaded.image.alpha_like(pixels)
    return None if alpha is None else edits.alpha(alpha, loaded.hole if saving.opaque_holes else None)


def _sizes(image: DecodedImage, mask: NDArray[np.uint8]) -> str:
    (H, W), (h, w) = image.size, mask.shape
    text = f"the image is {W} x {H}, its mask {w} x {h} (width x height)"
    if (h, w) == (W, H) and image.exif_orientation >= 5:
        text += "; the image is rotated by its EXIF orientation, and the mask must match the rotated image"
    return text


def _take_notes(report: FolderReport, loaded: _Loaded) -> None:
    notes = [note for note in loaded.image.notes if note != GRAY_NOTE]  # the result is gray again
    if loaded.image.alpha is not None and loaded.job.target.suffix.lower() not in ALPHA_SUFFIXES:
        notes.append(f"transparency lost, since {loaded.job.target.suffix} cannot store it")
    notes += without_room(loaded.job.target, loaded.image)
    for note in notes:
        report.notes.setdefault(note, []).append(loaded.job.image)
    for kind, text in loaded.doubts.items():
        known = report.doubts.setdefault(kind, [])
        if text not in known:  # one mask file may be used for all images
            known.append(text)


Fail = Callable[[Job, Exception], None]
Item = TypeVar("Item")


def _ahead(
    pool: ThreadPoolExecutor, work: Callable[[Job], Item], jobs: Sequence[Job], depth: int
) -> Iterator[tuple[Job, Future[Item]]]:
    """Yield results in order, with at most ``depth`` jobs running or waiting."""
    waiting: deque[tuple[Job, Future[Item]]] = deque()
    for job in jobs:
        waiting.append((job, pool.submit(work, job)))
        if len(waiting) >= depth:
            yield waiting.popleft()
    yield from waiting


def _succeeded(loading: Iterator[tuple[Job, Future[Item]]], fail: Fail) -> Iterator[Item]:
    for job, future in loading:
        try:
            item = future.result()
        except (ZooError, MemoryError) as error:
            fail(job, error)
        else:
            yield item


def _groups(
    loaded: Iterator[_Loaded], batch_size: int, size_of: Callable[[_Loaded], tuple[int, int]]
) -> Iterator[list[_Loaded]]:
    """Yield groups of at most ``batch_size`` images of one padded size and bit depth, the oldest ones first."""
    groups: dict[tuple[tuple[int, int], str], list[_Loaded]] = {}
    for item in loaded:
        key = (size_of(item), item.pixels.dtype.name)
        group = groups.setdefault(key, [])
        group.append(item)
        if len(group) == batch_size:
            yield groups.pop(key)
        elif sum(map(len, groups.values())) >= WAITING * batch_size:
            yield groups.pop(next(iter(groups)))
    yield from groups.values()


Outcome = list[Painted | Exception]


def _painted(
    fillers: Sequence[AnySize], groups: Iterator[list[_Loaded]], edits: Edits
) -> Iterator[tuple[list[_Loaded], Outcome]]:
    """Yield the groups in order with their results; each device works on another group."""
    if len(fillers) == 1:
        for group in groups:
            yield group, _fill(fillers[0], group, edits)
        return
    free: SimpleQueue[AnySize] = SimpleQueue()
    for filler in fillers:
        free.put(filler)

    def work(group: list[_Loaded]) -> Outcome:
        filler = free.get()
        try:
            return _fill(filler, group, edits)
        finally:
            free.put(filler)

    with ThreadPoolExecutor(len(fillers)) as pool:
        running: deque[tuple[list[_Loaded], Future[Outcome]]] = deque()
        for group in groups:
            running.append((group, pool.submit(work, group)))
            if len(running) > len(fillers):
                first, future = running.popleft()
                yield first, future.result()
        for first, future in running:
            yield first, future.result()


def _fill(filler: AnySize, group: list[_Loaded], edits: Edits) -> Outcome:
    """Return the outputs of a group, or an error for each image for which the model fails."""
    size = tuple(max(loaded.hole.shape[k] for loaded in group) for k in (0, 1))
    if len({loaded.hole.shape for loaded in group}) > 1:
        size = filler.padded_size(size[0], size[1])
    try:
        images = np.stack([_padded(loaded.pixels, size) for loaded in group])
        holes = np.stack([_padded(loaded.seen, size) for loaded in group])
        painted = paint(filler, images, holes, group[0].job.extras)
    except Exception as error:  # any error of the model is recorded for its image, and the other images continue
        if len(group) == 1:
            return [error]
        return [_fill(filler, [loaded], edits)[0] for loaded in group]
    return [_finished(each, loaded, edits) for each, loaded in zip(painted, group, strict=True)]


def _finished(painted: Painted, loaded: _Loaded, edits: Edits) -> Painted:
    """Undo the padding of a batch, and blend the border of the hole."""
    H, W = loaded.hole.shape
    result = edits.blended(painted.result[:H, :W], loaded.pixels, loaded.hole)
    passes = None
    if painted.passes is not None:
        passes = np.stack([edits.blended(each[:H, :W], loaded.pixels, loaded.hole) for each in painted.passes])
    return painted._replace(result=result, passes=passes)


Pixels = TypeVar("Pixels", NDArray[np.bool_], Levels)


def _padded(values: Pixels, size: tuple[int, ...]) -> Pixels:
    """Return (H, W, ...) padded by reflection at the bottom and right, as `ops.pad_to_multiple` does."""
    missing = [(0, size[k] - values.shape[k]) for k in (0, 1)] + [(0, 0)] * (values.ndim - 2)
    return np.pad(values, missing, mode="symmetric") if any(after for _, after in missing) else values
