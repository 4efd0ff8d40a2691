"""Measure the white area of each file in a folder once, and store the results in a table beside the files."""

from __future__ import annotations

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from inpaint_zoo.io.atomic import write_bytes
from inpaint_zoo.io.images import ImageError
from inpaint_zoo.masks.folder import read_gray
from inpaint_zoo.masks.read import binarize

__all__ = ["INDEX_NAME", "IndexEntry", "index_folder"]

INDEX_NAME = "inpaint_zoo_index.csv"


@dataclass(frozen=True)
class IndexEntry:
    """One row of the table.

    Attributes:
        name: Path relative to the folder, with forward slashes.
        white: Number of pixels with gray value of at least 128.
        area: Number of pixels.
        bytes: File size; the file is measured again if this or ``changed`` differs.
        changed: Modification time in nanoseconds.
    """

    name: str
    white: int
    area: int
    bytes: int
    changed: int

    def hole(self, invert: bool) -> int:
        """Return the number of hole pixels: white ones, or black ones if ``invert`` is True."""
        return self.area - self.white if invert else self.white


def index_folder(
    root: Path, paths: list[Path], *, write: bool = True
) -> tuple[dict[Path, IndexEntry], list[ImageError]]:
    """Measure files, or read the values of unchanged files from the folder's table.

    Args:
        root: The folder that contains the files.
        paths: The files.
        write: Write the table to the folder. If that is not permitted, the files are measured again next time.

    Returns:
        The entries of the readable files, in their order, and the errors of the others.
    """
    known = _read(root / INDEX_NAME)
    found: dict[Path, IndexEntry | ImageError] = {}
    missing = []
    for path in paths:
        entry = known.get(path.relative_to(root).as_posix())
        try:
            status = path.stat()
        except OSError as error:
            found[path] = ImageError(f"{path}: cannot be opened: {error.strerror}")
            continue
        if entry is not None and (entry.bytes, entry.changed) == (status.st_size, status.st_mtime_ns):
            found[path] = entry
        else:
            missing.append(path)
    if missing:
        with ThreadPoolExecutor() as pool:  # decoding releases Python's global interpreter lock
            found.update(zip(missing, pool.map(lambda path: _measure(root, path), missing), strict=True))
    measured = {path: one for path in paths if isinstance(one := found[path], IndexEntry)}
    if missing and write:
        _write(root / INDEX_NAME, list(measured.values()))
    return measured, [one for path in paths if isinstance(one := found[path], ImageError)]


def _measure(root: Path, path: Path) -> IndexEntry | ImageError:
    try:
        status = path.stat()
        mask = binarize(read_gray(path))
    except ImageError as error:
        return error
    name = path.relative_to(root).as_posix()
    return IndexEntry(name, int(np.count_nonzero(mask)), mask.size, status.st_size, status.st_mtime_ns)


def _read(table: Path) -> dict[str, IndexEntry]:
    """Return the entries of a table; empty if it is missing or has another format."""
    try:
        text = table.read_text(encoding="utf-8", errors="surrogateescape")  # file names may contain any bytes
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
    except OSError:  # datasets are often on read-only disks
        return


def _columns() -> list[str]:
    return [field.name for field in fields(IndexEntry)]
