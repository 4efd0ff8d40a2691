"""A process that computes, so that a job can be stopped when its time is over, and a crash does not stop the page."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from inpaint_zoo.demo.task import Filled, Request, Tasks
from inpaint_zoo.errors import ZooError

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

__all__ = ["Worker"]

START = 120  # seconds for the imports of a new process, which do not count as time of the first job


class Worker:
    """Runs `Tasks` in a process of its own, which is started for the first request and after each one that failed.

    Args:
        device: Name of the device, as in `choose_device`.
        seconds: Longest time of a request.
    """

    def __init__(self, device: str, seconds: float) -> None:
        self._device, self._seconds = device, seconds
        self._lock = threading.Lock()
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None

    def __call__(self, request: Request) -> Filled:
        """Compute a request. Requests of several threads are computed one after the other.

        Raises:
            ZooError: If the model cannot fill the image, needs more than the longest time, or its process has died.
        """
        with self._lock:
            pipe = self._ready()
            try:
                pipe.send(request)
                if not pipe.poll(self._seconds):
                    self.stop()
                    H, W = request.hole.shape
                    raise ZooError(
                        f"{request.model.name} needed more than {self._seconds:g} seconds for {W} x {H} pixels and was "
                        "stopped. Choose a smaller image or a faster model."
                    )
                answer = pipe.recv()
            except (EOFError, OSError) as error:
                self.stop()
                raise ZooError(
                    f"The process that ran {request.model.name} has died, probably because it ran out of memory. "
                    "Choose a smaller image or a smaller model."
                ) from error
        if isinstance(answer, str):
            raise ZooError(answer)
        return answer

    def stop(self) -> None:
        """Stop the process, if there is one."""
        if self._process is not None and self._pipe is not None:
            self._pipe.close()
            self._process.kill()
            self._process.join()
        self._process = self._pipe = None

    def _ready(self) -> Connection:
        if self._process is not None and self._pipe is not None and self._process.is_alive():
            return self._pipe
        self.stop()
        context = multiprocessing.get_context("spawn")  # a fork would copy the threads' locks of the server
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(theirs, self._device), daemon=True)
        self._process.start()
        theirs.close()
        try:
            problem = self._pipe.recv() if self._pipe.poll(START) else f"it did not start within {START} seconds"
        except EOFError:
            problem = "it died when it was started"
        if problem is not None:
            self.stop()
            raise ZooError(f"The process that runs the models is not available: {problem}.")
        return self._pipe


def _run(pipe: Connection, device: str) -> None:
    """Compute requests until the other end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C also reaches this process; the page stops it
    try:
        tasks = Tasks(device)
    except ZooError as error:
        pipe.send(str(error))
        return
    pipe.send(None)
    while True:
        try:
            request = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(tasks(request))
        except Exception as error:  # whatever a model raises is shown on the page, which goes on
            pipe.send(str(error) if isinstance(error, ZooError) else f"{type(error).__name__}: {error}")
