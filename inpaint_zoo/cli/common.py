"""Shared parts of all commands: consoles, the progress bar, and command-line parsing."""

from __future__ import annotations

import json
import sys
from argparse import SUPPRESS, Action, ArgumentParser, HelpFormatter, Namespace
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

import yaml
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from inpaint_zoo.errors import ZooError

__all__ = [
    "ParserFoundError",
    "Verb",
    "add_option_argument",
    "command_parser",
    "console",
    "err_console",
    "list_and_show",
    "note_console",
    "parse_options",
    "print_table",
    "progress_bar",
    "reading_parser",
    "split_pairs",
]

console = Console(highlight=False, emoji=False)
err_console = Console(stderr=True, highlight=False, emoji=False)
note_console = Console(stderr=True, highlight=False, emoji=False)
"""For notes and progress, which `inpaint-zoo -q` does not print."""


def print_table(table: Table, to: Console = console, markup: bool = True) -> None:
    """Print a table. In a pipe or file, which has no width, each row is one line, so that `grep` finds its texts.

    Args:
        table: The table.
        to: The console.
        markup: Whether texts in brackets, such as `[red]`, are styles.
    """
    if to.is_terminal:
        to.print(table, markup=markup)
        return
    unlimited = to.options.update(max_width=100_000, markup=markup)
    options = unlimited.update(width=Measurement.get(to, unlimited, table).maximum)
    for line in to.render_lines(table, options, pad=False):
        to.file.write("".join(segment.text for segment in line).rstrip() + "\n")


reading_parser: ContextVar[bool] = ContextVar("reading_parser", default=False)
"""Whether the parser of a command raises `ParserFoundError` in place of parsing, for completion in a shell."""


class ParserFoundError(Exception):
    """Raised by the parser of a command, which it carries, in place of parsing."""

    def __init__(self, parser: ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


class _HelpWithDefaults(HelpFormatter):
    """Help that states the default of each option whose text does not."""

    def _get_help_string(self, action: Action) -> str | None:
        text = action.help or ""
        none = action.default is None or action.default is False  # not by ==, because a default of 0 is one
        if none or action.default in (SUPPRESS, []) or "default" in text or not action.option_strings:
            return action.help
        return f"{text} (default: %(default)s)"


class _Parser(ArgumentParser):
    """Parser that does not accept abbreviated options; its subcommands use the same class."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=_HelpWithDefaults, **options)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:  # noqa: ANN401 - as in the base class
        if reading_parser.get():
            raise ParserFoundError(self)
        return super().parse_args(args, namespace)


def command_parser(name: str, description: str) -> ArgumentParser:
    """Return the parser of `inpaint-zoo NAME`. It accepts no abbreviated options, so new options break no script."""
    return _Parser(prog=f"inpaint-zoo {name}", description=description)


def add_option_argument(parser: ArgumentParser, of: str = "the model") -> None:
    """Add `--option KEY=VALUE`, which may be given several times; `parse_options` parses its values.

    Args:
        parser: Parser of a command.
        of: What the options belong to, for the help text.
    """
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"an option of {of}, such as steps=1; may be given several times; overrides the options in a weight file",
    )


def parse_options(words: Sequence[str]) -> dict[str, Any]:
    """Parse `KEY=VALUE` arguments into a dictionary.

    A value is read as JSON or, if that fails, as YAML: 3, 1e-3, true, null, [1, 2] or text.

    Raises:
        ZooError: An argument is not `KEY=VALUE`, or a key is given twice.

    Example:
        >>> parse_options(["steps=1", "core=cnn", "fuse=false"])
        {'steps': 1, 'core': 'cnn', 'fuse': False}
    """
    return {key: _value(text) for key, text in split_pairs("--option", "KEY=VALUE, such as steps=1", words).items()}


def split_pairs(option: str, form: str, words: Sequence[str]) -> dict[str, str]:
    """Split `KEY=VALUE` arguments at their first equals sign.

    Args:
        option: The option, for error messages.
        form: What its arguments must be, such as "NAME=DIR".
        words: The arguments.

    Raises:
        ZooError: An argument has another form, or a key is given twice.
    """
    pairs: dict[str, str] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not (key and equals and text):
            raise ZooError(f"{option} must be {form}, got '{word}'.")
        if key in pairs:
            raise ZooError(f"{option} {key} is given twice: {key}={pairs[key]} and {word}.")
        pairs[key] = text
    return pairs


def _value(text: str) -> Any:  # noqa: ANN401 - any plain value
    try:
        return json.loads(text)
    except ValueError:  # YAML accepts more texts, but reads 1e-3 as a string, so JSON comes first
        pass
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


class Verb(NamedTuple):
    """A subcommand other than `list`.

    Attributes:
        help: Description for the help.
        arguments: Function that adds its arguments to a parser.
        run: Function that runs it with the parsed arguments.
    """

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
    """Run `inpaint-zoo NAME [list [PATTERN] [--markdown] | show ONE | ...]` and return 0. `list` is the default.

    Args:
        name: The command, a plural such as "models".
        args: Command-line arguments after it.
        lists: Function that prints a table of the entries that match a shell pattern; its second argument selects
            Markdown instead of a table for the terminal.
        shows: Function that prints the details of one entry, given its name; or a `Verb` with its own arguments.
        more: Other subcommands by name.
    """
    show = shows if isinstance(shows, Verb) else Verb("show the details of one", _name_argument, _by_name(shows))
    words = {"show": show, **(more or {})}
    parser = command_parser(name, f"List the {name}, or show one of them.")
    verbs = parser.add_subparsers(dest="verb", metavar=" | ".join(("list", *words)), required=True)
    listing = verbs.add_parser("list", help=f"a table of the {name}")
    listing.add_argument("pattern", nargs="?", default="*", help="shell pattern that the names must match")
    listing.add_argument("--markdown", action="store_true", help="print the table in Markdown, as in the documentation")
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
    """Return the progress bar that all commands use. It is disabled if stderr is not a terminal, and by -q."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=note_console,
        disable=not sys.stderr.isatty() or note_console.quiet,
    )
