"""A small version of benchmarks/reliability/kill_matrix.py: real training runs and benchmarks, killed and resumed."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from tests.helpers.programs import Forked

SCRIPT = Path(__file__).parent.parent.parent / "benchmarks" / "reliability" / "kill_matrix.py"


def run_script(words):
    sys.argv = [str(SCRIPT), *words]
    runpy.run_path(str(SCRIPT), run_name="__main__")


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
