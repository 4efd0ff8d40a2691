"""The command line in processes of their own, which fork from a process that has imported the libraries.

Python with torch and Lightning needs 8 s to start on a slow core, and many tests need a process that they can kill.
"""

import atexit
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path

from tests.helpers.small_runs import REPOSITORY

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.helpers.preloaded"])


_RUNNING: "weakref.WeakSet[Program]" = weakref.WeakSet()


@atexit.register
def _leave_nothing() -> None:
    """Kill what still runs when the tests end early."""
    for program in list(_RUNNING):
        if program.poll() is None:
            program.kill()


def _run(
    words: list[str], place: str, environment: dict[str, str], out: str, err: str, before: Callable | None
) -> None:
    import torch

    from inpaint_zoo.cli.main import main
    from tests.helpers.toys import painter_registered

    multiprocessing.set_start_method(None, force=True)  # as in a new process: a forked one keeps to the server's method
    os.setsid()  # so that loading processes can be killed with it
    for path, number in ((out, 1), (err, 2)):
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    torch.set_num_threads(int(environment["OMP_NUM_THREADS"]))  # the library has read the variable already
    os.chdir(place)
    sys.argv = ["inpaint-zoo", *words]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # multiprocessing's server ignores it
    if before is not None:
        before()
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    with painter_registered():
        sys.exit(main(list(words)))


class Program:
    """A running command, with the models of the tests.

    Args:
        *words: Arguments of ``inpaint-zoo``.
        cwd: Current folder of the process.
        before: Module-level function to call in the process first.
        joined: Whether standard error goes to the same file as standard output.
        **environment: Environment variables, in addition to those of this process.
    """

    def __init__(
        self,
        *words: object,
        cwd: Path = REPOSITORY,
        before: Callable[[], None] | None = None,
        joined: bool = False,
        **environment: str,
    ) -> None:
        self._out = tempfile.NamedTemporaryFile()  # noqa: SIM115 (they are read until this object is gone)
        self._err = self._out if joined else tempfile.NamedTemporaryFile()  # noqa: SIM115
        values = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
        arguments = ([str(word) for word in words], str(cwd), values, self._out.name, self._err.name, before)
        self._process = _CONTEXT.Process(target=_run, args=arguments)
        self._process.start()
        _RUNNING.add(self)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stdout(self) -> str:
        return Path(self._out.name).read_text(errors="surrogateescape")

    @property
    def stderr(self) -> str:
        return Path(self._err.name).read_text(errors="surrogateescape")

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
        """Kill the process and those that it has started, and wait for its end."""
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
