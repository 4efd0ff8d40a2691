"""Stopwatch for the speed scripts."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any


class Watch:
    """Sum of the seconds of each part of a step.

    Args:
        clock: Function that returns seconds, such as `time.perf_counter` or `time.process_time`.
        settle: Called before each reading; on a GPU, `torch.cuda.synchronize`.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter, settle: Callable[[], object] = int) -> None:
        self.clock, self.settle = clock, settle
        self.seconds: dict[str, float] = defaultdict(float)

    def now(self) -> float:
        """Return the time when all work is done."""
        self.settle()
        return self.clock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the duration of the block to a part."""
        start = self.now()
        yield
        self.seconds[name] += self.now() - start

    def timed(self, function: Callable[..., Any], name: Callable[..., str]) -> Callable[..., Any]:
        """Return ``function`` with its duration added to the part that ``name`` returns for its arguments."""

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - those of the function
            with self.stage(name(*args, **kwargs)):
                return function(*args, **kwargs)

        return call
