"""Stored listings of large folders, so that a data set with a million images is listed once and not at every start.

A listing is valid as long as the modification times of the folder and all its subfolders are the same: adding, removing
or renaming a file changes that of its folder. Listings are files in `listings` of the folder that `INPAINT_ZOO_CACHE`
names, by default `inpaint-zoo` in `XDG_CACHE_HOME` or `~/.cache`. If it cannot be written, nothing is stored.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from inpaint_zoo.io.atomic import write_bytes
from inpaint_zoo.io.name_list import NameList
from inpaint_zoo.io.names import real_path

__all__ = ["CACHE_FOLDER", "Listing", "read_listing", "write_listing"]

CACHE_FOLDER = "INPAINT_ZOO_CACHE"
STORED_FROM = 20_000
"""Number of files from which a listing is stored; smaller folders are listed as fast as a stored listing is read."""
FILES_PER_FOLDER = 10
"""Average number of files per folder from which a listing is stored, because reading it checks every folder."""
SETTLED = 10.0
"""Seconds since the last change of a folder, from which its time is trusted; clocks and file systems are coarse."""
_FORMAT = "inpaint-zoo listing 1"


class Listing(NamedTuple):
    """The images of a folder and its subfolders.

    Attributes:
        names: Relative names of the images with `/`, in natural order.
        skipped: Relative names of skipped folders of thumbnails or system data.
        others: Relative names of files in formats that are not read.
        folders: Modification time in nanoseconds of each folder, by its relative name; "" is the folder itself.
    """

    names: NameList
    skipped: list[str]
    others: list[str]
    folders: dict[str, int]


def read_listing(root: Path) -> Listing | None:
    """Return the stored listing of a folder; None if there is none or the folder has changed."""
    try:
        head, _, names = _place(root).read_bytes().partition(b"\n")
        stored = json.loads(head)
        if stored["format"] != _FORMAT or stored["bytes"] != len(names):
            return None
        folders = stored["folders"]
        if any((root / name).stat().st_mtime_ns != changed for name, changed in folders.items()):
            return None
        return Listing(NameList(names), stored["skipped"], stored["others"], folders)
    except (OSError, ValueError, KeyError, TypeError):  # there is none, a folder is gone, or the file is damaged
        return None


def write_listing(root: Path, listing: Listing) -> None:
    """Store the listing of a large folder whose last change is not too recent."""
    is_large = len(listing.names) >= max(STORED_FROM, FILES_PER_FOLDER * len(listing.folders))
    if not is_large or max(listing.folders.values()) > time.time_ns() - SETTLED * 1e9:
        return
    head = {
        "format": _FORMAT,
        "root": str(real_path(root)),
        "bytes": len(listing.names.data),
        "skipped": listing.skipped,
        "others": listing.others,
        "folders": listing.folders,
    }
    with suppress(OSError):  # it is only a cache
        write_bytes(_place(root), json.dumps(head).encode() + b"\n" + listing.names.data)


def _place(root: Path) -> Path:
    given = os.environ.get(CACHE_FOLDER)
    folder = Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "inpaint-zoo"
    key = hashlib.sha256(os.fsencode(real_path(root))).hexdigest()[:32]
    return folder / "listings" / f"{key}.names"
