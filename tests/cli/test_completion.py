"""Completion of commands, options and names in a shell."""

import shutil
import subprocess
import sys

import pytest

from inpaint_zoo.cli.completion import SCRIPTS, complete
from inpaint_zoo.cli.main import COMMANDS, main

MODULES = {name: command.module for name, command in COMMANDS.items()}


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("", {"fit", "models", "--help"}),
        ("-v mod", {"models"}),
        ("benchmark quick", {"quickstart"}),
        ("benchmark --dev", {"--device", "--devices"}),
        ("benchmark --device c", {"cpu", "cuda"}),
        ("fit --config isnet/sam", {"isnet/sample"}),
        ("fit --conf", {"--config"}),
        ("models ", {"list", "show", "rf"}),
        ("models show isnet_b", {"isnet_b1", "isnet_b2", "isnet_b3", "isnet_base", "isnet_base_ff"}),
        ("masks show lama_thick_", {"lama_thick_256", "lama_thick_512"}),
        ("metrics show ps", {"psnr"}),
        ("data info celeba_", {"celeba_hq"}),
        ("inpaint a.png --model grig_", {"grig_tiny"}),
        ("inpaint a.png --mask lama_thick_", {"lama_thick_256", "lama_thick_512"}),
        ("recommend --mask lama_thin_", {"lama_thin_256", "lama_thin_512"}),
        ("sweep grig/table_5", {"grig/table_5"}),
    ],
)
def test_candidates(line, some):
    found = complete(line.split(" "), MODULES)
    assert some <= set(found)
    assert all(word.startswith(line.split(" ")[-1]) for word in found)


@pytest.mark.parametrize("line", ["nothing ", "inpaint a.png --mask ", "fit --out "])
def test_other_words_are_files(line):
    assert complete(line.split(" "), MODULES) == []


def test_a_file_that_begins_like_a_mask_generator_is_completed_by_the_shell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = ["inpaint", "a.png", "--mask", "lama_thick_5"]
    assert complete(line, MODULES) == ["lama_thick_512"]
    (tmp_path / "lama_thick_5_of_mine.png").touch()
    assert complete(line, MODULES) == []


@pytest.mark.parametrize("command", sorted(MODULES.keys() - {"fit", "validate", "test", "predict"}))
def test_every_command_tells_its_options(command):
    assert "--help" in complete([command, "--"], MODULES)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_runs_the_script(tmp_path):
    program = tmp_path / "inpaint-zoo"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m inpaint_zoo "$@"\n')
    program.chmod(0o755)
    script = (
        f"{SCRIPTS['bash']}COMP_WORDS=(inpaint-zoo models sh)\nCOMP_CWORD=2\n_inpaint_zoo\necho ${{COMPREPLY[@]}}\n"
    )
    done = subprocess.run(
        ["bash", "-c", f'PATH="{tmp_path}:$PATH"\n{script}'], capture_output=True, text=True, check=True
    )
    assert done.stdout == "show\n"


def test_the_command_prints_the_script(capsys):
    assert main(["completion", "fish"]) == 0
    assert capsys.readouterr().out == SCRIPTS["fish"]
