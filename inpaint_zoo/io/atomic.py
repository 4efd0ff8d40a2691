"""Writing that a kill cannot tear: a file or folder is there whole, or not at all.

Everything is written under a temporary name in the folder of its target, flushed to the disk and then renamed, which
POSIX and NTFS do in one step. `TMPDIR` plays no part: it may be full, or lie on another file system, where a rename
becomes a copy. Leftovers of a killed process carry `TEMPORARY_PREFIX` in their names.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = [
    "TEMPORARY_PREFIX",
    "atomic_folder",
    "atomic_path",
    "remove_leftovers",
    "sha256_file",
    "sha256_json",
    "sha256_or_unreadable",
    "write_bytes",
    "write_json",
]

TEMPORARY_PREFIX = ".tmp-"
_LONGEST_SUFFIX = 16  # bytes; longer "suffixes" are part of a name with a dot, not a format


def _temporary(path: Path) -> Path:
    """A new name beside ``path`` that no file name limit refuses, however long the name of ``path`` is."""
    # the suffix stays last: writers such as Pillow choose the format by it
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= _LONGEST_SUFFIX else ""
    return path.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex[:16]}{suffix}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Flush a rename within ``folder`` to the disk; Windows and some network file systems cannot."""
    with suppress(OSError):
        _sync(folder)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it replaces ``path``, on error it is removed.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "notes" / "a.txt"
        >>> with atomic_path(target) as temporary:
        ...     _ = temporary.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write ``data`` to ``path``, whole or not at all; parent folders are made."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: str | Path, value: object) -> None:
    """Write plain values as readable JSON, whole or not at all."""
    write_bytes(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; on success it becomes ``path``, on error it is removed.

    Raises:
        FileExistsError: ``path`` exists already; remove it first.
    """
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"{path} exists already")
    temporary = _temporary(path)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _sync(file)
        temporary.rename(path)
        _sync_folder(path.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def remove_leftovers(folder: str | Path, below: bool = True) -> None:
    """Remove what killed processes left behind; only who holds the folder's lock may do so.

    Args:
        folder: Where to look.
        below: Look into its folders as well.
    """
    pattern = f"{TEMPORARY_PREFIX}*"
    for leftover in sorted(Path(folder).rglob(pattern) if below else Path(folder).glob(pattern)):
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def sha256_file(path: str | Path) -> str:
    """SHA-256 of the bytes of a file, in hexadecimal.

    Raises:
        OSError: The file cannot be read, or is not a regular file: opening a pipe would wait forever.
    """
    path = Path(path)
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_or_unreadable(path: str | Path) -> str:
    """SHA-256 of the bytes of a file, in hexadecimal, or "unreadable"."""
    try:
        return sha256_file(path)
    except OSError:
        return "unreadable"


def sha256_json(value: object) -> str:
    """SHA-256 of a plain value as canonical JSON (sorted keys, no blanks, UTF-8), in hexadecimal.

    Example:
        >>> sha256_json({"b": 1, "a": 2}) == sha256_json({"a": 2, "b": 1})
        True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
