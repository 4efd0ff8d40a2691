"""Completion of commands, options and names in a shell: `inpaint-zoo completion bash | zsh | fish`.

The printed script calls `inpaint-zoo --complete WORD ...` at each Tab, which prints what the last word can become. It
reads the parser of the command, so that no list of options is kept. Without a candidate, the shell completes files.
"""

from __future__ import annotations

import argparse
import glob
import importlib
import sys
from collections.abc import Callable, Iterable, Sequence

__all__ = ["complete", "run"]

_BASH = """\
_inpaint_zoo() {
    local IFS=$'\\n'
    COMPREPLY=($(inpaint-zoo --complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _inpaint_zoo inpaint-zoo
"""
SCRIPTS = {
    "bash": _BASH,
    "zsh": f"autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n{_BASH}",
    "fish": "complete -c inpaint-zoo -a '(inpaint-zoo --complete (commandline -opc)[2..] (commandline -ct))'\n",
}
TRAINING = ("fit", "validate", "test", "predict")
"""Commands of Lightning, whose parser takes seconds."""
FILES_FIRST = ("mask",)
"""Arguments that are files more often than names: a name completes only a word that no file begins with."""
TRAINING_OPTIONS = ("--ckpt_path", "--config", "--help", "--out", "--print_config")


def run(args: list[str]) -> int:
    """Print the script for a shell."""
    from inpaint_zoo.cli.common import command_parser

    parser = command_parser("completion", 'Print a script for a shell: eval "$(inpaint-zoo completion bash)".')
    parser.add_argument("shell", choices=SCRIPTS)
    sys.stdout.write(SCRIPTS[parser.parse_args(args).shell])
    return 0


def complete(words: Sequence[str], modules: dict[str, str]) -> list[str]:
    """Return what the last word can become.

    Args:
        words: The words after `inpaint-zoo` up to the cursor; the last one is incomplete, and may be empty.
        modules: The commands -> their modules in `inpaint_zoo.cli`.
    """
    *before, current = words or [""]
    while before and before[0].startswith("-"):
        del before[0]
    found = _candidates(before, current, modules) if before else [*modules, "--help", "--version"]
    return sorted(word for word in set(found) if word.startswith(current))


def _candidates(before: list[str], current: str, modules: dict[str, str]) -> Iterable[str]:
    command, *rest = before
    last = before[-1]
    if command not in modules:
        return ()
    if command in TRAINING:
        if last in ("--config", "-c"):
            return _names("config", command)
        return TRAINING_OPTIONS if current.startswith("-") else ()
    parser = _parser(modules[command])
    for word in rest:
        parser = _verbs(parser).get(word, parser)
    option = next((action for action in parser._actions if last in action.option_strings), None)
    if option is not None and option.nargs != 0:
        if option.dest in FILES_FIRST and (not current or glob.glob(glob.escape(current) + "*")):  # noqa: PTH207 - as typed
            return ()
        return option.choices or _names(option.dest, command)
    if current.startswith("-"):
        return (text for action in parser._actions for text in action.option_strings)
    positionals = [action for action in parser._actions if not action.option_strings]
    return (word for action in positionals for word in action.choices or _names(action.dest, command))


def _parser(module: str) -> argparse.ArgumentParser:
    """Return the parser of a command, which is the first thing that it makes."""
    from inpaint_zoo.cli.common import ParserFoundError, reading_parser

    token = reading_parser.set(True)
    try:
        importlib.import_module(f"inpaint_zoo.cli.{module}").run([])
    except ParserFoundError as found:
        return found.parser
    finally:
        reading_parser.reset(token)
    raise AssertionError(f"the command of inpaint_zoo.cli.{module} does not parse its arguments first")


def _verbs(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _names(argument: str, command: str) -> Sequence[str]:
    """Return the names that an argument of a command takes; empty if it takes other values."""
    from inpaint_zoo.cli.bundled import bundled_names

    def models() -> list[str]:
        from inpaint_zoo.registry import list_models

        return list_models()

    def masks(ready: bool = True) -> list[str]:
        from inpaint_zoo.masks import list_masks

        return list_masks(ready=ready)

    def of_command() -> list[str]:
        if command == "models":
            return models()
        if command == "masks":
            return masks(ready=False)
        if command == "metrics":
            from inpaint_zoo.metrics import list_metrics

            return list_metrics()
        from inpaint_zoo.data import list_datasets

        return list_datasets() if command == "data" else []

    sources: dict[str, Callable[[], list[str]]] = {
        "config": lambda: bundled_names("configuration"),
        "suite": lambda: bundled_names("suite"),
        "model": models,
        "mask": masks,
        "name": of_command,
    }
    return sources[argument]() if argument in sources else []
