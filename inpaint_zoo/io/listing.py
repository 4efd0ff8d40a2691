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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import Literal

import numpy as np

from inpaint_zoo.errors import MissingError, ZooError
from inpaint_zoo.io.formats import FORMATS, IMAGE_SUFFIXES, OTHER_SUFFIXES, why_not_read
from inpaint_zoo.io.listing_cache import Listing, read_listing, write_listing
from inpaint_zoo.io.name_list import NameList
from inpaint_zoo.io.names import plain_name, real_path
from inpaint_zoo.io.stem_table import FileTable, stem_of

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
    "unique",
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
    return stem_of(path.relative_to(root).as_posix())


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
    return list(_listed(Path(root), role).values())


def _listed(root: Path, role: Role) -> FileTable:
    """Do what `list_images` does, and return a table; the listing of a large folder is stored (`listing_cache`)."""
    if not root.exists():
        raise MissingError(f"{root}: no such folder")
    if not root.is_dir():
        raise ZooError(f"{root}: is a file, but a folder of images was expected")
    listing = read_listing(root)
    if listing is None:
        listing, may_be_stored = walk(root)
        if may_be_stored and len(listing.names):
            write_listing(root, listing)
    if not len(listing.names):
        endings = " ".join(sorted(FORMATS))
        raise ZooError(f"{root}: contains no images (searched all its subfolders for {endings})")
    _tell(root, "folders of thumbnails or system files", listing.skipped)
    _tell(root, "files of formats that are not read", listing.others)
    return _in_role(root, _without_originals(root, FileTable(root, listing.names)), role)


def _tell(root: Path, what: str, left_out: Sequence[str]) -> None:
    if left_out:
        names = sorted(plain_name(name) for name in left_out)
        more = ", ..." if len(names) > SHOWN else ""
        text = f"{root}: {what} left out ({len(names)}): {', '.join(names[:SHOWN])}{more}"
        warnings.warn(text, FolderWarning, stacklevel=3)


def _without_originals(root: Path, files: FileTable) -> FileTable:
    """Remove unreadable files if the folder has the same image in a readable format."""
    suffixes = {suffix for suffix in IMAGE_SUFFIXES if why_not_read(Path(f"x{suffix}"))}
    if files.names.endings(4).isdisjoint(suffix[-4:] for suffix in suffixes):  # quick, for a million names
        return files
    unread = {name for name in files.names if Path(name).suffix.lower() in suffixes}
    if not unread:
        return files
    stems = {stem_of(name) for name in files.names if name not in unread}
    doubled = {name for name in unread if stem_of(name) in stems}
    _tell(root, "files of formats that are not read, with the same image in another format,", list(doubled))
    return _kept(files, lambda name: name not in doubled)


def _in_role(root: Path, files: FileTable, role: Role) -> FileTable:
    if role == "any" or b"_mask" not in files.names.data.lower():  # most large data sets have no such name
        return files
    masks = {name for name in files.names if (base := mask_base(stem_of(name))) and base in files}
    if not masks:
        return files
    if role == "images":
        _tell(root, "masks stored next to their image", list(masks))
        return _kept(files, lambda name: name not in masks)
    _tell(
        root, "files other than masks stored next to their image", [name for name in files.names if name not in masks]
    )
    return _kept(files, lambda name: name in masks)


def _kept(files: FileTable, condition: Callable[[str], bool]) -> FileTable:
    return files.take(np.flatnonzero(np.fromiter(map(condition, files.names), bool, len(files))))


def mask_base(stem: str) -> str | None:
    """Return the stem of the image that a mask named as in LaMa belongs to; None for other names.

    Example:
        >>> mask_base("street/x_mask001"), mask_base("street/x")
        ('street/x', None)
    """
    base = _MASK_ENDING.sub("", stem)
    return base if base != stem and not base.endswith("/") and base else None


def walk(root: Path) -> tuple[Listing, bool]:
    """List a folder and its subfolders, without looking for a stored listing.

    Returns:
        The listing, and whether it may be stored.
    """
    found = _Walk(root)
    names = NameList.of(found.names("", frozenset()))
    return Listing(names, found.skipped, found.others, found.folders), found.may_be_stored


class _Walk:
    """A walk through a folder and its subfolders, which are sorted one by one; sorting all names takes more memory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.skipped: list[str] = []
        self.others: list[str] = []
        self.folders: dict[str, int] = {}
        self.may_be_stored = True

    def names(self, folder: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
        """Yield the relative names of the images in a relative folder, in natural order."""
        path = self.root / folder
        try:
            status = path.stat()
            entries = list(os.scandir(path))
        except OSError as error:
            raise ZooError(f"{path}: cannot be listed: {error.strerror}") from None
        here = (status.st_dev, status.st_ino)
        if here in above:  # a link to one of its parents
            return
        self.folders[folder] = status.st_mtime_ns
        prefix = f"{folder}/" if folder else ""
        found = [(*natural_key(plain_name(entry.name)), entry) for entry in entries if self._counts(entry, prefix)]
        found.sort(key=lambda each: each[:2])
        for _, same in groupby(found, key=lambda each: each[0]):
            together = [entry for _, _, entry in same]
            below = (self._below(entry, prefix, above | {here}) for entry in together)
            names: Iterator[str] = chain.from_iterable(below)
            if len(together) > 1 and any(map(_is_folder, together)):  # `a1` and `a01`: one after the other
                names = iter(sorted(names, key=lambda name: natural_key(plain_name(name))))
            yield from names

    def _counts(self, entry: os.DirEntry[str], prefix: str) -> bool:
        """Return whether an entry is an image or a folder that is searched; record what is skipped."""
        if entry.name.lower() in _SYSTEM_FOLDERS and _is_folder(entry):
            self.skipped.append(prefix + entry.name)
            return False
        if entry.name.startswith("."):
            return False
        if _is_folder(entry):
            return True
        suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - a Path for each of a million names is slow
        if suffix in OTHER_SUFFIXES:
            self.others.append(prefix + entry.name)
        if suffix not in IMAGE_SUFFIXES and entry.is_symlink() and not Path(entry.path).exists():
            self.may_be_stored = False  # a broken link may become a folder, which does not change the time of this one
        return suffix in IMAGE_SUFFIXES

    def _below(self, entry: os.DirEntry[str], prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
        return self.names(prefix + entry.name, above) if _is_folder(entry) else iter((prefix + entry.name,))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder or a link to one; False for a link to itself."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def by_stem(root: str | Path, paths: Iterable[Path] | None = None, role: Role = "any") -> FileTable:
    """Return the files by relative stem, in the order of ``paths``.

    Args:
        root: The folder that stems are relative to.
        paths: Files in it; by default `list_images(root, role)`.
        role: See `list_images`.

    Raises:
        ZooError: Two files have the same stem (the message names both), or `list_images` raises it.
    """
    root = Path(root)
    if paths is None:
        return unique(_listed(root, role))
    return unique(FileTable(root, NameList.of(path.relative_to(root).as_posix() for path in paths)))


def unique(files: FileTable) -> FileTable:
    """Return ``files`` if all stems differ.

    Raises:
        ZooError: Two files have the same stem; the message names both.
    """
    if same := files.repeated():
        first, second = (files.names[position] for position in same)
        raise ZooError(
            f"{files.root}: {first} and {second} have the same stem '{stem_of(first)}'; "
            "files are paired by their stems, so rename or move one of them"
        )
    return files


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
