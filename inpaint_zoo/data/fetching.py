"""Download remote files with the webdataset library into a folder that all processes share."""

from __future__ import annotations

import hashlib
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import atomic_path

__all__ = ["NO_WEBDATASET", "Cache", "fetch_bytes", "is_remote"]

NO_WEBDATASET = "need the webdataset library: pip install 'inpaint-zoo[cluster]'"
_TRIES = 4
PAUSE = 0.25
"""Time unit of retries: the wait before retry n is PAUSE * 2**n seconds."""
_REMOTE = re.compile(r"^(pipe:|[a-z][a-z0-9+.-]+://)")


def is_remote(url: str) -> bool:
    """Return whether ``url`` is not a path on this machine: http(s)://, gs://, pipe:COMMAND and so on.

    Example:
        >>> is_remote("pipe:cat a.tar"), is_remote("C:/a.tar"), is_remote("a.tar")
        (True, False, False)
    """
    return bool(_REMOTE.match(url))


class Cache(NamedTuple):
    """A folder of downloaded files.

    Attributes:
        folder: The folder, shared by the processes of a machine.
        files: Maximum number of files; the least recently used one is removed first.
    """

    folder: Path
    files: int = 64

    def find(self, url: str, name: str, size: int | None) -> Path:
        """Return the local copy of ``url``; download it if it is missing or does not have ``size`` bytes.

        Raises:
            ZooError: If it cannot be downloaded; the message starts with the URL.
        """
        path = self.folder / f"{hashlib.sha256(url.encode()).hexdigest()[:12]}-{name}"
        if not _is_whole(path, size):
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / f".{path.name[:12]}.lock"):  # one process at a time
                if not _is_whole(path, size):  # another process may have downloaded it in the meantime
                    _fetch(url, path, size)
                    self._evict(path)
        with suppress(OSError):  # another process just removed it; the reader will request it again
            os.utime(path, ns=(time.time_ns(),) * 2)  # explicit, because the file system's clock is coarser
        return path

    def _evict(self, kept: Path) -> None:
        found = []
        for path in self.folder.glob("[!.]*.tar"):  # names of unfinished files start with a dot
            with suppress(OSError):  # removed in the meantime
                found.append((path.stat().st_mtime_ns, path))
        for _, path in sorted(found)[: max(0, len(found) - self.files)]:
            if path != kept:
                path.unlink(missing_ok=True)


def fetch_bytes(url: str) -> bytes:
    """Return the content of a small remote file."""
    try:
        import webdataset
    except ImportError:
        raise ZooError(f"{url}: remote files {NO_WEBDATASET}") from None
    try:
        with webdataset.gopen(url, "rb") as stream:
            return bytes(stream.read())
    except Exception as error:  # transports can raise any error
        raise ZooError(f"{url}: cannot be fetched: {_reason(error)}") from None


def _fetch(url: str, path: Path, size: int | None) -> None:
    try:
        import webdataset
    except ImportError:
        raise ZooError(f"{url}: remote files {NO_WEBDATASET}") from None
    reason = ""
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(PAUSE * 2.0**attempt)
        try:
            with atomic_path(path) as temporary:
                with webdataset.gopen(url, "rb") as stream, temporary.open("wb") as file:
                    while block := stream.read(1 << 20):
                        file.write(block)
                came = temporary.stat().st_size
                if came != (came if size is None else size):
                    raise OSError(f"received {came:,} bytes, the index says {size:,}")
        except Exception as error:  # transports can raise any error; retry, and report the last one
            reason = _reason(error)
        else:
            return
    raise ZooError(f"{url}: cannot be fetched: {reason}")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _is_whole(path: Path, size: int | None) -> bool:
    try:
        return size in (None, path.stat().st_size)
    except OSError:
        return False
