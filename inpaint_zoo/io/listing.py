"""Listing of the images in a folder, in the same order on every platform, and pairing of the files of two folders.

An image is identified by its relative stem: its path relative to the folder, with `/` and without the extension, in the
spelling of `names.plain_name`. `a.jpg` and `a.png` in one folder have the same stem. Where files are paired by stem,
this is an error that names both files.

Other content of a folder that is skipped is reported by a `FolderWarning`: folders of thumbnails, files of formats that
are not read, and masks stored next to their images.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from inpaint_zoo.errors import MissingError, ZooError
from inpaint_zoo.io.formats import FORMATS, IMAGE_SUFFIXES, OTHER_SUFFIXES, why_not_read
from inpaint_zoo.io.names import plain_name, real_path

__all__ = [
    "FolderWarning",
    "Role",
    "by_stem",
    "list_images",
    "natural_key",
    "pair_by_stem",
    "pair_masks",
    "refuse_own_masks",
    "relative_stem",
]

SHOWN = 5  # maximum number of names in a message
Role = Literal["any", "images", "masks"]
"""Which files of a folder to list if it contains both images and their masks."""

_SYSTEM_FOLDERS = frozenset(
    {
        *("@eadir", ".@__thumb", "#recycle", "@recycle", "#snapshot", ".@upload_cache"),  # network storage
        *("__macosx", ".appledouble", ".trashes", ".fseventsd", ".spotlight-v100"),  # macOS and its archives
        *("$recycle.bin", "system volume information", "lost+found"),  # Windows, Linux
        *(".thumbnails", ".thumbs", ".thumb", "thumbnails", "thumbs", "_thumbs", ".picasaoriginals", ".dtrash"),
    }
)
"""Names, in lower case, of folders with thumbnails, deleted files or system data."""
_MASK_ENDING = re.compile(r"_mask[_-]?[0-9]*$", re.IGNORECASE)


class FolderWarning(UserWarning):
    """Warning about files or folders that a listing skipped, perhaps unexpectedly."""


_DIGITS = re.compile("[0-9]+")


def _number(found: re.Match[str]) -> str:
    """Return a text that sorts by the value of the number, and before all characters of names."""
    digits = found[0].lstrip("0")
    return f"\x01{chr(len(digits))}{digits}"


def natural_key(name: str) -> tuple[str, str]:
    """Return a sort key for natural order: folder by folder, and `img2` before `img10`.

    Example:
        >>> sorted(["b/1", "a/img10", "a/img2", "a/img02"], key=natural_key)
        ['a/img02', 'a/img2', 'a/img10', 'b/1']
    """
    # one text is sorted several times as fast as lists of texts and numbers; \0 sorts before all other characters
    return _DIGITS.sub(_number, name).replace("/", "\0"), name


def relative_stem(path: Path, root: Path) -> str:
    """Return the relative stem of ``path`` in ``root``: `trees/oak.v2` for `root/trees/oak.v2.jpg`."""
    return plain_name(path.relative_to(root).with_suffix("").as_posix())


def list_images(root: str | Path, role: Role = "any") -> list[Path]:
    """Return all image files in a folder and its subfolders, selected by extension, in natural order.

    Hidden files and folders are skipped, and so are folders with thumbnails or system data (`@eaDir`, `__MACOSX`).
    Links are followed, except if they form a cycle. Broken links are listed, so that reading them reports the problem.
    Files of formats that this installation does not read are listed, too, unless the folder has the same image in a
    readable format (`a.nef` and `a.jpg`).

    Args:
        root: The folder.
        role: "images" skips masks that are stored next to their image as in LaMa, `a_mask001.png` next to `a.png`.
            "masks" returns only these masks if there are any, else all files. "any" returns all files.

    Warns:
        FolderWarning: Files or folders were skipped.

    Raises:
        MissingError: The folder does not exist.
        ZooError: It is not a folder, contains no images, or a subfolder cannot be opened.
    """
    root = Path(root)
    if not root.exists():
        raise MissingError(f"{root}: no such folder")
    if not root.is_dir():
        raise ZooError(f"{root}: is a file, but a folder of images was expected")
    passed: list[Path] = []
    files = list(_walk(root, frozenset(), passed))
    found = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    if not found:
        endings = " ".join(sorted(FORMATS))
        raise ZooError(f"{root}: contains no images (searched all its subfolders for {endings})")
    found.sort(key=lambda path: natural_key(plain_name(path.relative_to(root).as_posix())))
    _tell(root, "folders of thumbnails or system files", passed)
    _tell(root, "files of formats that are not read", [path for path in files if path.suffix.lower() in OTHER_SUFFIXES])
    return _in_role(root, _without_originals(root, found), role)


def _tell(root: Path, what: str, left_out: Sequence[Path]) -> None:
    if left_out:
        names = sorted(plain_name(path.relative_to(root).as_posix()) for path in left_out)
        more = ", ..." if len(names) > SHOWN else ""
        text = f"{root}: {what} left out ({len(names)}): {', '.join(names[:SHOWN])}{more}"
        warnings.warn(text, FolderWarning, stacklevel=3)


def _without_originals(root: Path, paths: list[Path]) -> list[Path]:
    """Remove unreadable files if the folder has the same image in a readable format."""
    unread = {path for path in paths if why_not_read(path)}
    if not unread:
        return paths
    stems = {relative_stem(path, root) for path in paths if path not in unread}
    doubled = {path for path in unread if relative_stem(path, root) in stems}
    _tell(root, "files of formats that are not read, with the same image in another format,", list(doubled))
    return [path for path in paths if path not in doubled]


def _in_role(root: Path, paths: list[Path], role: Role) -> list[Path]:
    if role == "any":
        return paths
    stems = {relative_stem(path, root) for path in paths}
    masks = [path for path in paths if (base := mask_base(relative_stem(path, root))) and base in stems]
    if not masks:
        return paths
    beside = set(masks)
    images = [path for path in paths if path not in beside]
    if role == "images":
        _tell(root, "masks stored next to their image", masks)
        return images
    _tell(root, "files other than masks stored next to their image", images)
    return masks


def mask_base(stem: str) -> str | None:
    """Return the stem of the image that a mask named as in LaMa belongs to; None for other names.

    Example:
        >>> mask_base("street/x_mask001"), mask_base("street/x")
        ('street/x', None)
    """
    base = _MASK_ENDING.sub("", stem)
    return base if base != stem and not base.endswith("/") and base else None


def _walk(folder: Path, above: frozenset[tuple[int, int]], passed: list[Path]) -> Iterator[Path]:
    """Yield the files in a folder and its subfolders; append folders of thumbnails or system data to ``passed``."""
    try:
        status = folder.stat()
        entries = list(os.scandir(folder))
    except OSError as error:
        raise ZooError(f"{folder}: cannot be listed: {error.strerror}") from None
    here = (status.st_dev, status.st_ino)
    if here in above:  # a link to one of its parents
        return
    for entry in entries:
        if entry.name.lower() in _SYSTEM_FOLDERS and _is_folder(entry):
            passed.append(folder / entry.name)
        elif entry.name.startswith("."):
            continue
        elif _is_folder(entry):
            yield from _walk(folder / entry.name, above | {here}, passed)
        else:
            yield folder / entry.name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder or a link to one; False for a link to itself."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def by_stem(root: str | Path, paths: Iterable[Path] | None = None, role: Role = "any") -> dict[str, Path]:
    """Return the files by relative stem, in the order of ``paths``.

    Args:
        root: The folder that stems are relative to.
        paths: Files in it; by default `list_images(root, role)`.
        role: See `list_images`.

    Raises:
        ZooError: Two files have the same stem (the message names both), or `list_images` raises it.
    """
    root = Path(root)
    found: dict[str, Path] = {}
    for path in list_images(root, role) if paths is None else paths:
        stem = relative_stem(path, root)
        if stem in found:
            raise ZooError(
                f"{root}: {found[stem].relative_to(root)} and {path.relative_to(root)} have the same stem '{stem}'; "
                "files are paired by their stems, so rename or move one of them"
            )
        found[stem] = path
    return found


def pair_by_stem(
    first: Mapping[str, Path],
    second: Mapping[str, Path],
    names: tuple[str, str] = ("images", "masks"),
    *,
    allow_extra: bool = False,
) -> list[tuple[str, Path, Path]]:
    """Pair the files of two folders by relative stem, and return (stem, first, second) in the order of ``first``.

    Args:
        first: Files of one folder, from `by_stem`.
        second: Files of the other folder, from `by_stem`.
        names: Plural nouns for the files of the two folders, for the message.
        allow_extra: Whether ``second`` may contain files without a partner.

    Raises:
        ZooError: A file has no partner; the message gives both counts and the first names.
    """
    problems = [_missing(first, second, names[1])]
    if not allow_extra:
        problems.append(_missing(second, first, names[0]))
    if any(problems):
        counts = f"{len(first)} {names[0]} and {len(second)} {names[1]} do not match"
        raise ZooError(f"{counts}: {'; '.join(filter(None, problems))}")
    return [(stem, path, second[stem]) for stem, path in first.items()]


def pair_masks(images: Mapping[str, Path], masks: Mapping[str, Path], *, allow_extra: bool = False) -> dict[Path, Path]:
    """Return the mask of each image, paired by relative stem.

    The masks `x_mask` and `x_mask001` belong to the image `x`, unless there is an image with the mask's own name.

    Args:
        images: Image files, from `by_stem`.
        masks: Mask files, from `by_stem`.
        allow_extra: Whether there may be masks without an image.

    Raises:
        ZooError: An image has no mask or two masks, a mask has no image, or a file is both image and mask.
    """
    named: dict[str, Path] = {}
    for stem, path in masks.items():
        base = mask_base(stem)
        key = base if base is not None and base in images and stem not in images else stem
        if key in named:
            raise ZooError(f"{named[key]} and {path} are both masks of '{key}'. Keep only one of them.")
        named[key] = path
    pairs = pair_by_stem(images, named, ("images", "masks"), allow_extra=allow_extra)
    refuse_own_masks((path for _, path, _ in pairs), (path for _, _, path in pairs))
    return {image: mask for _, image, mask in pairs}


def refuse_own_masks(images: Iterable[Path], masks: Iterable[Path]) -> None:
    """Refuse files that are given both as images and as masks, also through links.

    Raises:
        ZooError: There is such a file; the message names the first one.
    """
    places: dict[Path, Path] = {}  # resolved folders; a dataset has many files but few folders

    def real(path: Path) -> tuple[Path, str]:
        if path.parent not in places:
            places[path.parent] = real_path(path.parent)
        return places[path.parent], path.name

    taken = {real(each) for path in masks for each in (path, real_path(path))}
    for path in images if taken else ():
        if real(path) in taken:
            raise ZooError(
                f"{path}: is used both as image and as mask. Put the masks into a separate folder, or name them after "
                f"their images: {path.stem}_mask001.png next to {path.name}"
            )


def _missing(asked: Mapping[str, Path], given: Mapping[str, Path], name: str) -> str:
    stems = [stem for stem in asked if stem not in given]
    if not stems:
        return ""
    more = ", ..." if len(stems) > SHOWN else ""
    return f"{len(stems)} without a partner among the {name}: {', '.join(stems[:SHOWN])}{more}"
