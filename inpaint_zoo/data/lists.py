"""List files: the images of a split, one path a line, and the classes of images.

Splits that a paper published as files are read by `read_list`. `write_split` writes the result of a rule
(`splits.select`), so that a table can name its test images.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from inpaint_zoo.data.splits import Split
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import write_bytes
from inpaint_zoo.io.formats import FORMATS
from inpaint_zoo.io.listing import by_stem, unique
from inpaint_zoo.io.name_list import NameList
from inpaint_zoo.io.names import plain_name
from inpaint_zoo.io.stem_table import FileTable

__all__ = ["read_labels", "read_list", "write_list", "write_split"]

_SHOWN = 5
_ENDING = re.compile(rf"(?:{'|'.join(map(re.escape, FORMATS))})(?=[\s,;])", re.IGNORECASE)
"""Positions in a line where a path may end and a label may follow."""


def write_list(path: str | Path, names: Iterable[str], note: str = "") -> None:
    """Write one name per line, after ``note`` as a comment, atomically."""
    lines = [f"# {line}" for line in note.splitlines()]
    for name in names:
        if not _is_text(name) or "\n" in name or "\r" in name or name != name.strip() or name.startswith("#"):
            raise ZooError(f"{path}: a list file has one name per line, so it cannot contain {name!r}; rename the file")
        lines.append(name)
    write_bytes(path, "".join(f"{line}\n" for line in lines).encode())


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes of a file name that are not UTF-8
        return False
    return True


def write_split(folder: str | Path, files: Mapping[str, Path], root: str | Path, split: Split, rule: str) -> None:
    """Write `train.txt` and `test.txt` with paths relative to ``root``, below a comment with the rule."""
    for part, stems in split._asdict().items():
        names = [files[stem].relative_to(root).as_posix() for stem in stems]
        write_list(Path(folder) / f"{part}.txt", names, f"{part} part of {len(files)} images; rule: {rule}")


def read_list(path: str | Path, root: str | Path | None = None) -> Mapping[str, Path]:
    """Return stem -> file of the images that a list file names, in its order.

    Args:
        path: UTF-8 text with one path per line, with `/`; empty lines and lines that start with `#` are ignored. A
            label may follow the path after a space, a comma or a semicolon, as in the lists of Places and ImageNet; it
            is ignored. Names with accents match in any Unicode normalization of the file system.
        root: The folder that the paths are relative to; the default is the list's folder. A path with a leading `/` is
            first looked up below ``root``, because some published lists use such paths; if the file is not there, the
            path is absolute. Files outside ``root`` are named by their path relative to their common folder.

    Raises:
        ZooError: If the list cannot be read, is empty, leaves ``root`` by `..`, names files that do not exist (the
            first ones are listed), or names two files with the same stem.
    """
    path = Path(path)
    root = path.parent if root is None else Path(root)
    folders = _Folders(root)
    names = bytearray()  # as in a `NameList`; paths of a million files would take 1 GB
    outside: dict[int, Path] = {}  # line among the files -> absolute path
    absent: list[str] = []
    count = missing = 0
    for number, line in _lines(path, "list file"):
        name = folders.name_of(line) or _named(f"{path}, line {number}", root, line, folders)
        if isinstance(name, Path) and name.is_relative_to(root):
            name = name.relative_to(root).as_posix()
        elif isinstance(name, Path):
            outside[count] = name
            name = ""
        elif name is None or not name:
            missing += 1
            absent += [_assumed(line)] if missing <= _SHOWN else []
            continue
        names += name.encode("utf-8", "surrogatepass") + b"\0"
        count += 1
    if missing:
        more = ", ..." if missing > _SHOWN else ""
        raise ZooError(f"{path}: {missing} of {count + missing} files are not below {root}: {', '.join(absent)}{more}")
    if not count:
        raise ZooError(f"{path}: names no images")
    found = NameList(bytes(names))
    return _with_outside(path, root, found, outside) if outside else unique(FileTable(root, found))


def read_labels(labels: str | Path, names: str | Path | None = None) -> dict[str, str]:
    """Return stem -> class of the images that a label file lists, in the format of Places365 and ImageNet.

    Args:
        labels: UTF-8 text with `PATH LABEL` on each line, such as `Places365_val_00000001.jpg 165`. Empty lines and
            lines that start with `#` are ignored. The stem is the path without its suffix.
        names: UTF-8 text with `NAME LABEL` on each line, such as `/a/airfield 0`. The class is then the name, without a
            leading `/`. By default, the label is the class.

    Raises:
        ZooError: If a file cannot be read, a line has no label, an image has two, or a label has no name.
    """
    classes = None if names is None else {label: name.lstrip("/") for name, label in _pairs(Path(names))}
    found: dict[str, str] = {}
    for path, label in _pairs(Path(labels)):
        if classes is not None and label not in classes:
            raise ZooError(f"{labels}: the label {label} of '{path}' has no name in {names}")
        stem = Path(path.lstrip("/")).with_suffix("").as_posix()
        name = label if classes is None else classes[label]
        if found.setdefault(stem, name) != name:
            raise ZooError(f"{labels}: '{path}' has two labels, {found[stem]} and {name}")
    return found


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the two entries of each line of a label file: all but its last word, and its last word."""
    for number, line in _lines(path, "label file"):
        words = line.rsplit(maxsplit=1)
        if len(words) < 2:
            raise ZooError(
                f"{path}, line {number}: must have two entries, a path (or a name) and a label, got '{line}'"
            )
        yield words[0], words[1]


