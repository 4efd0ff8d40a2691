"""A small version of benchmarks/reliability/kill_matrix.py: real training runs and benchmarks, killed and resumed."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from inpaint_zoo.cli.main import main
from tests.helpers.programs import Forked

SCRIPT = Path(__file__).parent.parent.parent / "benchmarks" / "reliability" / "kill_matrix.py"
MATRIX = runpy.run_path(str(SCRIPT))
FAMILIES = tuple(MATRIX["FAMILIES"])


def run_script(words):
    sys.argv = [str(SCRIPT), *words]
    runpy.run_path(str(SCRIPT), run_name="__main__")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")
@pytest.mark.parametrize("family", FAMILIES)
def test_the_training_of_each_family_can_start(family, tmp_path):
    command = MATRIX["training_of"](family).arguments(tmp_path / "run")
    resumed = command.index("--ckpt_path")  # there is no checkpoint yet
    assert main([*command[:resumed], *command[resumed + 2 :], "--dry-run"]) == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs fork and prlimit")
def test_nothing_is_damaged_lost_or_different_after_a_kill(tmp_path):
    table = tmp_path / "table.json"
    words = ["--kinds", "SIGKILL", "--kills", "1", "--workloads", "fit", "--seed", "3", "--json"]
    program = Forked(run_script, [*words, str(table)])
    assert program.wait(900) == 0, program.stdout + program.stderr
    rows = json.loads(table.read_text())
    assert len(rows) == 1
    assert rows[0]["landed"] == 1
    assert rows[0]["runs"] >= 1
