"""File names: one spelling for names that look alike, and errors that concern a single name."""

from __future__ import annotations

import errno
import os
import unicodedata
from pathlib import Path

__all__ = ["concerns_one_name", "exists", "plain_name", "real_path"]

_ABOUT_ONE_NAME = frozenset(
    {
        *(errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.ELOOP),  # no file can have this name here
        *(errno.EISDIR, errno.ENOTDIR, errno.EEXIST),  # something else has it
    }
)


def plain_name(name: str) -> str:
    r"""Return the spelling of a file name under which it is compared and recorded.

    Accents are composed (Unicode NFC): macOS stores `é` as two characters, most other systems as one. Bytes that are
    not UTF-8, which Python represents by lone surrogates that no text file can hold, are spelled out as `\udce9`.

    Example:
        >>> plain_name("cafe\u0301") == "caf\u00e9", plain_name("caf\udce9")
        (True, 'caf\\udce9')
    """
    if name.isascii():
        return name
    return unicodedata.normalize("NFC", name).encode("utf-8", "backslashreplace").decode()


def exists(path: Path) -> bool:
    """Return whether a file is there; a name that no file can have, such as one of 300 bytes, is not."""
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


def real_path(path: Path) -> Path:
    """Return the absolute path without links; of a link that leads to itself, as far as it can be followed."""
    return Path(os.path.realpath(path))  # Path.resolve raises for links in a circle


def concerns_one_name(error: OSError) -> bool:
    """Return whether an error of writing concerns this file name only; a full disk concerns every file."""
    return error.errno in _ABOUT_ONE_NAME
