"""Results after a kill, a full disk or Ctrl-C, in separate processes."""

import os
import random
import resource
import signal
import time

import pytest

from inpaint_zoo.io.atomic import TEMPORARY_PREFIX
from tests.helpers.programs import Program
from tests.helpers.suites import results_bytes, write_suite

# slow enough that kills arrive within cells; slower if a signal must arrive before the end
METHOD = """
import os, time
def fill(image, mask):
    time.sleep(float(os.environ.get("SECONDS_OF_THE_TEST", "0.05")))
    image[mask] = 128
    return image
"""


@pytest.fixture
def suite(tmp_path):
    (tmp_path / "slow_fill_of_the_test.py").write_text(METHOD)
    methods = [{"callable": "slow_fill_of_the_test:fill", "label": "Slow"}, "mean_fill", "telea"]
    return write_suite(tmp_path, methods=methods, masks=[{"name": "center", "size": 24}, "lama_box", "cmod"])


def start(suite, out, *more, **options):
    return Program("benchmark", suite, "--out", out, "--device", "cpu", *more, cwd=suite.parent, **options)


def run(suite, out, *more, **options):
    program = start(suite, out, *more, **options)
    return program.wait(), program.stdout, program.stderr


def finished(out):
    return sorted(path.name for path in (out / "cells").glob("*") if path.suffix == "")


@pytest.mark.slow
def test_killed_at_random_moments_it_resumes_to_the_same_bytes(tmp_path, suite):
    begin = time.monotonic()
    assert run(suite, tmp_path / "unbroken")[0] == 0
    whole = time.monotonic() - begin
    moments = random.Random(3)
    out = tmp_path / "broken"
    seen = []
    for _ in range(2):
        program = start(suite, out)
        program.wait_for(lambda: bool(finished(out)), "the first cell")
        time.sleep(whole * moments.uniform(0, 0.3))
        program.kill()
        seen.append(finished(out))
    assert all(seen), "a kill came before the first cell"
    done = {name for name in seen[-1] if not name.startswith(TEMPORARY_PREFIX)}
    times = {name: (out / "cells" / name / "cell.json").stat().st_mtime_ns for name in done}
    code, text, errors = run(suite, out)
    assert code == 0, errors
    assert f"{9 - len(done)} computed, {len(done)} done before" in text
    assert results_bytes(out) == results_bytes(tmp_path / "unbroken")
    assert (out / "summary.csv").read_bytes() == (tmp_path / "unbroken" / "summary.csv").read_bytes()
    assert {name: (out / "cells" / name / "cell.json").stat().st_mtime_ns for name in done} == times
    assert list(out.rglob(f"{TEMPORARY_PREFIX}*")) == []


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done_and_says_so(tmp_path, suite):
    out = tmp_path / "out"
    program = start(suite, out, SECONDS_OF_THE_TEST="0.25")
    program.wait_for(lambda: any(line.startswith("1/9") for line in program.stderr.splitlines()), "the second cell")
    os.kill(program.pid, signal.SIGINT)
    assert program.wait(60) == 130
    rest = program.stderr
    assert "Traceback" not in rest
    assert rest.splitlines()[-1].startswith("error: stopped")
    assert results_bytes(out)
    assert run(suite, out)[0] == 0


def _small_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing beyond the limit fails with EFBIG, similar to a full disk


@pytest.mark.slow
def test_a_disk_that_takes_no_more_is_one_line_and_nothing_is_lost(tmp_path, suite):
    out = tmp_path / "out"
    assert run(suite, out, "--only", "mean_fill")[0] == 0
    before = {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    code, _, errors = run(suite, out, before=_small_files)
    assert code == 2
    (line,) = (line for line in errors.splitlines() if line.startswith("error:"))
    assert "File too large" in line
    assert "Traceback" not in errors
    for path, content in before.items():
        if path.name not in {".lock", "suite.json"}:
            assert path.read_bytes() == content
    assert list(out.rglob(f"{TEMPORARY_PREFIX}*")) == []
    assert run(suite, out)[0] == 0
