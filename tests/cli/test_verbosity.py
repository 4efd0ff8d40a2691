"""`-q`, `-v` and the logger of the package, `python -m inpaint_zoo`, and two builds of OpenCV."""

import logging
import runpy
import sys
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
from PIL import Image

from inpaint_zoo._version import __version__
from inpaint_zoo.cli import opencv
from inpaint_zoo.cli.main import main


@pytest.fixture
def words(tmp_path):
    """Arguments that fill the hole of one image."""
    Image.new("RGB", (32, 32), "red").save(tmp_path / "image.png")
    Image.fromarray(np.pad(np.full((8, 8), 255, np.uint8), 12)).save(tmp_path / "mask.png")
    paths = [str(tmp_path / "image.png"), "--mask", str(tmp_path / "mask.png"), "--out", str(tmp_path / "out")]
    return ["inpaint", *paths, "--model", "aot_gan_tiny", "--weights", "shipped", "--device", "cpu"]


def test_verbose_names_the_files_and_quiet_shows_no_progress(words, capsys):
    seen = {}
    for option in ("-vv", "-v", "", "-q"):
        assert main([*filter(None, [option]), *words, "--overwrite"]) == 0
        out, seen[option] = capsys.readouterr()
        assert out.startswith("1 inpainted")
    assert "INFO inpaint_zoo.weights.files: the weights" in seen["-v"]
    assert "DEBUG inpaint_zoo.registry.create: the model 'aot_gan_tiny' is built with" in seen["-vv"]
    assert "DEBUG" not in seen["-v"]
    assert seen[""].startswith("1/1 ")
    assert "INFO" not in seen[""]
    assert seen["-q"] == ""
    assert logging.getLogger("inpaint_zoo").level == logging.NOTSET


def test_the_options_may_follow_the_command(words, capsys):
    assert main([*words, "-v"]) == 0
    assert "INFO inpaint_zoo.weights.files: the weights" in capsys.readouterr().err
    assert main([words[0], "-q", *words[1:], "--overwrite"]) == 0
    assert capsys.readouterr().err == ""


def test_errors_are_printed_in_quiet_mode(capsys):
    assert main(["-q", "inpaint", "none.png", "--mask", "none.png", "--out", "x", "--model", "telea"]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_program_that_uses_the_package_decides_what_is_logged():
    assert [type(each) for each in logging.getLogger("inpaint_zoo").handlers] == [logging.NullHandler]


def test_python_m_runs_the_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["inpaint_zoo", "--version"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("inpaint_zoo", run_name="__main__")
    assert capsys.readouterr().out == f"inpaint-zoo {__version__}\n"


def installed(monkeypatch, **builds):
    def version(name):
        if name not in builds:
            raise PackageNotFoundError(name)
        return builds[name]

    monkeypatch.setattr(opencv, "version", version)


def test_two_builds_of_opencv_are_explained(words, monkeypatch):
    import cv2  # noqa: F401 - the warning comes where OpenCV was used

    installed(monkeypatch, **{"opencv-python": "4.11", "opencv-python-headless": "5.0"})
    advice = r"opencv-python 4.11 and opencv-python-headless 5.0 are installed together.*pip uninstall -y opencv-python"
    with pytest.warns(UserWarning, match=advice):
        assert main(words) == 0


@pytest.mark.parametrize(
    ("builds", "failure", "advice"),
    [
        (
            {"opencv-python": "4.11"},
            ImportError("libGL.so.1: cannot open shared object file"),
            "libraries of a display",
        ),
        (
            {"opencv-python": "4.11", "opencv-python-headless": "5.0"},
            AttributeError("module 'cv2' has no attribute 'inpaint'"),
            "Keep one",
        ),
    ],
)
def test_an_opencv_that_fails_is_explained(builds, failure, advice, monkeypatch, capsys):
    from inpaint_zoo.cli import models

    def fail(args):
        raise failure

    installed(monkeypatch, **builds)
    monkeypatch.setattr(models, "run", fail)
    assert main(["models"]) == 2
    error = capsys.readouterr().err
    assert advice in error
    assert "fault of inpaint-zoo" not in error
