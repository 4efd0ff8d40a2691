"""A small version of benchmarks/reliability/kill_matrix.py: real training runs and benchmarks, killed and resumed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent.parent / "benchmarks" / "reliability" / "kill_matrix.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs fork and prlimit")
def test_nothing_is_damaged_lost_or_different_after_a_kill(tmp_path):
    table = tmp_path / "table.json"
    words = [
        "--kinds",
        "SIGKILL",
        "--kills",
        "1",
        "--workloads",
        "fit",
        "--seed",
        "3",
        "--json",
        str(table),
    ]
    done = subprocess.run([sys.executable, str(SCRIPT), *words], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(table.read_text())
    assert len(rows) == 1
    assert rows[0]["landed"] == 1
    assert rows[0]["runs"] >= 1
