"""Which pictures a folder holds, in one order on every platform, and which of two folders belong together.

A picture is known by its relative stem: its path below the folder, with `/`, without the ending, spelled as
`names.plain_name` spells it. `a.jpg` and `a.png` of one folder have the same stem, so wherever files are paired by stem
they are an error that names both.

What a folder holds besides is told by a `FolderWarning`, never passed over in silence: folders of thumbnails, files of
formats that are not read, and masks that lie beside their images.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.formats import FORMATS, OTHER_SUFFIXES, PICTURE_SUFFIXES, why_not_read
from inpaint_zoo.io.names import plain_name, real_path

__all__ = [
    "FolderWarning",
    "Role",
    "by_stem",
    "list_pictures",
    "natural_key",
    "pair_by_stem",
    "pair_masks",
    "refuse_own_masks",
    "relative_stem",
]

SHOWN = 5  # names that a message spells out
Role = Literal["any", "images", "masks"]
"""What the files of a folder are taken for; it matters where images and their masks lie in one folder."""

_SYSTEM_FOLDERS = frozenset(
    {
        *("@eadir", ".@__thumb", "#recycle", "@recycle", "#snapshot", ".@upload_cache"),  # network storage
        *("__macosx", ".appledouble", ".trashes", ".fseventsd", ".spotlight-v100"),  # macOS and its archives
        *("$recycle.bin", "system volume information", "lost+found"),  # Windows, Linux
        *(".thumbnails", ".thumbs", ".thumb", "thumbnails", "thumbs", "_thumbs", ".picasaoriginals", ".dtrash"),
    }
)
"""Names, in lower case, of folders that hold thumbnails, deleted files or a system's own data."""
_MASK_ENDING = re.compile(r"_mask[_-]?[0-9]*$", re.IGNORECASE)


class FolderWarning(UserWarning):
    """Files or folders that were left out of a listing, which their owner may not expect."""


def natural_key(name: str) -> tuple[list[list[str | int]], str]:
    """Sort key under which `img2` comes before `img10`, folder by folder.

    Example:
        >>> sorted(["b/1", "a/img10", "a/img2", "a/img02"], key=natural_key)
        ['a/img02', 'a/img2', 'a/img10', 'b/1']
    """
    # a split by digits alternates text and number, so parts of equal position compare with their like
    parts = [[int(x) if x.isdecimal() else x for x in re.split(r"([0-9]+)", part)] for part in name.split("/")]
    return parts, name


def relative_stem(path: Path, root: Path) -> str:
    """The name by which ``path`` below ``root`` is paired: `trees/oak.v2` for `root/trees/oak.v2.jpg`."""
    return plain_name(path.relative_to(root).with_suffix("").as_posix())


def list_pictures(root: str | Path, role: Role = "any") -> list[Path]:
    """All picture files below a folder (by their endings), in natural order.

    Hidden files and folders are left out, as are folders of thumbnails and of systems (`@eaDir`, `__MACOSX`); links are
    followed, but not in circles. A link that points nowhere is listed, so that reading it says what is wrong, and so
    are files of formats that this installation does not read, unless the same picture lies beside them in one that it
    does read (`a.nef` and `a.jpg`).

    Args:
        root: The folder.
        role: "images" leaves out masks that lie beside their image as LaMa stores them, `a_mask001.png` beside `a.png`;
            "masks" takes them alone where there are any, and everything where there are none.

    Warns:
        FolderWarning: Something was left out that could be meant.

    Raises:
        ZooError: No such folder, not a folder, one below it cannot be opened, or nothing in it is a picture.
    """
    root = Path(root)
    if not root.exists():
        raise ZooError(f"{root}: no such folder")
    if not root.is_dir():
        raise ZooError(f"{root}: is a file, a folder of pictures was expected")
    passed: list[Path] = []
    files = list(_walk(root, frozenset(), passed))
    found = [path for path in files if path.suffix.lower() in PICTURE_SUFFIXES]
    if not found:
        endings = " ".join(sorted(FORMATS))
        raise ZooError(f"{root}: holds no pictures (looked in all its folders for {endings})")
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
    """Leave out files that are not read here where the same picture lies beside them in a format that is."""
    unread = {path for path in paths if why_not_read(path)}
    if not unread:
        return paths
    stems = {relative_stem(path, root) for path in paths if path not in unread}
    doubled = {path for path in unread if relative_stem(path, root) in stems}
    _tell(root, "files that are not read, beside the same picture in another format,", list(doubled))
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
        _tell(root, "masks that lie beside their image", masks)
        return images
    _tell(root, "files other than masks that lie beside their image", images)
    return masks


