"""Behavior of all commands: exit codes, and no traceback without --debug."""

import errno
import re
import subprocess
import sys

import pytest

import inpaint_zoo.cli.models
from inpaint_zoo.cli.main import COMMANDS, main
from inpaint_zoo.errors import ZooError
from tests.helpers.programs import Program


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"^  {name} ", out, re.MULTILINE) for name in COMMANDS)


def test_version(capsys):
    assert main(["--version"]) == 0
    assert inpaint_zoo.__version__ in capsys.readouterr().out


def test_a_process_ends_without_a_search_for_garbage():
    code = "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > 0)); import inpaint_zoo.cli.main"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "True\n"


def test_unknown_command(capsys):
    assert main(["benchmrk"]) == 2
    assert capsys.readouterr().err.startswith("error: Unknown command 'benchmrk'. Did you mean 'benchmark'?")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    program = Program(name, "--help")
    assert program.wait() == 0, program.stderr
    assert "usage: inpaint-zoo" in program.stdout


def test_help_states_defaults_once(capsys):
    """Each option with a default states it: by its own text, else by the parser."""
    with pytest.raises(SystemExit, match="0"):
        main(["inpaint", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for stated in (
        "--seed N seed of a mask generator; image i gets mask i (default: 0)",
        "JPEG quality; default: that of a JPEG input, else 95. WebP is lossless unless this is set --subsampling",
        "--overwrite write existing files again --frames",
    ):
        assert stated in text
    assert "(default: None)" not in text


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ZooError("`mask` must be\n  binary"), 2, "error: `mask` must be binary"),
        (OSError(errno.ENOSPC, "No space left on device", "a.png"), 2, "error: no space left on the device: a.png"),
        (PermissionError(errno.EACCES, "Permission denied", "out"), 2, "error: Permission denied: out"),
        (KeyboardInterrupt(), 130, "error: stopped"),
        (
            RuntimeError("odd"),
            1,
            f"error: RuntimeError: odd (raised by {__file__}, line ",
        ),
    ],
)
def test_failures_are_one_line(monkeypatch, capsys, error, code, line):
    def fail(args):
        raise error

    monkeypatch.setattr("inpaint_zoo.cli.models.run", fail)
    assert main(["models"]) == code
    err = capsys.readouterr().err
    assert err.startswith(line)
    assert err.count("\n") == 1
    if not isinstance(error, KeyboardInterrupt):
        with pytest.raises(type(error)):
            main(["--debug", "models"])


def test_a_fault_of_the_package_asks_for_a_report(monkeypatch, capsys):
    names = {}
    # code that seems to be a part of the package
    exec(compile("def fail(args): raise RuntimeError('odd')", inpaint_zoo.cli.models.__file__, "exec"), names)
    monkeypatch.setattr("inpaint_zoo.cli.models.run", names["fail"])
    assert main(["models"]) == 1
    assert capsys.readouterr().err == (
        "error: RuntimeError: odd (this is a fault of inpaint-zoo; please report it with the output of: "
        "inpaint-zoo --debug models)\n"
    )


def test_models_list_and_show(capsys):
    assert main(["models"]) == 0
    assert "navier_stokes" in capsys.readouterr().out
    assert main(["models", "show", "telea"]) == 0
    out = capsys.readouterr().out
    assert "radius=3.0" in out
    assert "Telea" in out
    assert main(["models", "show", "progressive:autoencoder_tiny"]) == 0
    assert "each further pass adds" in " ".join(capsys.readouterr().out.split())
    assert main(["models", "list", "--markdown"]) == 0
    assert "| `mean_fill` |" in capsys.readouterr().out
    assert main(["models", "show", "tela"]) == 2
    assert "Did you mean 'telea'?" in capsys.readouterr().err
