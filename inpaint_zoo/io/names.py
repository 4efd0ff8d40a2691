"""File names: a normalized spelling, existence checks, and errors that concern a single name."""

from __future__ import annotations

import errno
import os
import unicodedata
from pathlib import Path

__all__ = ["concerns_one_name", "exists", "plain_name", "real_path", "spelled"]

_ABOUT_ONE_NAME = frozenset(
    {
        *(errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.ELOOP),  # the file system does not accept the name
        *(errno.EISDIR, errno.ENOTDIR, errno.EEXIST),  # the name is in use
    }
)


def plain_name(name: str) -> str:
    r"""Return the normalized spelling of a file name, which is used to compare and record it.

    The name is converted to Unicode NFC, because macOS stores `é` as two characters and most other systems as one.
    Python represents bytes that are not UTF-8 by lone surrogates, which cannot be written to a text file. They are
    escaped, for example as `\udce9`.

    Example:
        >>> plain_name("cafe\u0301") == "caf\u00e9", plain_name("caf\udce9")
        (True, 'caf\\udce9')
    """
    if name.isascii():
        return name
    return unicodedata.normalize("NFC", name).encode("utf-8", "backslashreplace").decode()


def exists(path: Path) -> bool:
    """Return whether a file exists; False for names that no file can have, such as a name of 300 bytes."""
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


def spelled(path: Path) -> Path:
    """Return the file or folder called ``path`` as the disk spells it, in any Unicode normalization.

    If there is none, ``path`` is returned.
    """
    if path.as_posix().isascii() or exists(path) or path.parent == path:
        return path
    folder = spelled(path.parent)
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names, not paths
    except OSError:
        return path
    wanted = plain_name(path.name)
    return next((folder / name for name in names if plain_name(name) == wanted), path)


def real_path(path: Path) -> Path:
    """Return the absolute path with all links resolved. Links that form a cycle are left unresolved."""
    return Path(os.path.realpath(path))  # Path.resolve raises an error for links that form a cycle


def concerns_one_name(error: OSError) -> bool:
    """Return whether an error in writing is due to this file name only, unlike a full disk, which affects all files."""
    return error.errno in _ABOUT_ONE_NAME
