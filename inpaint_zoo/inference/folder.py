"""Many photographs through one model: planned first, then decoded, filled and encoded side by side.

Planning finds everything that is wrong with the request as a whole, before a file is written; what is wrong with a
single photograph is collected and stops no other.
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
from inpaint_zoo.inference.extras import Extras, Painted, paint
from inpaint_zoo.inference.inpaint import Filler, is_mask_name
from inpaint_zoo.io.listing import by_stem, list_pictures, pair_masks, refuse_own_masks, relative_stem
from inpaint_zoo.io.names import concerns_one_name, exists, real_path
from inpaint_zoo.io.pictures import (
    ALPHA_SUFFIXES,
    MAX_PIXELS,
    PICTURE_SUFFIXES,
    WRITABLE_SUFFIXES,
    Picture,
    PictureError,
    read_picture,
    write_picture,
)
from inpaint_zoo.io.pixels import GREY_NOTE
from inpaint_zoo.masks import create_generator
from inpaint_zoo.masks.read import mask_of

__all__ = ["FolderReport", "Job", "MaskSource", "Problem", "fill_folder", "mask_source", "plan_jobs"]

NO_EXTRAS = Extras()
FORMATS = {"png": ".png", "jpg": ".jpg"}
READERS = WRITERS = 2  # threads: enough to keep a fast model fed; more would only hold more pictures in memory


class Job(NamedTuple):
    """A photograph to fill: its number among all of the folder, its file, where the result goes, and what beside it."""

    number: int
    photo: Path
    target: Path
    extras: Extras = NO_EXTRAS

    def done(self) -> bool:
        """Whether all its files exist."""
        return exists(self.target) and self.extras.complete(self.target)


class Problem(NamedTuple):
    """A photograph that could not be filled, and why in words."""

    photo: Path
    reason: str


@dataclass
class FolderReport:
    """What became of the photographs.

    Attributes:
        done: Number of files written.
        problems: Photographs without a result, in order.
        notes: What was converted or lost -> the photographs concerned.
        doubts: What looks wrong with masks, one of `masks.checks.DOUBTS` -> a sentence for each mask file concerned.
    """

    done: int = 0
    problems: list[Problem] = field(default_factory=list)
    notes: dict[str, list[Path]] = field(default_factory=dict)
    doubts: dict[str, list[str]] = field(default_factory=dict)


MaskSource = Callable[[Job, Picture], tuple[NDArray[np.uint8], dict[str, str]]]
"""Mask (H, W), 1 = hole, of a photograph that was read, and doubts about its file by kind."""


def plan_jobs(photos: str | Path, out: str | Path, form: str = "same", extras: Extras = NO_EXTRAS) -> list[Job]:
    """Find the photographs and give each a place below ``out``, the folders mirrored.

    Args:
        photos: A picture file or a folder; in a folder, what lies below ``out`` is no input.
        out: Folder of the results.
        form: "png", "jpg", or "same": the photograph's own ending, and .png where that cannot be written (GIF).
        extras: What is written beside each result.

    Raises:
        ZooError: Nothing there, no pictures, two of them would get the same file, or one would replace a photograph.
    """
    photos, out = Path(photos), Path(out)
    if out.suffix.lower() in PICTURE_SUFFIXES and not out.is_dir():
        raise ZooError(f"{out}: the results go into a folder, and this is the name of a picture")
    if out.exists() and not out.is_dir():
        raise ZooError(f"{out}: is a file, the results need a folder")
    if not photos.exists():
        raise ZooError(f"{photos}: no such file or folder")
    root, found = (photos, _outside(photos, out)) if photos.is_dir() else (photos.parent, [photos])
    taken: dict[str, Path] = {}
    jobs = []
    for index, path in enumerate(found):
        ending = FORMATS.get(form, path.suffix if path.suffix.lower() in WRITABLE_SUFFIXES else ".png")
        target = out / path.relative_to(root).with_suffix(ending)
        name = relative_stem(path, root) + ending  # names that look alike are one file on some systems
        if name in taken:
            raise ZooError(f"{taken[name]} and {path} would both be written to {target}; rename one of them")
        taken[name] = path
        jobs.append(Job(index, path, target, extras))
    _spare(found, jobs, "photograph")
    _keep_apart(jobs, extras)
    return jobs


def _keep_apart(jobs: Sequence[Job], extras: Extras) -> None:
    """Refuse names under which what stands beside a result would also be something else of this run."""
    if extras == NO_EXTRAS:
        return
    owners: dict[Path, Path] = {}
    for job in jobs:
        base = job.target.with_suffix("")
        if base in owners:
            raise ZooError(
                f"{owners[base]} and {job.photo} would get the same files beside their results; rename one of them"
            )
        owners[base] = job.photo
    for job in jobs:
        beside = extras.base(job.target)
        if beside in owners:
            raise ZooError(
                f"{job.target}: would be the result of {job.photo} and stand beside that of {owners[beside]}; "
                "rename one of them"
            )


def _outside(photos: Path, out: Path) -> list[Path]:
    inside = real_path(out)
    if inside == real_path(photos):
        raise ZooError(f"{out}: the results must not go into the folder of the photographs themselves")
    found = [path for path in list_pictures(photos, "images") if not real_path(path).is_relative_to(inside)]
    if not found:
        raise ZooError(f"{photos}: holds no pictures beside those in {out}")
    return found


def mask_source(
    mask: str | Path,
    jobs: Sequence[Job],
    photos: str | Path,
    *,
    threshold: int = 127,
    invert: bool = False,
    seed: int = 0,
    max_pixels: int = MAX_PIXELS,
) -> MaskSource:
    """Where the masks come from: the name of a generator, one file for all photographs, or a folder paired by stem.

    Args:
        mask: A name of `list_masks()` comes first (`./center` is a file of that name), then a file or folder.
        jobs: All photographs of the run.
        photos: The file or folder that they came from.
        threshold: Brighter pixels of mask files are hole.
        invert: Black is hole in mask files, or what a generator leaves known.
        seed: Of a generator; photograph i gets mask i.
        max_pixels: Larger mask files are refused.

    Raises:
        ZooError: Neither; the one mask cannot be read; the mask folder does not match the photographs; or a result
            would replace a mask.
    """
    if is_mask_name(mask):
        generator = create_generator(mask, seed=seed)

        def drawn(job: Job, picture: Picture) -> tuple[NDArray[np.uint8], dict[str, str]]:
            values = generator(job.number, picture.size)
            return (1 - values if invert else values), {}

        return drawn

    path = Path(mask)
    if path.is_dir():
        files = _paired(path, jobs, Path(photos))
        _spare(files.values(), jobs, "mask")

        def own(job: Job, _: Picture) -> tuple[NDArray[np.uint8], dict[str, str]]:
            file = files[job.photo]
            values, doubts = mask_of(read_picture(file, max_pixels=max_pixels), threshold=threshold, invert=invert)
            return values, {kind: f"{file}: {text}" for kind, text in doubts.items()}

        return own

    refuse_own_masks((job.photo for job in jobs), [path])
    values, doubts = mask_of(read_picture(path, max_pixels=max_pixels), threshold=threshold, invert=invert)
    _spare([path], jobs, "mask")
    texts = {kind: f"{path}: {text}" for kind, text in doubts.items()}
    return lambda job, picture: (values, texts)


def _paired(folder: Path, jobs: Sequence[Job], photos: Path) -> dict[Path, Path]:
    masks = by_stem(folder, role="masks")
    single = not photos.is_dir()  # one photograph may have its mask picked from a folder of many
    stems = by_stem(photos.parent if single else photos, [job.photo for job in jobs])
    return pair_masks(stems, masks, allow_extra=single)


def _spare(inputs: Iterable[Path], jobs: Sequence[Job], kind: str) -> None:
    """Refuse to write over what is read."""
    read = {real_path(path) for path in inputs}
    owners = {}
    for job in jobs:
        target = real_path(job.target)
        if target in read:
            raise ZooError(f"{job.target}: the result would replace a {kind} that is read; choose another folder")
        owners[target.with_suffix("")] = job.target
    for path in read:
        beside = jobs[0].extras.base(path)
        if beside in owners:
            raise ZooError(
                f"{path}: what is written beside {owners[beside]} would replace this {kind}; choose another folder"
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
    """Fill and write every job's photograph. Decoding and encoding run in threads beside the model.

    Args:
        net: As `inpaint` takes it.
        jobs: From `plan_jobs`, without those that need no work.
        masks: From `mask_source`.
        batch_size: Neighbours of one size that go through the model together; the result does not depend on it.
        quality: Of JPEG and WebP, as `write_picture` takes it.
        max_pixels: Larger photographs are refused.
        overwrite: Without it a result that exists stays, and what lacks beside it is added.
        finished: Called after each job, done or not.

    Raises:
        OSError: The disk is full or not writable: no later photograph could be written either. Those before are whole.
            A name that is too long, or taken by a folder, is a problem of its photograph.
    """
    report = FolderReport()

    def load(job: Job) -> _Loaded:
        picture = read_picture(job.photo, max_pixels=max_pixels)
        mask, doubts = masks(job, picture)
        if mask.shape != picture.size:
            raise ZooError(_sizes(picture, mask))
        return _Loaded(job, picture, mask.astype(bool), doubts)

    def write(loaded: _Loaded, painted: Painted) -> None:
        target, picture = loaded.job.target, loaded.picture
        fresh = overwrite or not exists(target)
        loaded.job.extras.write(target, painted, picture, fresh)
        if fresh:  # last, so that a result whose passes are not all there is made again
            alpha = picture.alpha if target.suffix.lower() in ALPHA_SUFFIXES else None
            profile, grey = picture.icc_profile, picture.grey
            write_picture(target, painted.result, alpha, quality=quality, icc_profile=profile, grey=grey)

    def fail(job: Job, error: Exception) -> None:
        text = str(error) if isinstance(error, ZooError) else f"{type(error).__name__}: {error}"
        if isinstance(error, OSError):
            text = f"the result cannot be written: {error.strerror}: {job.target.name}"
        report.problems.append(Problem(job.photo, " ".join(text.split()).removeprefix(f"{job.photo}: ")))
        finished(job)

    def settle(job: Job, writing: Future[None]) -> None:
        try:
            writing.result()
        except (PictureError, OSError) as error:
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
    order = {job.photo: job.number for job in jobs}
    report.problems.sort(key=lambda problem: order[problem.photo])
    return report


class _Loaded(NamedTuple):
    job: Job
    picture: Picture
    hole: NDArray[np.bool_]
    doubts: dict[str, str]


def _sizes(picture: Picture, mask: NDArray[np.uint8]) -> str:
    (H, W), (h, w) = picture.size, mask.shape
    text = f"the photograph is {W} x {H}, its mask {w} x {h} (width x height)"
    if (h, w) == (W, H) and picture.exif_orientation >= 5:
        text += "; the photograph is rotated by its EXIF orientation, the mask must fit it as it is shown"
    return text


def _take_notes(report: FolderReport, loaded: _Loaded) -> None:
    notes = [note for note in loaded.picture.notes if note != GREY_NOTE]  # the result is grey again
    if loaded.picture.alpha is not None and loaded.job.target.suffix.lower() not in ALPHA_SUFFIXES:
        notes.append(f"transparency lost, {loaded.job.target.suffix} holds none")
    for note in notes:
        report.notes.setdefault(note, []).append(loaded.job.photo)
    for kind, text in loaded.doubts.items():
        known = report.doubts.setdefault(kind, [])
        if text not in known:  # one mask file may serve all photographs
            known.append(text)


Fail = Callable[[Job, Exception], None]
Item = TypeVar("Item")


def _ahead(
    pool: ThreadPoolExecutor, work: Callable[[Job], Item], jobs: Sequence[Job], depth: int
) -> Iterator[tuple[Job, Future[Item]]]:
    """Results in order, at most ``depth`` of them under way or waiting."""
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
    """Neighbours of one size, at most ``batch_size`` together."""
    group: list[_Loaded] = []
    for item in loaded:
        if group and (len(group) == batch_size or group[0].picture.size != item.picture.size):
            yield group
            group = []
        group.append(item)
    if group:
        yield group


def _fill(net: Filler, group: list[_Loaded], fail: Fail) -> Iterator[tuple[_Loaded, Painted]]:
    try:
        images, holes = np.stack([x.picture.rgb for x in group]), np.stack([x.hole for x in group])
        painted = paint(net, images, holes, group[0].job.extras)
    except Exception as error:  # whatever a model raises belongs to its photograph; the others go on
        if len(group) == 1:
            fail(group[0].job, error)
            return
        for item in group:
            yield from _fill(net, [item], fail)
    else:
        yield from zip(group, painted, strict=True)
