"""Locks on folders, so that only one run at a time writes to a folder."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from inpaint_zoo.errors import ZooError

__all__ = ["is_lock", "lock_folder"]

LOCK = ".lock"


def is_lock(name: str) -> bool:
    """Return whether a file name is that of a lock. A folder that contains only a killed run's lock counts as empty."""
    return name == LOCK or name.startswith(f"{LOCK}-")


@contextmanager
def lock_folder(folder: str | Path, purpose: str = "") -> Iterator[None]:
    """Hold a lock on ``folder`` within the context. The lock is also released if the process is killed.

    A missing folder is created. At the end, the lock file is removed, and so are the folders that were created here if
    they are empty. Therefore a run that is refused leaves no files.

    Args:
        folder: The folder to lock.
        purpose: Name of the lock. Runs with different purposes may use a folder at the same time, because they write
            different files.

    Raises:
        ZooError: ``folder`` is a file, or another run with this purpose holds the lock.
    """
    from filelock import FileLock, Timeout

    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ZooError(f"{folder} is a file, but --out must be a folder.")
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (f"{LOCK}-{purpose}" if purpose else LOCK)
    lock = FileLock(path, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise ZooError(
            f"Another run is using {folder} ({_holder(path)}). Wait until it ends, or choose another --out."
        ) from None
    try:
        _sign(path)
        yield
    finally:
        # Unlink before the release. A process that opens the path afterwards creates a new file, and filelock does
        # not accept a lock on a file that was unlinked meanwhile.
        with suppress(OSError):
            path.unlink()
        lock.release()
        for place in made:
            with suppress(OSError):  # the folder is not empty
                place.rmdir()


def _sign(path: Path) -> None:
    with suppress(OSError):  # only needed for the message that another run gets
        path.write_text(f"{os.getpid()} {socket.gethostname()}", encoding="utf-8")


def _holder(path: Path) -> str:
    try:
        process, host = path.read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return "its process is unknown"
    return f"process {process}" if host == socket.gethostname() else f"process {process} on {host}"
