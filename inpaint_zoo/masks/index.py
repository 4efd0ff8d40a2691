"""How much of each file of a folder is white, measured once and kept in a table beside the files."""

from __future__ import annotations

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from inpaint_zoo.io.atomic import write_bytes
from inpaint_zoo.io.pictures import PictureError
from inpaint_zoo.masks.folder import read_grey
from inpaint_zoo.masks.read import binarise

__all__ = ["INDEX_NAME", "IndexEntry", "index_folder"]

INDEX_NAME = "inpaint_zoo_index.csv"


@dataclass(frozen=True)
class IndexEntry:
    """A file of the table.

    Attributes:
        name: Relative to the folder, with /.
        white: Pixels of 128 and above.
        area: All pixels.
        bytes: Size of the file ...
        changed: ... and when it was changed, in nanoseconds: what tells that it must be measured again.
    """

    name: str
    white: int
    area: int
    bytes: int
    changed: int

    def hole(self, invert: bool) -> int:
        """Hole pixels, white or, inverted, black."""
        return self.area - self.white if invert else self.white


def index_folder(
    root: Path, paths: list[Path], *, write: bool = True
) -> tuple[dict[Path, IndexEntry], list[PictureError]]:
    """Measure files, or take what the folder's table says of those that have not changed.

    Args:
        root: The folder that holds them.
        paths: The files.
        write: Keep the table in the folder; where that is not allowed, files are measured again next time.

    Returns:
        The entries of the files that can be read, in their order, and why the others cannot.
    """
    known = _read(root / INDEX_NAME)
    found: dict[Path, IndexEntry | PictureError] = {}
    missing = []
    for path in paths:
        entry = known.get(path.relative_to(root).as_posix())
        try:
            status = path.stat()
        except OSError as error:
            found[path] = PictureError(f"{path}: cannot be opened: {error.strerror}")
            continue
        if entry is not None and (entry.bytes, entry.changed) == (status.st_size, status.st_mtime_ns):
            found[path] = entry
        else:
            missing.append(path)
    if missing:
        with ThreadPoolExecutor() as pool:  # decoding releases the interpreter's lock
            found.update(zip(missing, pool.map(lambda path: _measure(root, path), missing), strict=True))
    measured = {path: one for path in paths if isinstance(one := found[path], IndexEntry)}
    if missing and write:
        _write(root / INDEX_NAME, list(measured.values()))
    return measured, [one for path in paths if isinstance(one := found[path], PictureError)]


def _measure(root: Path, path: Path) -> IndexEntry | PictureError:
    try:
        status = path.stat()
        mask = binarise(read_grey(path))
    except PictureError as error:
        return error
    name = path.relative_to(root).as_posix()
    return IndexEntry(name, int(np.count_nonzero(mask)), mask.size, status.st_size, status.st_mtime_ns)


def _read(table: Path) -> dict[str, IndexEntry]:
    """The entries of a table; none if it is missing or not one of ours."""
    try:
        text = table.read_text(encoding="utf-8", errors="surrogateescape")  # a file's name may be any bytes
        rows = list(csv.reader(io.StringIO(text)))
        entries = [IndexEntry(row[0], *map(int, row[1:])) for row in rows[1:]]
    except (OSError, ValueError, TypeError, IndexError, csv.Error):
        return {}
    return {entry.name: entry for entry in entries} if rows and rows[0] == _columns() else {}


def _write(table: Path, entries: list[IndexEntry]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_columns())
    writer.writerows(astuple(entry) for entry in entries)
    try:
        write_bytes(table, text.getvalue().encode("utf-8", "surrogateescape"))
    except OSError:  # data sets often lie on read-only disks
        return


def _columns() -> list[str]:
    return [field.name for field in fields(IndexEntry)]
