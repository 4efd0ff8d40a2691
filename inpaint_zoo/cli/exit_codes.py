"""Report every failure of a command as one line and an exit code; `inpaint_zoo.cli.main` lists the codes."""

from __future__ import annotations

import errno
import os
import re
import shlex
import sys
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from inpaint_zoo.cli.opencv import opencv_advice
from inpaint_zoo.errors import ZooError

__all__ = ["exit_code"]

CLOSED_PIPE = 141  # 128 + SIGPIPE, as of programs that the signal ends: `inpaint-zoo models | head -1`


def _message(error: ZooError) -> str:
    """Return the message of an error, without the traceback that a DataLoader adds to an error of its workers."""
    text = str(error)
    if not (text.startswith("Caught ") and "Original Traceback" in text):
        return text
    return re.split(r"^[\w.]+: ", text, flags=re.MULTILINE)[-1]


def _complain(message: str) -> None:
    sys.stderr.write(f"error: {' '.join(message.split())}\n")


def _output_is_closed() -> bool:
    """Return whether nobody reads stdout any more; then also drop what is in its buffer."""
    try:
        sys.stdout.write("\n")  # the write that failed may have emptied the buffer, and then a flush raises nothing
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _code_of_the_user(error: BaseException) -> str | None:
    """Return the file and line of the innermost call in code of the user, such as a callback; None if there is none.

    Code is of the user if it belongs neither to inpaint-zoo nor to an installed package or Python itself.
    """
    installed = (str(Path(__file__).parent.parent), *sysconfig.get_paths().values(), sys.prefix, sys.base_prefix)
    folders = tuple(f"{folder.rstrip(os.sep)}{os.sep}" for folder in installed)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(("<", *folders)):
            return f"{frame.filename}, line {frame.lineno}"
    return None


def exit_code(command: Callable[[], int], args: Sequence[str], debug: bool = False) -> int:
    """Run a command and return its exit code.

    Args:
        command: Function that runs the command.
        args: The arguments of `inpaint-zoo`, for messages.
        debug: Raise errors instead of reporting them.
    """
    try:
        code = command()
        if "cv2" in sys.modules and (advice := opencv_advice()):
            warnings.warn(advice, stacklevel=1)
        sys.stdout.flush()  # raises here, and not at exit, if the reader of a pipe has ended
        return code
    except KeyboardInterrupt as interruption:
        _complain(
            str(interruption) or "stopped; finished work is kept, and running the same command again continues it"
        )
        return 130
    except ZooError as error:
        if debug:
            raise
        _complain(_message(error))
        return 2
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _output_is_closed():
            return CLOSED_PIPE
        if debug:
            raise
        where = f": {error.filename}" if error.filename else ""
        reason = "no space left on the device" if error.errno == errno.ENOSPC else error.strerror or str(error)
        _complain(f"{reason}{where}")
        return 2
    except Exception as error:
        if debug:
            raise
        if (isinstance(error, ImportError) or "'cv2'" in str(error)) and (advice := opencv_advice(str(error))):
            _complain(f"{type(error).__name__}: {error}. {advice}")
            return 2
        line = shlex.join(["inpaint-zoo", "--debug", *args])
        origin = _code_of_the_user(error)
        if origin is None:
            advice = f"this is a fault of inpaint-zoo; please report it with the output of: {line}"
        else:
            advice = f"raised by {origin}; to see the calls, run: {line}"
        _complain(f"{type(error).__name__}: {error} ({advice})")
        return 1