def _lines(path: Path, kind: str) -> Iterator[tuple[int, str]]:
    """Yield line numbers and stripped texts of the lines that are neither empty nor comments."""
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            for number, line in enumerate(file, 1):
                if not line.startswith("#") and (stripped := line.strip()):
                    yield number, stripped
    except FileNotFoundError:
        raise ZooError(f"{path}: no such {kind}") from None
    except UnicodeDecodeError:
        raise ZooError(f"{path}: is not UTF-8 text; a {kind} has the path of an image on each line") from None
    except OSError as error:
        raise ZooError(f"{path}: cannot be read: {error.strerror}") from None


def _candidates(line: str) -> list[str]:
    """Return the names that a line may contain: all of it, or the part before a label, the longest first."""
    ends = [found.end() for found in _ENDING.finditer(line)]
    return list(dict.fromkeys([line, *(line[:end] for end in reversed(ends))]))


def _assumed(line: str) -> str:
    """Return the name in a line without a file."""
    names = _candidates(line)
    return names[1] if len(names) > 1 else line


def _named(where: str, root: Path, line: str, folders: _Folders) -> Path | None:
    """Return the file that a line names, with or without a label after it; None if there is none."""
    for name in _candidates(line):
        below = Path(name)
        if ".." in below.parts:
            raise ZooError(f"{where}: '{name}' leads out of {root}")
        places = [root / below]
        if below.is_absolute():
            inside = below.relative_to(root if below.is_relative_to(root) else below.anchor)
            places = [root / inside, below]
        for place in places:
            if file := folders.find(place):
                return file
    return None


def _with_outside(path: Path, root: Path, names: NameList, outside: Mapping[int, Path]) -> Mapping[str, Path]:
    """Return stem -> file of a list in which some files are not below ``root``; their names are empty."""
    base = Path(os.path.commonpath([file.parent for file in outside.values()]))
    apart = by_stem(base, outside.values())
    stems = {file: stem for stem, file in apart.items()}
    found = [outside.get(number) or root / name for number, name in enumerate(names)]
    for stem, file in by_stem(root, (file for file in found if file not in stems)).items():
        if stem in apart:
            raise ZooError(f"{path}: {file} and {apart[stem]} would have the same stem '{stem}'; give `root`")
        stems[file] = stem
    return {stems[file]: file for file in found}


class _Folders:
    """Look-up of existing files that lists each folder once, because a million single queries take minutes.

    Args:
        root: The folder that names are relative to.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names: dict[Path, frozenset[str] | None] = {}
        self._plain: dict[Path, dict[str, str]] = {}
        self._below: dict[str, frozenset[str]] = {}

    def name_of(self, line: str) -> str | None:
        """Return the name of the file below the root that a line states exactly, with or without a label after it.

        None means that the line needs a closer look.
        """
        before_label = line.rpartition(" ")[0]
        for name in (line, before_label if before_label.lower().endswith(tuple(FORMATS)) else ""):
            folder, _, last = name.rpartition("/")
            if name.startswith("/"):  # also "/a.png", whose folder is the empty name
                continue
            if folder not in self._below:
                below = Path(folder)
                usual = ".." not in below.parts and below.as_posix() == (folder or ".")
                self._below[folder] = (self._in(self._root / below) if usual else None) or frozenset()
            if last in self._below[folder]:
                return name
        return None

    def _in(self, folder: Path) -> frozenset[str] | None:
        """Return the names in a folder; None if it cannot be listed."""
        if folder not in self._names:
            try:
                self._names[folder] = frozenset(os.listdir(folder))  # noqa: PTH208 - names, not paths
            except OSError:
                self._names[folder] = None
        return self._names[folder]

    def find(self, path: Path) -> Path | None:
        """Return the file or folder called ``path`` in any Unicode normalization; None if there is none."""
        folder: Path | None = path.parent
        if self._in(path.parent) is None:
            folder = self.find(path.parent) if path.parent != path.parent.parent else None
        names = None if folder is None else self._in(folder)
        if folder is None or names is None:
            return None
        if path.name in names:
            return folder / path.name
        if folder not in self._plain:
            self._plain[folder] = {plain_name(name): name for name in names}
        name = self._plain[folder].get(plain_name(path.name))
        return None if name is None else folder / name
