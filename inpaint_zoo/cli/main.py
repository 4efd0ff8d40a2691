"""Entry point of `inpaint-zoo`: runs a command and reports every failure as one line and an exit code.

Exit codes: 0 success; 1 a part failed (a benchmark cell, an unreadable image), or a bug of inpaint-zoo; 2 wrong input,
nothing was changed; 3 a benchmark or sweep is complete except for what is missing; 130 interrupted by the user; 141 the
reader of the output has ended.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import sys
from typing import NamedTuple

from inpaint_zoo._version import __version__
from inpaint_zoo.cli.exit_codes import exit_code
from inpaint_zoo.cli.output import chosen_verbosity, readable_output
from inpaint_zoo.errors import unknown_name

__all__ = ["COMMANDS", "main"]


class Command(NamedTuple):
    """A command.

    Attributes:
        module: Module in `inpaint_zoo.cli` with the function `run(args) -> int`.
        help: Description for the list of commands.
    """

    module: str
    help: str


COMMANDS = {
    "benchmark": Command("benchmark", "score methods on datasets and mask sets: tables, statistics, a report"),
    "completion": Command("completion", "print a script that completes commands, options and names in a shell"),
    "convert": Command("convert", "convert a checkpoint released by the authors to a weight file"),
    "data": Command("data", "list and check data sets, split and pack folders of images"),
    "demo": Command("demo", "open a web page to paint a hole, run several models, and compare their results"),
    "export": Command("export", "write a model as an ONNX, torch.export or TorchScript file, and check the file"),
    "fit": Command("fit", "train a model from its configuration; --dry-run only checks it"),
    "inpaint": Command("inpaint", "fill the holes of an image or a folder of images"),
    "leaderboard": Command("leaderboard", "merge finished runs of one suite into one report"),
    "masks": Command("masks", "list, show, write and measure mask generators"),
    "metrics": Command("metrics", "list the metrics and their exact definitions"),
    "models": Command("models", "list the models, show one, or compute its receptive field"),
    "predict": Command("predict", "write the results for the test set of a configuration"),
    "recommend": Command("recommend", "name the models that suit given masks and limits, with the evidence"),
    "report": Command("report", "rebuild the report of a benchmark folder, or compare two runs"),
    "ship": Command("ship", "train a small model from its configuration and add its weights to the package"),
    "study": Command("study", "make a blind user study of a benchmark's results, and score its answers"),
    "sweep": Command("sweep", "train all networks that a suite needs, on this machine or by SLURM; resumable"),
    "test": Command("test", "compute the metrics of a checkpoint on the test set of its configuration"),
    "validate": Command("validate", "compute the metrics of a checkpoint on the validation set of its configuration"),
    "weights": Command("weights", "list known released weights, and import files that were fetched"),
}


VERBOSITY = {"-q": -1, "--quiet": -1, "-v": 1, "--verbose": 1, "-vv": 2}


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:<{width}}  {command.help}" for name, command in COMMANDS.items())
    return (
        "usage: inpaint-zoo [-q | -v | -vv] [--debug] COMMAND ...\n\n"
        "Image inpainting: one contract for every model, one mask library, one benchmark.\n\n"
        f"commands:\n{lines}\n\n"
        "  inpaint-zoo COMMAND --help   the arguments of a command\n"
        "  inpaint-zoo --version        the version\n"
        "  -q, --quiet                  print no notes and no progress, only results, warnings and errors\n"
        "  -v, --verbose                also print which files are used and how long parts take; -vv prints more\n"
        "  --debug                      show the traceback of an error\n"
    )


# At its end, the interpreter searches for garbage, which takes a second if PyTorch and Lightning were imported.
atexit.register(gc.freeze)


@readable_output()
def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Command-line arguments after the program's name; by default those of this process.

    Returns:
        The exit code; see the module's docstring.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    if args and args[0] == "--complete":
        from inpaint_zoo.cli.completion import complete

        modules = {name: command.module for name, command in COMMANDS.items()}
        sys.stdout.write("".join(f"{word}\n" for word in complete(args[1:], modules)))
        return 0
    debug = "--debug" in args
    verbosity = sum(VERBOSITY.get(arg, 0) for arg in args)
    args = [arg for arg in args if arg != "--debug" and arg not in VERBOSITY]
    if not args or args[0] in {"-h", "--help", "help"}:
        sys.stdout.write(_usage())
        return 0
    if args[0] == "--version":
        sys.stdout.write(f"inpaint-zoo {__version__}\n")
        return 0

    def command() -> int:
        if args[0] not in COMMANDS:
            raise unknown_name("command", args[0], COMMANDS, "inpaint-zoo --help lists them.")
        module = importlib.import_module(f"inpaint_zoo.cli.{COMMANDS[args[0]].module}")
        return int(module.run(args[1:]))

    with chosen_verbosity(verbosity):
        return exit_code(command, args, debug)


if __name__ == "__main__":
    sys.exit(main())
