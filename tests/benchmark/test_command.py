"""The command `inpaint-zoo benchmark`."""

import json
import re

import pandas as pd
import pytest

from inpaint_zoo.cli.main import main
from tests.helpers.suites import write_suite


@pytest.fixture
def suite(tmp_path):
    return write_suite(tmp_path)


def benchmark(*words):
    return main(["benchmark", *map(str, words), "--device", "cpu", "--workers", "1"])


def test_a_run_ends_with_a_ranking_and_the_report(tmp_path, suite, capsys):
    assert benchmark(suite, "--out", tmp_path / "out") == 0
    shown = capsys.readouterr()
    assert re.search(r"images, center.*\n.*telea.*\n.*mean_fill", shown.out)
    assert "cells: 4 computed, 0 done before" in shown.out
    assert f"report: {tmp_path / 'out' / 'report.html'}" in shown.out
    assert "4/4 telea on images, lama_box" in shown.err
    assert benchmark(suite, "--out", tmp_path / "out") == 0
    assert "cells: 0 computed, 4 done before" in capsys.readouterr().out
    assert len(pd.read_csv(tmp_path / "out" / "summary.csv")) == 2 * 2 * 3


def test_only_may_be_given_several_times(tmp_path, suite, capsys):
    assert benchmark(suite, "--out", tmp_path / "out", "--only", "method=telea", "--only", "mask=cent*") == 0
    assert "cells: 1 computed, 0 done before" in capsys.readouterr().out


def test_a_failed_cell_is_one_line_and_exit_code_1(tmp_path, capsys):
    (tmp_path / "fails_in_the_command.py").write_text("def fill(image, mask):\n    raise KeyError('out of [luck]')\n")
    suite = write_suite(tmp_path, methods=["telea", {"callable": "fails_in_the_command:fill", "label": "[Mine]"}])
    assert benchmark(suite, "--out", tmp_path / "out") == 1
    shown = capsys.readouterr()
    assert shown.err.count("failed: [Mine] on images, center: KeyError: 'out of [luck]'") == 1
    assert "cells: 2 computed, 0 done before, 2 failed" in shown.out
    assert "Traceback" not in shown.out + shown.err


def test_unreadable_images(tmp_path, suite, capsys):
    (tmp_path / "images" / "p2.png").write_bytes(b"")
    assert benchmark(suite, "--out", tmp_path / "out") == 2
    shown = capsys.readouterr()
    assert re.search(r"note: .*p2\.png", shown.err)
    assert re.search(r"error: 1 of the suite's images cannot be read", shown.err)
    assert not (tmp_path / "out").exists()
    assert benchmark(suite, "--out", tmp_path / "out", "--allow-missing") == 0
    assert "unreadable images, left out: 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ["talea"]}, r"error: .*suite\.yaml:\d+: Unknown model 'talea'. Did you mean 'telea'"),
        ({"masks": ["lama_bux"]}, r"error: .*suite\.yaml:\d+: Unknown mask 'lama_bux'. Did you mean 'lama_box'"),
        ({"metrics": ["psnrr"]}, r"error: .*suite\.yaml:\d+: Unknown metric 'psnrr'. Did you mean 'psnr'"),
        ({"datasets": [{"name": "x", "root": "empty"}]}, r"error: .*suite\.yaml:\d+: .*empty: contains no images"),
        ({"datasets": [{"name": "x", "size": 8}]}, r"error: .*suite\.yaml:\d+: Unknown dataset 'x'"),
        ({"maks": []}, r"error: .*suite\.yaml:\d+: Unknown key of the suite: 'maks'. Did you mean 'masks'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, capsys, changes, message):
    (tmp_path / "empty").mkdir()
    suite = write_suite(tmp_path, **changes)
    assert benchmark(suite, "--out", tmp_path / "out") == 2
    shown = capsys.readouterr()
    assert re.search(message, shown.err)
    assert len(shown.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_inputs_for_another_program_and_back(tmp_path, capsys):
    suite = write_suite(tmp_path, methods=[{"folder": "theirs"}])
    assert benchmark(suite, "--out", tmp_path / "out", "--export-inputs", tmp_path / "inputs") == 0
    assert "10 inputs in" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
    (tmp_path / "inputs" / "images").rename(tmp_path / "theirs")  # the results of a program that leaves holes black
    assert benchmark(suite, "--out", tmp_path / "out") == 0
    assert json.loads((tmp_path / "out" / "suite.json").read_text())["methods"][0]["kind"] == "folder"


def test_help_and_wrong_options(capsys):
    with pytest.raises(SystemExit, match="0"):
        benchmark("--help")
    assert "--allow-missing" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        benchmark("suite.yaml")
    assert "--out" in capsys.readouterr().err
