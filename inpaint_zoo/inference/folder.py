"""Run a model on many images: the run is planned first; then images are decoded, filled and encoded in parallel.

Planning detects all errors that concern the whole request before any file is written. Errors of single images are
collected and do not stop the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.errors import ZooError
from inpaint_zoo.inference.batch import Filler
from inpaint_zoo.inference.extras import Extras, Painted, paint
from inpaint_zoo.inference.inpaint import is_mask_name
from inpaint_zoo.io.images import (
    ALPHA_SUFFIXES,
    IMAGE_SUFFIXES,
    MAX_PIXELS,
    WRITABLE_SUFFIXES,
    DecodedImage,
    ImageError,
    read_image,
    write_image,
)
from inpaint_zoo.io.listing import by_stem, list_images, pair_masks, refuse_own_masks, relative_stem
from inpaint_zoo.io.names import concerns_one_name, exists, real_path
from inpaint_zoo.io.pixels import GRAY_NOTE
from inpaint_zoo.masks import create_generator
from inpaint_zoo.masks.read import mask_of

__all__ = ["FolderReport", "Job", "MaskSource", "Problem", "fill_folder", "mask_source", "plan_jobs"]

NO_EXTRAS = Extras()
FORMATS = {"png": ".png", "jpg": ".jpg"}
READERS = WRITERS = 2  # threads; enough for a fast model, and more would only keep more images in memory


class Job(NamedTuple):
    """An image to fill: its number in the folder, its path, the path of its result, and the additional files."""

    number: int
    image: Path
    target: Path
    extras: Extras = NO_EXTRAS

    def done(self) -> bool:
        """Return whether all output files exist."""
        return exists(self.target) and self.extras.complete(self.target)


class Problem(NamedTuple):
    """An image that could not be filled, and the reason."""

    image: Path
    reason: str


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


MaskSource = Callable[[Job, DecodedImage], tuple[NDArray[np.uint8], dict[str, str]]]
"""Function that returns the mask (H, W), 1 = hole, of an image that was read, and doubts about its file by kind."""


def plan_jobs(images: str | Path, out: str | Path, form: str = "same", extras: Extras = NO_EXTRAS) -> list[Job]:
    """Find the images and assign each a path below ``out``, with the same sub-folders.

    Args:
        images: An image file or a folder; files of the folder that are below ``out`` are not used as input.
        out: Folder of the results.
        form: "png", "jpg", or "same": the image's own suffix, or .png if that format cannot be written (GIF).
        extras: Files to write beside each result.

    Raises:
        ZooError: If the path does not exist or has no images, two images would get the same result path, or a result
            would replace an input image.
    """
    images, out = Path(images), Path(out)
    if out.suffix.lower() in IMAGE_SUFFIXES and not out.is_dir():
        raise ZooError(f"{out}: the results need a folder, but this is the name of an image file")
    if out.exists() and not out.is_dir():
        raise ZooError(f"{out}: is a file, but the results need a folder")
    if not images.exists():
        raise ZooError(f"{images}: no such file or folder")
    root, found = (images, _outside(images, out)) if images.is_dir() else (images.parent, [images])
    taken: dict[str, Path] = {}
    jobs = []
    for index, path in enumerate(found):
        ending = FORMATS.get(form, path.suffix if path.suffix.lower() in WRITABLE_SUFFIXES else ".png")
        target = out / path.relative_to(root).with_suffix(ending)
        name = relative_stem(path, root) + ending  # some file systems treat names that look alike as one file
        if name in taken:
            raise ZooError(f"{taken[name]} and {path} would both be written to {target}; rename one of them")
        taken[name] = path
        jobs.append(Job(index, path, target, extras))
    _spare(found, jobs, "image")
    _keep_apart(jobs, extras)
    return jobs


def _keep_apart(jobs: Sequence[Job], extras: Extras) -> None:
    """Raise an error if an additional file of one result would have the name of another output of this run."""
    if extras == NO_EXTRAS:
        return
    owners: dict[Path, Path] = {}
    for job in jobs:
        base = job.target.with_suffix("")
        if base in owners:
            raise ZooError(
                f"{owners[base]} and {job.image} would get the same files beside their results; rename one of them"
            )
        owners[base] = job.image
    for job in jobs:
        beside = extras.base(job.target)
        if beside in owners:
            raise ZooError(
                f"{job.target}: the result of {job.image} would have the name of a file beside {owners[beside]}'s; "
                "rename one of them"
            )


def _outside(images: Path, out: Path) -> list[Path]:
    inside = real_path(out)
    if inside == real_path(images):
        raise ZooError(f"{out}: the results must not be written to the folder of the input images")
    found = [path for path in list_images(images, "images") if not real_path(path).is_relative_to(inside)]
    if not found:
        raise ZooError(f"{images}: contains no images except those in {out}")
    return found


def mask_source(
    mask: str | Path,
    jobs: Sequence[Job],
    images: str | Path,
    *,
    threshold: int = 127,
    invert: bool = False,
    seed: int = 0,
    max_pixels: int = MAX_PIXELS,
) -> MaskSource:
    """Return a function that gives the mask of each image, from a generator, one file, or a folder of masks.

    Args:
        mask: A name of `list_masks()`, a mask file for all images, or a folder whose masks are paired with the images
            by stem. A name takes precedence (`./center` is a file of that name).
        jobs: All images of the run.
        images: The file or folder that they came from.
        threshold: Gray values of mask files above it are hole.
        invert: Use dark pixels of mask files, or the known pixels of a generator's masks, as hole.
        seed: Seed of a generator; image i gets mask i.
        max_pixels: Mask files with more pixels raise an error.

    Raises:
        ZooError: If ``mask`` is none of these, the single mask cannot be read, the mask folder does not match the
            images, or a result would replace a mask.
    """
    if is_mask_name(mask):
        generator = create_generator(mask, seed=seed)

        def drawn(job: Job, image: DecodedImage) -> tuple[NDArray[np.uint8], dict[str, str]]:
            values = generator(job.number, image.size)
            return (1 - values if invert else values), {}

        return drawn

    path = Path(mask)
    if path.is_dir():
        files = _paired(path, jobs, Path(images))
        _spare(files.values(), jobs, "mask")

        def own(job: Job, _: DecodedImage) -> tuple[NDArray[np.uint8], dict[str, str]]:
            file = files[job.image]
            values, doubts = mask_of(read_image(file, max_pixels=max_pixels), threshold=threshold, invert=invert)
            return values, {kind: f"{file}: {text}" for kind, text in doubts.items()}

        return own

    refuse_own_masks((job.image for job in jobs), [path])
    values, doubts = mask_of(read_image(path, max_pixels=max_pixels), threshold=threshold, invert=invert)
    _spare([path], jobs, "mask")
    texts = {kind: f"{path}: {text}" for kind, text in doubts.items()}
    return lambda job, image: (values, texts)


def _paired(folder: Path, jobs: Sequence[Job], images: Path) -> dict[Path, Path]:
    masks = by_stem(folder, role="masks")
    single = not images.is_dir()  # a single image may use its mask from a folder with many masks
    stems = by_stem(images.parent if single else images, [job.image for job in jobs])
    return pair_masks(stems, masks, allow_extra=single)


def _spare(inputs: Iterable[Path], jobs: Sequence[Job], kind: str) -> None:
    """Raise an error if an output would overwrite an input."""
    read = {real_path(path) for path in inputs}
    owners = {}
    for job in jobs:
        target = real_path(job.target)
        if target in read:
            raise ZooError(f"{job.target}: the result would overwrite an input {kind}; choose another folder")
        owners[target.with_suffix("")] = job.target
    for path in read:
        beside = jobs[0].extras.base(path)
        if beside in owners:
            raise ZooError(
                f"{path}: a file written beside {owners[beside]} would replace this {kind}; choose another folder"
            )


def fill_folder(
    net: Filler,
    jobs: Sequence[Job],
    masks: MaskSource,
    *,
    batch_size: int = 1,
    quality: int | None = None,
    max_pixels: int = MAX_PIXELS,
    overwrite: bool = True,
    finished: Callable[[Job], None] = lambda job: None,
) -> FolderReport:
    """Fill all images and write the results. Decoding and encoding run in threads in parallel with the model.

    Args:
        net: The model, as in `inpaint`.
        jobs: Jobs from `plan_jobs`, without those that are already done.
        masks: Function from `mask_source`.
        batch_size: Maximum number of consecutive images of one size that run as one batch; the result does not depend
            on it.
        quality: Quality of JPEG and WebP files, as in `write_image`.
        max_pixels: Images with more pixels raise an error.
        overwrite: If False, keep existing results and add only their missing additional files.
        finished: Called after each job, whether it succeeded or failed.

    Raises:
        OSError: If the disk is full or not writable, since no later image could be written either. Results written
            before are complete. A name that is too long, or taken by a folder, is recorded as that image's problem.
    """
    report = FolderReport()

    def load(job: Job) -> _Loaded:
        image = read_image(job.image, max_pixels=max_pixels)
        mask, doubts = masks(job, image)
        if mask.shape != image.size:
            raise ZooError(_sizes(image, mask))
        return _Loaded(job, image, mask.astype(bool), doubts)

    def write(loaded: _Loaded, painted: Painted) -> None:
        target, image = loaded.job.target, loaded.image
        fresh = overwrite or not exists(target)
        loaded.job.extras.write(target, painted, image, fresh)
        if fresh:  # written last, so that a result with incomplete additional files is made again
            alpha = image.alpha if target.suffix.lower() in ALPHA_SUFFIXES else None
            profile, gray = image.icc_profile, image.gray
            write_image(target, painted.result, alpha, quality=quality, icc_profile=profile, gray=gray)

    def fail(job: Job, error: Exception) -> None:
        text = str(error) if isinstance(error, ZooError) else f"{type(error).__name__}: {error}"
        if isinstance(error, OSError):
            text = f"the result cannot be written: {error.strerror}: {job.target.name}"
        report.problems.append(Problem(job.image, " ".join(text.split()).removeprefix(f"{job.image}: ")))
        finished(job)

    def settle(job: Job, writing: Future[None]) -> None:
        try:
            writing.result()
        except (ImageError, OSError) as error:
            if isinstance(error, OSError) and not concerns_one_name(error):
                raise
            fail(job, error)
            return
        report.done += 1
        finished(job)

    with ThreadPoolExecutor(READERS) as readers, ThreadPoolExecutor(WRITERS) as writers:
        written: deque[tuple[Job, Future[None]]] = deque()
        loading = _ahead(readers, load, jobs, batch_size + READERS)
        for group in _groups(_succeeded(loading, fail), batch_size):
            for loaded in group:
                _take_notes(report, loaded)
            for loaded, painted in _fill(net, group, fail):
                written.append((loaded.job, writers.submit(write, loaded, painted)))
            while len(written) > batch_size + WRITERS:
                settle(*written.popleft())
        for entry in written:
            settle(*entry)
    order = {job.image: job.number for job in jobs}
    report.problems.sort(key=lambda problem: order[problem.image])
    return report


class _Loaded(NamedTuple):
    job: Job
    image: DecodedImage
    hole: NDArray[np.bool_]
    doubts: dict[str, str]


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


def _groups(loaded: Iterator[_Loaded], batch_size: int) -> Iterator[list[_Loaded]]:
    """Yield groups of consecutive images of one size, with at most ``batch_size`` images each."""
    group: list[_Loaded] = []
    for item in loaded:
        if group and (len(group) == batch_size or group[0].image.size != item.image.size):
            yield group
            group = []
        group.append(item)
    if group:
        yield group


def _fill(net: Filler, group: list[_Loaded], fail: Fail) -> Iterator[tuple[_Loaded, Painted]]:
    try:
        images, holes = np.stack([x.image.rgb for x in group]), np.stack([x.hole for x in group])
        painted = paint(net, images, holes, group[0].job.extras)
    except Exception as error:  # any error of the model is recorded for its image, and the other images continue
        if len(group) == 1:
            fail(group[0].job, error)
            return
        for item in group:
            yield from _fill(net, [item], fail)
    else:
        yield from zip(group, painted, strict=True)
