"""Entry point of `inpaint-zoo`: finds the command, and turns every failure into one clear line and an exit code.

Exit codes: 0 done; 1 something could not be done (a failed cell, an unreadable photograph) or a fault of ours; 2 wrong
input, nothing was changed; 130 stopped by the user.
"""

from __future__ import annotations

import errno
import importlib
import re
import shlex
import sys
from typing import NamedTuple

from inpaint_zoo._version import __version__
from inpaint_zoo.cli.output import readable_output
from inpaint_zoo.errors import ZooError, unknown_name

__all__ = ["COMMANDS", "main"]


class Command(NamedTuple):
    """A command: the module that holds its `run(args) -> int`, and its line in the help."""

    module: str
    help: str


COMMANDS = {
    "benchmark": Command("benchmark", "score methods on datasets and mask sets: tables, statistics, a report"),
    "convert": Command("convert", "turn an authors' checkpoint into a weight file of ours"),
    "data": Command("data", "check, split and pack folders of photographs"),
    "fit": Command("fit", "train a model by its configuration; --dry-run only looks"),
    "inpaint": Command("inpaint", "fill the holes of a photograph or a folder of them"),
    "masks": Command("masks", "list, look at, write and measure mask generators"),
    "metrics": Command("metrics", "list the metrics and what exactly each one computes"),
    "models": Command("models", "list the models, show one, or tell how far it sees"),
    "predict": Command("predict", "write the finished pictures of a configuration's test set"),
    "report": Command("report", "rebuild the report of a benchmark folder"),
    "ship": Command("ship", "train a small model by its configuration and put its weights into the package"),
    "test": Command("test", "score a checkpoint on the test set of its configuration"),
    "validate": Command("validate", "score a checkpoint on the validation set of its configuration"),
}


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:<{width}}  {command.help}" for name, command in COMMANDS.items())
    return (
        "usage: inpaint-zoo [--debug] COMMAND ...\n\n"
        "Image inpainting: one contract for every model, one mask library, one benchmark.\n\n"
        f"commands:\n{lines}\n\n"
        "  inpaint-zoo COMMAND --help   the arguments of a command\n"
        "  inpaint-zoo --version        the version\n"
        "  --debug                      show the traceback of an error\n"
    )


def _message(error: ZooError) -> str:
    """Return the message of an error, without the traceback that a DataLoader puts around an error of its workers."""
    text = str(error)
    if not (text.startswith("Caught ") and "Original Traceback" in text):
        return text
    return re.split(r"^[\w.]+: ", text, flags=re.MULTILINE)[-1]


def _complain(message: str) -> None:
    sys.stderr.write(f"error: {' '.join(message.split())}\n")


@readable_output()
def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The words after the program's name; by default those of this process.

    Returns:
        The exit code.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in args
    args = [arg for arg in args if arg != "--debug"]
    if not args or args[0] in {"-h", "--help", "help"}:
        sys.stdout.write(_usage())
        return 0
    if args[0] == "--version":
        sys.stdout.write(f"inpaint-zoo {__version__}\n")
        return 0
    try:
        if args[0] not in COMMANDS:
            raise unknown_name("command", args[0], COMMANDS, "inpaint-zoo --help lists them.")
        module = importlib.import_module(f"inpaint_zoo.cli.{COMMANDS[args[0]].module}")
        return int(module.run(args[1:]))
    except KeyboardInterrupt:
        _complain("stopped; what was finished is kept, the same command goes on from there")
        return 130
    except ZooError as error:
        if debug:
            raise
        _complain(_message(error))
        return 2
    except OSError as error:
        if debug:
            raise
        where = f": {error.filename}" if error.filename else ""
        reason = "no space left on the device" if error.errno == errno.ENOSPC else error.strerror or str(error)
        _complain(f"{reason}{where}")
        return 2
    except Exception as error:
        if debug:
            raise
        command = shlex.join(["inpaint-zoo", "--debug", *args])
        _complain(
            f"{type(error).__name__}: {error} (this is a fault of inpaint-zoo; please report it with the output of: "
            f"{command})"
        )
        return 1


if __name__ == "__main__":
    sys.exit(main())
