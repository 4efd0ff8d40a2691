"""Plan a run on many images: find the images, and assign each a result path, before any file is written."""

from __future__ import annotations

import csv
import glob
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from inpaint_zoo.errors import ZooError
from inpaint_zoo.inference.extras import Extras
from inpaint_zoo.io.images import IMAGE_SUFFIXES, WRITABLE_SUFFIXES
from inpaint_zoo.io.listing import list_images, natural_key
from inpaint_zoo.io.names import exists, plain_name, real_path, spelled
from inpaint_zoo.io.stem_table import stem_of

__all__ = ["FORMATS", "NO_EXTRAS", "Job", "plan_jobs", "refuse_overwriting"]

NO_EXTRAS = Extras()
FORMATS = {"png": ".png", "jpg": ".jpg", "webp": ".webp", "tif": ".tif"}
COLUMNS = ("image", "mask", "output")


class Job(NamedTuple):
    """An image to fill.

    Attributes:
        number: Its number in the run.
        image: Its path.
        target: Path of its result.
        extras: Files to write beside the result.
        stem: Relative stem, by which its mask is found.
        mask: Its mask file, if a manifest states one.
    """

    number: int
    image: Path
    target: Path
    extras: Extras = NO_EXTRAS
    stem: str = ""
    mask: Path | None = None

    def done(self) -> bool:
        """Return whether all output files exist. A folder in the place of the result is no output."""
        return exists(self.target) and not self.target.is_dir() and self.extras.complete(self.target)


class _Found(NamedTuple):
    """An image, its path relative to the folder that was given, and what a manifest says about it."""

    path: Path
    name: Path
    mask: Path | None = None
    output: Path | None = None


def plan_jobs(
    images: str | Path | Sequence[str | Path], out: str | Path, form: str = "same", extras: Extras = NO_EXTRAS
) -> list[Job]:
    """Find the images and assign each a path below ``out``, with the same sub-folders.

    Args:
        images: Image files, folders, shell patterns (`**` for any number of folders), or manifests: CSV files with the
            columns image and optionally mask and output. Their paths are relative to the manifest, except for outputs,
            which are relative to ``out``. Files of a folder that are below ``out`` are not used as input.
        out: Folder of the results.
        form: "png", "jpg", "webp", "tif", or "same": the image's own suffix, or .png if that format cannot be written.
        extras: Files to write beside each result.

    Raises:
        ZooError: If a path does not exist or has no images, a manifest is invalid, two images would get the same
            result path, or a result would replace an input image.
    """
    out = Path(out)
    if out.suffix.lower() in IMAGE_SUFFIXES and not out.is_dir():
        raise ZooError(f"{out}: the results need a folder, but this is the name of an image file")
    if out.exists() and not out.is_dir():
        raise ZooError(f"{out}: is a file, but the results need a folder")
    given = [images] if isinstance(images, str | Path) else images
    found = list(dict.fromkeys(each for path in given for each in _search(path, out)))
    taken: dict[str, Path] = {}
    jobs = []
    for index, each in enumerate(found):
        suffix = each.path.suffix
        ending = FORMATS.get(form, suffix if suffix.lower() in WRITABLE_SUFFIXES else ".png")
        target = out / (each.output or each.name.with_suffix(ending))
        key = plain_name(os.path.normpath(target))  # some file systems treat names that look alike as one file
        if key in taken:
            raise ZooError(f"{taken[key]} and {each.path} would both be written to {target}; rename one of them")
        taken[key] = each.path
        jobs.append(Job(index, each.path, target, extras, stem_of(each.name.as_posix()), each.mask))
    refuse_overwriting([each.path for each in found], jobs, "image")
    refuse_overwriting([each.mask for each in found if each.mask], jobs, "mask")
    _keep_apart(jobs, extras)
    return jobs


def _search(given: str | Path, out: Path) -> list[_Found]:
    path = Path(given)
    if path.is_dir():
        return [_Found(each, each.relative_to(path)) for each in _outside(path, out)]
    if path.suffix.lower() == ".csv":
        return _manifest(path)
    if exists(path) or path.is_symlink():
        return [_Found(path, Path(path.name))]
    if not glob.has_magic(str(given)):
        raise ZooError(f"{path}: no such file or folder")
    matches = [Path(name) for name in glob.glob(str(given), recursive=True)]  # noqa: PTH207 - any pattern, also absolute
    inside = real_path(out)
    matches = [
        each
        for each in matches
        if each.suffix.lower() in IMAGE_SUFFIXES and not each.is_dir() and not real_path(each).is_relative_to(inside)
    ]
    if not matches:
        raise ZooError(f"{given}: matches no image file")
    root = Path(os.path.commonpath([each.parent for each in matches] + [_fixed_part(str(given))]))
    matches.sort(key=lambda each: natural_key(plain_name(each.as_posix())))
    return [_Found(each, each.relative_to(root)) for each in matches]


def _fixed_part(pattern: str) -> str:
    """Return the folder at the start of a pattern, without wildcards."""
    parts = Path(pattern).parts
    magic = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    return str(Path(*parts[:magic]))


def _manifest(path: Path) -> list[_Found]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ZooError(f"{path}: cannot be read as a CSV file in UTF-8: {error}") from None
    rows = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    names = [name.strip() for name in rows.fieldnames or ()]
    if "image" not in names or set(names) - set(COLUMNS) or len(set(names)) < len(names):
        raise ZooError(
            f"{path}: the first line must name the columns image and optionally mask and output, got "
            f"'{','.join(names)}'"
        )
    rows.fieldnames = names
    found = []
    for row in rows:
        line = f"{path}, line {rows.line_num}"
        if None in row or not (row["image"] or "").strip():
            raise ZooError(f"{line}: must be {', '.join(names)}, got {list(filter(None, row.values()))}")
        if "\0" in "".join(filter(None, row.values())):
            raise ZooError(f"{line}: a path contains the character NUL, which no file name can have")
        image, mask, output = ((row.get(name) or "").strip() for name in COLUMNS)
        source = spelled(path.parent / image)
        if output and Path(output).suffix.lower() not in WRITABLE_SUFFIXES:
            raise ZooError(f"{line}: the output '{output}' must end in .png, .jpg, .webp, .bmp, .tif or .ppm")
        relative = Path(source.name) if Path(image).is_absolute() or ".." in Path(image).parts else Path(image)
        found.append(
            _Found(source, relative, spelled(path.parent / mask) if mask else None, Path(output) if output else None)
        )
    if not found:
        raise ZooError(f"{path}: lists no images")
    return found


def _outside(images: Path, out: Path) -> list[Path]:
    inside = real_path(out)
    if inside == real_path(images):
        raise ZooError(f"{out}: the results must not be written to the folder of the input images")
    found = [path for path in list_images(images, "images") if not real_path(path).is_relative_to(inside)]
    if not found:
        raise ZooError(f"{images}: contains no images except those in {out}")
    return found


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


def refuse_overwriting(inputs: Iterable[Path], jobs: Sequence[Job], kind: str) -> None:
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
