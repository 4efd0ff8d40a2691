"""How the time of a run divides into its stages: decoding, masks, forward passes, metrics, writing, waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

__all__ = ["STAGES", "Clock", "Stage", "added", "overhead", "seconds_line"]

Stage = Literal["decode", "mask", "forward", "metrics", "write", "start"]
STAGES = {
    "decode": "reading the images of the datasets",
    "mask": "masks, and images with holes",
    "forward": "the methods on the images, or reading finished results",
    "metrics": "metrics, and features of the ground truth",
    "write": "writing cells",
    "start": "loading networks, warming up, and latencies that are measured outside the run",
    "idle": "none of these",
}
"""Meaning of the stages; their seconds add up to the time that passed."""


class Clock:
    """Divides the time that passes between the stages that are active in all threads.

    While several threads work, the time is divided equally between them, so that the seconds of all stages and of
    "idle" add up to the time that passed.

    Args:
        now: Function that returns the time in seconds.

    Example:
        >>> clock = Clock(iter([0.0, 1.0, 3.0, 3.5]).__next__)
        >>> with clock.stage("decode"):
        ...     pass
        >>> seconds = clock.lap()
        >>> seconds["decode"], seconds["idle"]
        (2.0, 1.5)
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._active: dict[str, int] = {}
        self._seconds = dict.fromkeys(STAGES, 0.0)  # since the last lap
        self._before = dict.fromkeys(STAGES, 0.0)
        self._last = now()

    @contextmanager
    def stage(self, name: Stage) -> Iterator[None]:
        """Count the time of the block, in the calling thread, for a stage. Blocks must not be nested."""
        self._change(name, 1)
        try:
            yield
        finally:
            self._change(name, -1)

    def lap(self) -> dict[str, float]:
        """Return the seconds of each stage since the last call, or since the start."""
        with self._lock:
            self._pass()
            seconds, self._seconds = self._seconds, dict.fromkeys(STAGES, 0.0)
            self._before = added([self._before, seconds])
        return seconds

    def total(self) -> dict[str, float]:
        """Return the seconds of each stage since the start."""
        with self._lock:
            self._pass()
            return added([self._before, self._seconds])

    def _change(self, name: Stage, by: int) -> None:
        with self._lock:
            self._pass()
            self._active[name] = self._active.get(name, 0) + by

    def _pass(self) -> None:
        """Divide the time since the last event."""
        now = self._now()
        elapsed, self._last = now - self._last, now
        threads = sum(self._active.values())
        for name, count in self._active.items() if threads else (("idle", 1),):
            self._seconds[name] += elapsed * count / max(threads, 1)


def added(laps: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the sum of laps, by stage."""
    total = dict.fromkeys(STAGES, 0.0)
    for lap in laps:
        for name, seconds in lap.items():
            total[name] += seconds
    return total


def overhead(seconds: Mapping[str, float]) -> float | None:
    """Return the time that passed, relative to that of forward passes and metrics; None if there are none.

    Example:
        >>> overhead({"decode": 1.0, "forward": 6.0, "metrics": 4.0})
        1.1
    """
    needed = seconds.get("forward", 0.0) + seconds.get("metrics", 0.0)
    return sum(seconds.values()) / needed if needed else None


def seconds_line(seconds: Mapping[str, float]) -> str:
    """Return the time of each stage with its share, in one line; empty if no time is known.

    Example:
        >>> seconds_line({"decode": 1.0, "forward": 6.0, "metrics": 4.0})
        '11.0 s: decode 1.0 s (9 %), forward 6.0 s (55 %), metrics 4.0 s (36 %); 1.10 times forward and metrics'
    """
    total = sum(seconds.values())
    if not total:
        return ""
    shares = ", ".join(f"{name} {each:.1f} s ({100 * each / total:.0f} %)" for name, each in seconds.items())
    ratio = overhead(seconds)
    return f"{total:.1f} s: {shares}" + ("" if ratio is None else f"; {ratio:.2f} times forward and metrics")
