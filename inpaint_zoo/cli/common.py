"""What every command shares: consoles, the progress bar, and arguments read from a function's signature."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from jsonargparse import auto_cli
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["auto", "console", "err_console", "progress_bar"]

console = Console(highlight=False)
err_console = Console(stderr=True, highlight=False)


def auto(components: Callable[..., Any] | dict[str, Any], args: list[str], prog: str) -> int:
    """Run a function, or one of several by its name, with arguments parsed from ``args``.

    Parameters without a default become positional arguments, the others options; types and help come from the
    signature and the docstring. The function returns the exit code, or None for 0.
    """
    result = auto_cli(components, args=args, prog=prog)
    return int(result or 0)


def progress_bar() -> Progress:
    """The one look of progress: description, bar, count, time spent and left; silent when there is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err_console,
        disable=not sys.stderr.isatty(),
    )
