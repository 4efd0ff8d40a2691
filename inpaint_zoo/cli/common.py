"""What every command shares: consoles, the progress bar, and how a command line is read."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from inpaint_zoo.errors import ZooError

__all__ = [
    "Verb",
    "add_option_argument",
    "command_parser",
    "console",
    "err_console",
    "list_and_show",
    "parse_options",
    "progress_bar",
]

console = Console(highlight=False, emoji=False)
err_console = Console(stderr=True, highlight=False, emoji=False)


class _Parser(ArgumentParser):
    """A parser that takes no abbreviated option; those of its subcommands are of the same class."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)


def command_parser(name: str, description: str) -> ArgumentParser:
    """The parser of `inpaint-zoo NAME`; options are never abbreviated, so that a new one changes no script."""
    return _Parser(prog=f"inpaint-zoo {name}", description=description)


def add_option_argument(parser: ArgumentParser, of: str = "the model") -> None:
    """Add `--option KEY=VALUE`, which may be given several times; `parse_options` reads it.

    Args:
        parser: Of a command.
        of: Whose options they are, for the help.
    """
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"an option of {of}, such as steps=1; may be given several times; it overrides what a weight file states",
    )


def parse_options(words: Sequence[str]) -> dict[str, Any]:
    """Values by name from `KEY=VALUE` words; a value is read as JSON, else as YAML: 3, 1e-3, true, null, [1, 2], text.

    Raises:
        ZooError: A word is no `KEY=VALUE`, or a key is given twice.

    Example:
        >>> parse_options(["steps=1", "core=cnn", "fuse=false"])
        {'steps': 1, 'core': 'cnn', 'fuse': False}
    """
    options: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not (key and equals and text):
            raise ZooError(f"--option must be KEY=VALUE, such as steps=1, got '{word}'.")
        if key in options:
            raise ZooError(f"--option {key} is given twice: {key}={options[key]!r} and {word}.")
        options[key] = _value(text)
    return options


def _value(text: str) -> Any:  # noqa: ANN401 - any plain value
    try:
        return json.loads(text)
    except ValueError:  # YAML reads more, but 1e-3 as text
        pass
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


class Verb(NamedTuple):
    """A word that a command knows besides `list`, and how it is read and run."""

    help: str
    arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], None]


def list_and_show(
    name: str,
    args: list[str],
    lists: Callable[[str, bool], None],
    shows: Callable[[str], None] | Verb,
    more: Mapping[str, Verb] | None = None,
) -> int:
    """Run `inpaint-zoo NAME [list [PATTERN] [--markdown] | show ONE | ...]`; without a word after the name, the list.

    Args:
        name: The command, a plural such as "models".
        args: The words after it.
        lists: Prints those that match a shell pattern, as a table for the terminal or in Markdown.
        shows: Prints all that is known of one, by its name; or a verb with arguments of its own.
        more: What else the command does, by the word that asks for it.
    """
    show = shows if isinstance(shows, Verb) else Verb("one of them", _name_argument, _by_name(shows))
    words = {"show": show, **(more or {})}
    parser = command_parser(name, f"What is known of the {name}: all of them, or one.")
    verbs = parser.add_subparsers(dest="verb", metavar=" | ".join(("list", *words)), required=True)
    listing = verbs.add_parser("list", help=f"a table of the {name}")
    listing.add_argument("pattern", nargs="?", default="*", help="shell pattern over the names")
    listing.add_argument("--markdown", action="store_true", help="print the table of the documentation")
    for word, verb in words.items():
        verb.arguments(verbs.add_parser(word, help=verb.help, description=verb.help))
    options = parser.parse_args(args or ["list"])
    if options.verb in words:
        words[options.verb].run(options)
    else:
        lists(options.pattern, options.markdown)
    return 0


def _name_argument(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")


def _by_name(shows: Callable[[str], None]) -> Callable[[Namespace], None]:
    return lambda options: shows(options.name)


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
