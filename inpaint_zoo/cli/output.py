"""Output of commands to a terminal or a pipe in any encoding: warnings as single lines, and as many notes as wanted."""

from __future__ import annotations

import codecs
import io
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["chosen_verbosity", "readable_output"]

_ERRORS = "inpaint_zoo.spelled"
_LOOKALIKES = {
    "\N{UPWARDS ARROW}": "^",
    "\N{DOWNWARDS ARROW}": "v",
    "\N{RIGHTWARDS ARROW}": "->",
    "\N{FULL BLOCK}": "#",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{PLUS-MINUS SIGN}": "+/-",
    "\N{NO-BREAK SPACE}": " ",
    "\N{BOX DRAWINGS LIGHT HORIZONTAL}": "-",
    "\N{BOX DRAWINGS HEAVY HORIZONTAL}": "-",
    "\N{BOX DRAWINGS LIGHT VERTICAL}": "|",
}


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that an encoding lacks by a similar one, or else by an escape sequence."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    spelled = (_LOOKALIKES.get(x) or x.encode("ascii", "backslashreplace").decode() for x in lacking)
    return "".join(spelled), error.end


codecs.register_error(_ERRORS, _spelled)


def _as_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """Format a warning as one line, without its source line."""
    return f"warning: {message}\n"


@contextmanager
def readable_output() -> Iterator[None]:
    r"""Within the context, let stdout and stderr accept every character, and print each warning as one line.

    Pipes on Windows use cp1252, scheduler jobs may use ASCII, and file names may contain bytes that are invalid in any
    encoding. Such characters are replaced instead of raising an error: `↑` becomes `^`, `ł` becomes `\u0142`.
    """
    streams = [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, io.TextIOWrapper)]
    before = [stream.errors for stream in streams]
    formatted = warnings.formatwarning
    for stream in streams:
        stream.reconfigure(errors=_ERRORS)
    warnings.formatwarning = _as_line
    try:
        yield
    finally:
        warnings.formatwarning = formatted
        for stream, errors in zip(streams, before, strict=True):
            if not stream.closed:
                stream.reconfigure(errors=errors)


@contextmanager
def chosen_verbosity(verbosity: int) -> Iterator[None]:
    """Within the context, print less or more on stderr.

    Args:
        verbosity: -1 for no notes and no progress, 0 for the default, 1 for messages of the logger `inpaint_zoo` that
            inform, 2 for those that help to find a fault.
    """
    if verbosity < 0:
        from inpaint_zoo.cli.common import note_console  # here, because `--help` needs none

        note_console.quiet = True
        try:
            yield
        finally:
            note_console.quiet = False
        return
    if not verbosity:
        yield
        return
    logger, handler = logging.getLogger("inpaint_zoo"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO if verbosity == 1 else logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
