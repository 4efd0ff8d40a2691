"""What a command prints reaches every terminal and pipe, whatever its encoding; warnings are lines."""

import io
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

from inpaint_zoo.cli.main import main
from tests.benchmark.small import write_suite


class Pipe(io.TextIOWrapper):
    """Standard output or error as a pipe of another encoding, strict as Python opens it."""

    def __init__(self, encoding):
        super().__init__(io.BytesIO(), encoding=encoding, errors="strict")

    def text(self):
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


@pytest.fixture(params=["cp1252", "ascii", "cp932"])
def pipes(request, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Pipe(request.param))
    monkeypatch.setattr(sys, "stderr", Pipe(request.param))
    yield lambda: (sys.stdout.text(), sys.stderr.text())
    assert sys.stdout.errors == sys.stderr.errors == "strict"  # as before the command


def test_a_benchmark_ends_well_in_any_encoding(tmp_path, pipes):
    suite = write_suite(tmp_path, methods=[{"model": "mean_fill", "label": "Mittel\N{EM DASH}\u0142\u00e4"}])
    assert main(["benchmark", str(suite), "--out", str(tmp_path / "out"), "--device", "cpu"]) == 0
    out, err = pipes()
    assert "PSNR dB" in out
    assert "cells: 2 computed" in out
    assert "Traceback" not in err
    if sys.stdout.encoding == "ascii":
        assert "PSNR dB ^" in out
        assert r"Mittel-\u0142\xe4" in out


@pytest.mark.parametrize(
    "args",
    [["masks", "stats", "center", "--n", "4"], ["masks"], ["metrics", "list", "--markdown"], ["models"], ["--help"]],
)
def test_tables_and_bars_are_printed_in_any_encoding(pipes, args):
    assert main(args) == 0
    out, _ = pipes()
    assert len(out) > 500


def test_names_of_any_script_are_named_in_any_encoding(tmp_path, pipes):
    names = ["\u732b.png", "\u05d7\u05ea\u05d5\u05dc.png", "caf\u00e9.png"]
    for name in names:
        (tmp_path / name).write_bytes(b"no picture")
    try:
        (tmp_path / "caf\udce9.png").write_bytes(b"no picture")
    except (OSError, UnicodeError):
        pass
    else:
        names.append("caf\udce9.png")
    assert main(["data", "check", "--root", str(tmp_path)]) == 1
    out, _ = pipes()
    assert out.count("is not a PNG") == len(names)
    command = ["inpaint", tmp_path, "--mask", "center", "--model", "mean_fill", "--out", tmp_path / "out"]
    assert main([str(word) for word in command]) == 1
    out, err = pipes()
    assert f"{len(names)} failed" in out
    if sys.stdout.encoding == "ascii":
        assert r"\u732b.png" in err


def test_a_name_that_is_no_text_goes_through_a_benchmark(tmp_path, capsys):
    suite = write_suite(tmp_path, methods=["mean_fill"], masks=[{"name": "center", "size": 24}])
    try:
        (tmp_path / "photos" / "p0.png").rename(tmp_path / "photos" / "caf\udce9.png")
    except (OSError, UnicodeError):
        pytest.skip("this file system takes UTF-8 names only")
    (tmp_path / "photos" / "x\udce9.png").write_bytes(b"no picture")
    options = ["--out", str(tmp_path / "out"), "--device", "cpu", "--allow-missing"]
    assert main(["benchmark", str(suite), *options]) == 0
    assert "photographs left out, unreadable: 1" in capsys.readouterr().out


def test_warnings_of_every_command_are_lines(tmp_path, capsys):
    (tmp_path / "photos" / "@eaDir").mkdir(parents=True)
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "photos" / "a.png")
    formatted = warnings.formatwarning
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["data", "check", "--root", str(tmp_path / "photos")]) == 0
    err = capsys.readouterr().err
    folder = tmp_path / "photos"
    assert err == f"warning: {folder}: folders of thumbnails or system files left out (1): @eaDir\n"
    assert warnings.formatwarning is formatted
