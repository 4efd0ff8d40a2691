"""What every command shares: consoles, the progress bar, and how a command line is read."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["Verb", "command_parser", "console", "err_console", "list_and_show", "progress_bar"]

console = Console(highlight=False)
err_console = Console(stderr=True, highlight=False)


class _Parser(ArgumentParser):
    """A parser that takes no abbreviated option; those of its subcommands are of the same class."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)


def command_parser(name: str, description: str) -> ArgumentParser:
    """The parser of `inpaint-zoo NAME`; options are never abbreviated, so that a new one changes no script."""
    return _Parser(prog=f"inpaint-zoo {name}", description=description)


class Verb(NamedTuple):
    """A word that a command knows besides `list` and `show`."""

    help: str
    arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], None]


def list_and_show(
    name: str,
    args: list[str],
    lists: Callable[[str, bool], None],
    shows: Callable[[str], None],
    more: Mapping[str, Verb] | None = None,
) -> int:
    """Run `inpaint-zoo NAME [list [PATTERN] [--markdown] | show ONE]`; without a word after the name, the list.

    Args:
        name: The command, a plural such as "models".
        args: The words after it.
        lists: Prints those that match a shell pattern, as a table for the terminal or in Markdown.
        shows: Prints all that is known of one.
        more: What else the command does, by the word that asks for it.
    """
    more = more or {}
    parser = command_parser(name, f"What is known of the {name}: all of them, or one.")
    verbs = parser.add_subparsers(dest="verb", metavar=" | ".join(("list", "show", *more)), required=True)
    listing = verbs.add_parser("list", help=f"a table of the {name}")
    listing.add_argument("pattern", nargs="?", default="*", help="shell pattern over the names")
    listing.add_argument("--markdown", action="store_true", help="print the table of the documentation")
    showing = verbs.add_parser("show", help="one of them")
    showing.add_argument("name", metavar="NAME")
    for word, verb in more.items():
        verb.arguments(verbs.add_parser(word, help=verb.help, description=verb.help))
    options = parser.parse_args(args or ["list"])
    if options.verb in more:
        more[options.verb].run(options)
    elif options.verb == "show":
        shows(options.name)
    else:
        lists(options.pattern, options.markdown)
    return 0


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
