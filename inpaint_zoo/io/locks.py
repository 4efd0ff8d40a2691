"""Locks of folders: one run at a time writes into a folder."""

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
    """Whether a file name is that of a lock: what a killed run may leave in a folder, and what counts as nothing."""
    return name == LOCK or name.startswith(f"{LOCK}-")


@contextmanager
def lock_folder(folder: str | Path, purpose: str = "") -> Iterator[None]:
    """Hold a lock of ``folder``, which is made where it is missing; the lock ends with the process, however that ends.

    The lock file is removed in the end, and with it the folders that were made for it where nothing was put into them.
    So a run that is refused leaves no trace.

    Args:
        folder: What to lock.
        purpose: Runs with different purposes may work in one folder at the same time, because they write different
            files.

    Raises:
        ZooError: ``folder`` is a file, or another run with this purpose holds the lock.
    """
    from filelock import FileLock, Timeout

    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ZooError(f"{folder} is a file; --out wants a folder.")
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (f"{LOCK}-{purpose}" if purpose else LOCK)
    lock = FileLock(path, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise ZooError(
            f"Another run works in {folder} ({_holder(path)}); wait for it, or give another folder to --out."
        ) from None
    try:
        _sign(path)
        yield
    finally:
        # before the release: who opens the file later makes a new one, and filelock refuses an unlinked one
        with suppress(OSError):
            path.unlink()
        lock.release()
        for place in made:
            with suppress(OSError):  # it holds something by now
                place.rmdir()


def _sign(path: Path) -> None:
    with suppress(OSError):  # only the message of the one who comes second needs it
        path.write_text(f"{os.getpid()} {socket.gethostname()}", encoding="utf-8")


def _holder(path: Path) -> str:
    try:
        process, host = path.read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return "its process is unknown"
    return f"process {process}" if host == socket.gethostname() else f"process {process} on {host}"
