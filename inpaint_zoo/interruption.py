"""End a program in order when SIGINT or SIGTERM arrives."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interruption", "once_interrupted"]


class Interruption:
    """Handler of SIGINT and SIGTERM that raises a `KeyboardInterrupt` once, and ignores further signals.

    Attributes:
        happened: Whether a signal has arrived.
    """

    happened = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle the first signal."""
        self.happened = True
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.SIG_IGN)
        raise KeyboardInterrupt


@contextmanager
def once_interrupted() -> Iterator[Interruption]:
    """Let the first SIGINT or SIGTERM raise a `KeyboardInterrupt`, and ignore further ones.

    A terminal sends Ctrl-C to all processes, and the launcher sends a signal to each of them as well; the second one
    must not break off what the first one has begun. Blocks inside of each other share the handler of the outer one.
    """
    known = signal.getsignal(signal.SIGTERM)
    if isinstance(known, Interruption):
        yield known
        return
    stop = Interruption()
    if threading.current_thread() is not threading.main_thread():  # the handlers of a program that calls the package
        yield stop
        return
    before = {name: signal.signal(name, stop) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for name, handler in before.items():
            if signal.getsignal(name) is stop:
                signal.signal(name, handler)
