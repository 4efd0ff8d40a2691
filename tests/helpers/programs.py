"""Processes that fork from one which has imported the libraries, and the command line in such processes.

Python with torch and Lightning needs 8 s to start on a slow core, and many tests need a process that they can kill.
"""

import atexit
import contextlib
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from tests.helpers.small_runs import REPOSITORY

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.helpers.preloaded"])
_RUNNING: "weakref.WeakSet[Forked]" = weakref.WeakSet()


@atexit.register
def _leave_nothing() -> None:
    """Kill what still runs when the tests end early."""
    for program in list(_RUNNING):
        program.kill()


def start_server() -> None:
    """Start the server, before `inpaint-zoo benchmark --devices` in this process starts one that has imported less."""
    forkserver.ensure_running()


def _run(
    target: Callable[..., Any], arguments: Sequence[Any], place: str, environment: dict[str, str], out: str, err: str
) -> None:
    import torch

    multiprocessing.set_start_method(None, force=True)  # as in a new process: a forked one keeps to the server's method
    os.setsid()  # so that loading processes can be killed with it
    for path, number in ((out, 1), (err, 2)):
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    torch.set_num_threads(int(environment["OMP_NUM_THREADS"]))  # the library has read the variable already
    os.chdir(place)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the server ignores it
    target(*arguments)


class Forked:
    """A running function of a module, in a process of its own.

    Args:
        target: The function, which the process can import.
        *arguments: Its arguments, which can be pickled.
        cwd: Current folder of the process.
        joined: Whether standard error goes to the same file as standard output.
        **environment: Environment variables, in addition to those of this process.
    """

    def __init__(
        self,
        target: Callable[..., Any],
        *arguments: Any,
        cwd: Path = REPOSITORY,
        joined: bool = False,
        **environment: str,
    ) -> None:
        folder = Path(tempfile.mkdtemp())
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._out, self._err = folder / "out", folder / ("out" if joined else "err")
        values = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
        given = (target, arguments, str(cwd), values, str(self._out), str(self._err))
        self._process = _CONTEXT.Process(target=_run, args=given)
        self._process.start()
        _RUNNING.add(self)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stdout(self) -> str:
        return self._out.read_text(errors="surrogateescape") if self._out.exists() else ""

    @property
    def stderr(self) -> str:
        return self._err.read_text(errors="surrogateescape") if self._err.exists() else ""

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while the process runs."""
        return self._process.exitcode

    def wait(self, seconds: float = 300) -> int:
        """Wait for the end and return the exit code.

        Raises:
            TimeoutError: If the process is still running after ``seconds``. It is killed.
        """
        self._process.join(seconds)
        if (code := self.poll()) is None:
            self.kill()
            raise TimeoutError(f"still running after {seconds} s: {self.stdout}{self.stderr}")
        return code

    def kill(self) -> None:
        """Kill the process and those that it has started, unless it has ended, and wait for its end."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        self._process.join()

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = 300) -> None:
        """Wait until a condition holds.

        Raises:
            AssertionError: If the process ends before, or the condition does not hold after ``seconds``.
        """
        end = time.monotonic() + seconds
        while not condition():
            assert self.poll() is None, f"ended before {what}: {self.stdout}{self.stderr}"
            if time.monotonic() > end:
                self.kill()
                raise AssertionError(f"{what} was not reached in {seconds} s: {self.stdout}{self.stderr}")
            time.sleep(0.005)


def _command(words: list[str], before: Callable[[], None] | None) -> None:
    from tests.helpers.program import run  # not before the process has its own environment: see `preloaded`

    sys.argv = ["inpaint-zoo", *words]
    if before is not None:
        before()
    run(words)


class Program(Forked):
    """A running command, with the models of the tests.

    Args:
        *words: Arguments of ``inpaint-zoo``.
        before: Function of a module to call in the process first.
        **options: Options of `Forked`.
    """

    def __init__(self, *words: object, before: Callable[[], None] | None = None, **options: Any) -> None:
        super().__init__(_command, [str(word) for word in words], before, **options)


def rank_environments(count: int) -> list[dict[str, str]]:
    """Return the environment that torchrun and SLURM give to each process of a run on one machine."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    return [
        {"MASTER_ADDR": "localhost", "MASTER_PORT": port, "NODE_RANK": "0", "LOCAL_RANK": str(rank)}
        for rank in range(count)
    ]


def slurm_environments(count: int, folder: Path) -> list[dict[str, str]]:
    """Return the environment that SLURM gives to each process of job 7_3, with the programs in ``folder``."""
    (first, *_) = rank_environments(1)
    common = {
        "SLURM_JOB_ID": "9",
        "SLURM_ARRAY_JOB_ID": "7",
        "SLURM_ARRAY_TASK_ID": "3",
        "SLURM_JOB_NAME": "train",
        "SLURM_NTASKS": str(count),
        "SLURM_NTASKS_PER_NODE": str(count),
        "SLURM_NODEID": "0",
        "MASTER_ADDR": first["MASTER_ADDR"],
        "MASTER_PORT": first["MASTER_PORT"],
        "PATH": f"{folder}:{os.environ['PATH']}",
    }
    return [{**common, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)} for rank in range(count)]