def mask_base(stem: str) -> str | None:
    """The stem of the image that a mask file belongs to by its name, as LaMa names them; None for other names.

    Example:
        >>> mask_base("street/x_mask001"), mask_base("street/x")
        ('street/x', None)
    """
    base = _MASK_ENDING.sub("", stem)
    return base if base != stem and not base.endswith("/") and base else None


def _walk(folder: Path, above: frozenset[tuple[int, int]], passed: list[Path]) -> Iterator[Path]:
    """Files below a folder; folders of thumbnails and systems are appended to ``passed`` instead."""
    try:
        status = folder.stat()
        entries = list(os.scandir(folder))
    except OSError as error:
        raise ZooError(f"{folder}: cannot be listed: {error.strerror}") from None
    here = (status.st_dev, status.st_ino)
    if here in above:  # a link to one of its own parents
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
    """Return whether an entry is a folder or a link to one; a link that leads to itself is neither."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def by_stem(root: str | Path, paths: Iterable[Path] | None = None, role: Role = "any") -> dict[str, Path]:
    """Relative stem -> file, in the order of ``paths`` (by default all pictures of ``root`` in the ``role``).

    Raises:
        ZooError: Two files share a stem; the message names both. Also as `list_pictures`.
    """
    root = Path(root)
    found: dict[str, Path] = {}
    for path in list_pictures(root, role) if paths is None else paths:
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
    names: tuple[str, str] = ("pictures", "masks"),
    *,
    allow_extra: bool = False,
) -> list[tuple[str, Path, Path]]:
    """Match two folders by relative stem, in the order of ``first``.

    Args:
        first: What `by_stem` gave for one folder.
        second: ... and for the other.
        names: What the two hold, in the plural, for the message.
        allow_extra: Whether ``second`` may hold more than ``first`` asks for.

    Raises:
        ZooError: Something has no partner; the message gives both counts and the first missing names.
    """
    problems = [_missing(first, second, names[1])]
    if not allow_extra:
        problems.append(_missing(second, first, names[0]))
    if any(problems):
        counts = f"{len(first)} {names[0]} and {len(second)} {names[1]} do not match"
        raise ZooError(f"{counts}: {'; '.join(filter(None, problems))}")
    return [(stem, path, second[stem]) for stem, path in first.items()]


def pair_masks(images: Mapping[str, Path], masks: Mapping[str, Path], *, allow_extra: bool = False) -> dict[Path, Path]:
    """Image -> mask, by relative stem; `x_mask` and `x_mask001` belong to `x` unless an image has their very name.

    Args:
        images: What `by_stem` gave for the images.
        masks: ... and for the masks.
        allow_extra: Whether there may be more masks than images.

    Raises:
        ZooError: An image has no mask or two, a mask has no image, or an image would be its own mask.
    """
    named: dict[str, Path] = {}
    for stem, path in masks.items():
        base = mask_base(stem)
        key = base if base is not None and base in images and stem not in images else stem
        if key in named:
            raise ZooError(f"{named[key]} and {path} are both masks of '{key}'; keep one of them")
        named[key] = path
    pairs = pair_by_stem(images, named, ("photographs", "masks"), allow_extra=allow_extra)
    refuse_own_masks((path for _, path, _ in pairs), (path for _, _, path in pairs))
    return {image: mask for _, image, mask in pairs}


def refuse_own_masks(images: Iterable[Path], masks: Iterable[Path]) -> None:
    """Refuse files that are given as images and as masks.

    Raises:
        ZooError: Names the first one.
    """
    places: dict[Path, Path] = {}  # folders are resolved once: a data set has a million files and a few folders

    def real(path: Path) -> tuple[Path, str]:
        if path.parent not in places:
            places[path.parent] = real_path(path.parent)
        return places[path.parent], path.name

    taken = {real(each) for path in masks for each in (path, real_path(path))}
    for path in images if taken else ():
        if real(path) in taken:
            raise ZooError(
                f"{path}: is an image and would be a mask as well. Give the masks in a folder of their own, or name "
                f"them after their images, {path.stem}_mask001.png beside {path.name}"
            )


def _missing(asked: Mapping[str, Path], given: Mapping[str, Path], name: str) -> str:
    stems = [stem for stem in asked if stem not in given]
    if not stems:
        return ""
    more = ", ..." if len(stems) > SHOWN else ""
    return f"{len(stems)} without a partner among the {name}: {', '.join(stems[:SHOWN])}{more}"
