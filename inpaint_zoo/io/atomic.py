"""Atomic writing: if the process is killed, a file or folder is either complete or does not exist.

Everything is written under a temporary name in the folder of its target, flushed to disk and then renamed. Renaming is
atomic on POSIX and NTFS. `TMPDIR` is not used, because it may be full or on another file system, where a rename is a
copy. Temporary files that a killed process leaves behind have names that start with `TEMPORARY_PREFIX`.
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
    "json_bytes",
    "remove_leftovers",
    "sha256_file",
    "sha256_json",
    "sha256_or_unreadable",
    "write_bytes",
    "write_json",
]

TEMPORARY_PREFIX = ".tmp-"
_LONGEST_SUFFIX = 16  # bytes; a longer "suffix" is not a file format but part of a name that contains a dot


def _temporary(path: Path) -> Path:
    """Return a new short name in the folder of ``path``, so that long names do not exceed the limit of file names."""
    # keep the suffix, because writers such as Pillow choose the format by it
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= _LONGEST_SUFFIX else ""
    return path.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex[:16]}{suffix}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Flush a rename within ``folder`` to disk. Windows and some network file systems do not support this."""
    with suppress(OSError):
        _sync(folder)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``. On success it replaces ``path``; on error it is removed.

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
    """Write ``data`` to ``path`` atomically; missing parent folders are created."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: str | Path, value: object) -> None:
    """Write plain values as indented JSON, atomically."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: object) -> bytes:
    """Return plain values as indented JSON in UTF-8, which ends with a line feed."""
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder next to ``path``. On success it is renamed to ``path``; on error it is removed.

    Raises:
        FileExistsError: ``path`` already exists; remove it first.
    """
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"{path} already exists")
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
    """Remove temporary files of killed processes. The caller must hold the folder's lock.

    Args:
        folder: The folder to search.
        below: Whether to search its subfolders, too.
    """
    pattern = f"{TEMPORARY_PREFIX}*"
    for leftover in sorted(Path(folder).rglob(pattern) if below else Path(folder).glob(pattern)):
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def sha256_file(path: str | Path) -> str:
    """Return the SHA-256 of the bytes of a file, in hexadecimal.

    Raises:
        OSError: The file cannot be read or is not a regular file, because opening a pipe could block forever.
    """
    path = Path(path)
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_or_unreadable(path: str | Path) -> str:
    """Return the SHA-256 of the bytes of a file, in hexadecimal, or "unreadable" if it cannot be read."""
    try:
        return sha256_file(path)
    except OSError:
        return "unreadable"


def sha256_json(value: object) -> str:
    """Return the SHA-256 of a plain value as canonical JSON (sorted keys, no spaces, UTF-8), in hexadecimal.

    Example:
        >>> sha256_json({"b": 1, "a": 2}) == sha256_json({"a": 2, "b": 1})
        True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
