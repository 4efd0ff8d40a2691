"""Output of commands works on terminals and pipes of any encoding, and warnings are single lines."""

import io
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from inpaint_zoo.cli.main import main
from tests.helpers.suites import write_suite


class Pipe(io.TextIOWrapper):
    """Stdout or stderr as a pipe of another encoding, with strict error handling as Python's default."""

    def __init__(self, encoding):
        super().__init__(io.BytesIO(), encoding=encoding, errors="strict")

    def text(self):
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


@pytest.fixture(params=["cp1252", "ascii", "cp932"])
def run(request):
    """Run a command with pipes of one encoding, and return the exit code, both texts and the encoding."""

    def call(*words):
        # inside the call, since pytest puts streams of its own in place between a fixture and its test
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdout", Pipe(request.param))
            patch.setattr(sys, "stderr", Pipe(request.param))
            code = main([str(word) for word in words])
            assert sys.stdout.errors == sys.stderr.errors == "strict"  # as before the command
            return code, sys.stdout.text(), sys.stderr.text(), request.param

    return call


def test_a_benchmark_ends_well_in_any_encoding(tmp_path, run):
    suite = write_suite(tmp_path, methods=[{"model": "mean_fill", "label": "Mittel\N{EM DASH}\u0142\u00e4"}])
    code, out, err, encoding = run("benchmark", suite, "--out", tmp_path / "out", "--device", "cpu")
    assert code == 0
    assert "PSNR dB" in out
    assert "cells: 2 computed" in out
    assert "Traceback" not in err
    if encoding == "ascii":
        assert "PSNR dB ^" in out
        assert r"Mittel-\u0142\xe4" in out


@pytest.mark.parametrize(
    "args",
    [["masks", "stats", "center", "--n", "4"], ["masks"], ["metrics", "list", "--markdown"], ["models"], ["--help"]],
)
def test_tables_and_bars_are_printed_in_any_encoding(run, args):
    code, out, _, _ = run(*args)
    assert code == 0
    assert len(out) > 500


def test_names_of_any_script_are_named_in_any_encoding(tmp_path, run):
    names = ["\u732b.png", "\u05d7\u05ea\u05d5\u05dc.png", "caf\u00e9.png"]
    for name in names:
        (tmp_path / name).write_bytes(b"no image")
    try:
        (tmp_path / "caf\udce9.png").write_bytes(b"no image")
    except (OSError, UnicodeError):
        pass
    else:
        names.append("caf\udce9.png")
    code, out, _, _ = run("data", "check", "--root", tmp_path)
    assert code == 1
    assert out.count("is not a PNG") == len(names)
    code, out, err, encoding = run(
        "inpaint", tmp_path, "--mask", "center", "--model", "mean_fill", "--out", tmp_path / "out"
    )
    assert code == 1
    assert f"{len(names)} failed" in out
    if encoding == "ascii":
        assert r"\u732b.png" in err


def test_a_name_that_is_no_text_goes_through_a_benchmark(tmp_path, capsys):
    suite = write_suite(tmp_path, methods=["mean_fill"], masks=[{"name": "center", "size": 24}])
    try:
        (tmp_path / "images" / "p0.png").rename(tmp_path / "images" / "caf\udce9.png")
    except (OSError, UnicodeError):
        pytest.skip("this file system takes UTF-8 names only")
    (tmp_path / "images" / "x\udce9.png").write_bytes(b"no image")
    options = ["--out", str(tmp_path / "out"), "--device", "cpu", "--allow-missing"]
    assert main(["benchmark", str(suite), *options]) == 0
    assert "unreadable images, left out: 1" in capsys.readouterr().out


def test_warnings_of_every_command_are_lines(tmp_path):
    (tmp_path / "images" / "@eaDir").mkdir(parents=True)
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    folder = tmp_path / "images"
    # in a process of its own, since pytest records warnings before they are printed
    command = [sys.executable, "-m", "inpaint_zoo.cli.main", "data", "check", "--root", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stderr == f"warning: {folder}: folders of thumbnails or system files left out (1): @eaDir\n"


def test_a_table_in_a_pipe_has_a_line_for_each_row(capsys, tmp_path):
    """A pipe has no width: an address that is folded, or a name that is cut, could not be used."""
    assert main(["weights", "info", "big_lama"]) == 0
    out = capsys.readouterr().out
    assert "https://github.com/Sanster/models/releases/download/add_big_lama/big-lama.pt\n" in out
    assert main(["weights", "list"]) == 0
    out = capsys.readouterr().out
    assert "\u2026" not in out
    assert re.search("^contextual_attention:imagenet-tf .*converted from the authors' TensorFlow checkpoint", out, re.M)
    label = "a method whose label is longer than eighty columns, which is what terminals have at least, as this one"
    suite = write_suite(tmp_path, methods=[{"model": "mean_fill", "label": label}])
    assert main(["benchmark", str(suite), "--out", str(tmp_path / "out"), "--device", "cpu"]) == 0
    assert re.search(rf"^ ?{label} +[\d.]+", capsys.readouterr().out, re.M)
