"""Runs of several processes: the bytes of one process, and what is left when one of them dies."""

import json
import os
import signal
import threading
import time

import pytest

from inpaint_zoo.cli.main import main
from tests.helpers.programs import Program, rank_environments, start_server
from tests.helpers.suites import results_bytes, write_suite

# kills or breaks a process at one image, as often as the test asks for
METHOD = """
import os, pathlib, signal, time
def fill(image, mask):
    image[mask] = 100
    return image
def dies(image, mask):
    place = pathlib.Path("deaths")
    if os.environ.get("RANK") == "1":
        count = int(place.read_text()) - 1
        place.write_text(str(count))
        if count == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return fill(image, mask)
def slow(image, mask):
    time.sleep(0.1)
    return fill(image, mask)
def breaks(image, mask):
    raise ValueError(f"cannot fill {int(mask.sum())} pixels")
"""


@pytest.fixture(autouse=True, scope="module")
def _server():
    start_server()


@pytest.fixture(autouse=True)
def _place(tmp_path, monkeypatch):
    (tmp_path / "methods_of_the_rank_test.py").write_text(METHOD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


def benchmark(*words):
    return main(["benchmark", *map(str, words), "--device", "cpu"])


def own_ranks(count, *words):
    """Run the command in processes that exist already, as torchrun starts them; return their exit codes and outputs."""
    programs = [
        Program(
            "benchmark",
            *words,
            "--device",
            "cpu",
            cwd=words[0].parent,
            RANK=environment["LOCAL_RANK"],
            WORLD_SIZE=str(count),
            TORCHELASTIC_RUN_ID="test",
            **environment,
        )
        for environment in rank_environments(count)
    ]
    return [(program.wait(), program.stdout, program.stderr) for program in programs]


def plain(record):
    """Return a cell's record without what depends on time, and on how many processes share the cores."""
    return {name: value for name, value in record.items() if name not in {"seconds", "costs"}}


def assert_same_run(one, many):
    for name in ("results.parquet", "suite.yaml", "tables.tex"):
        assert (many / name).read_bytes() == (one / name).read_bytes(), name
    cells = sorted(path.name for path in (one / "cells").iterdir())
    assert sorted(path.name for path in (many / "cells").iterdir()) == cells
    for name in cells:
        records = [json.loads((out / "cells" / name / "cell.json").read_text()) for out in (one, many)]
        assert plain(records[0]) == plain(records[1])
    images = sorted(path.relative_to(one) for path in one.rglob("*.png") if path.name != "gallery.png")
    assert images == sorted(path.relative_to(many) for path in many.rglob("*.png") if path.name != "gallery.png")
    for path in images:
        assert (one / path).read_bytes() == (many / path).read_bytes(), path
    assert not (many / "parts").exists()


@pytest.mark.slow
def test_two_and_three_processes_write_the_bytes_of_one(tmp_path, capfd):
    """Including a cell with draws, an unreadable image, the mask files of `masks/`, and a method that fails."""
    methods = ["mean_fill", "telea", {"callable": "methods_of_the_rank_test:breaks", "label": "Breaks"}]
    masks = [{"name": "center", "size": 24}, {"name": "lama_box", "draws": 2}]
    suite = write_suite(tmp_path, methods=methods, masks=masks)
    (tmp_path / "images" / "p1b.png").write_bytes(b"no image")
    more = ("--gallery", "3", "--allow-missing")
    assert benchmark(suite, "--out", tmp_path / "one", *more) == 1
    capfd.readouterr()
    assert benchmark(suite, "--out", tmp_path / "two", *more, "--devices", "2") == 1
    assert_same_run(tmp_path / "one", tmp_path / "two")
    errors = [json.loads((tmp_path / name / "provenance.json").read_text())["failed"] for name in ("one", "two")]
    assert errors[0] == errors[1]
    assert "cannot fill" in errors[0][0]["error"]
    results = own_ranks(3, suite, "--out", tmp_path / "three", *more)
    assert [code for code, _, _ in results] == [1, 0, 0], results  # the first one speaks for all
    assert_same_run(tmp_path / "one", tmp_path / "three")
    for _, out, err in results[1:]:
        assert (out, err) == ("", "")
    assert results[0][2].count("p1b.png: ") == 1
    assert "4 computed, 0 done before, 2 failed" in results[0][1]
    assert benchmark(suite, "--out", tmp_path / "one", *more, "--devices", "2") == 1
    assert_same_run(tmp_path / "one", tmp_path / "two")
    capfd.readouterr()
    assert benchmark(suite, "--out", tmp_path / "two", *more) == 1
    assert "0 computed, 4 done before, 2 failed" in capfd.readouterr().out


@pytest.mark.slow
def test_metrics_of_sets_and_rehearsals_are_those_of_one_process(tmp_path):
    """With more processes than a rehearsal has images."""
    suite = write_suite(tmp_path, methods=["telea", "glcic_tiny"], metrics=["psnr", "fid", "kid", "u_ids"])
    assert benchmark(suite, "--out", tmp_path / "one", "--rehearse") == 0
    assert benchmark(suite, "--out", tmp_path / "three", "--rehearse", "--devices", "3") == 0
    assert_same_run(tmp_path / "one", tmp_path / "three")


@pytest.mark.slow
def test_a_killed_process_is_named_and_only_what_is_missing_is_computed(tmp_path, capfd):
    methods = ["mean_fill", {"callable": "methods_of_the_rank_test:dies", "label": "Dies"}, "telea"]
    suite = write_suite(tmp_path, methods=methods)
    assert benchmark(suite, "--out", tmp_path / "one") == 0
    out = tmp_path / "two"
    (tmp_path / "deaths").write_text("2")
    capfd.readouterr()
    assert benchmark(suite, "--out", out, "--devices", "2") == 2
    errors = capfd.readouterr().err
    assert f"was killed by signal 9 (SIGKILL), and the other processes were stopped. Its log: {out}" in errors
    assert "Traceback" not in errors
    assert (out / "logs" / "rank_1.log").exists()
    assert results_bytes(out)  # of the cells that are done
    done = {path.name: path.stat().st_mtime_ns for path in (out / "cells").iterdir()}
    assert len(done) == 2
    assert len(list((out / "parts").glob("*/*.npz"))) == 1  # of the process that was stopped in order
    assert "forcefully" not in (out / "logs" / "launcher.log").read_text()  # the agent did not have to kill it
    assert benchmark(suite, "--out", out, "--devices", "2") == 0
    after = {path.name: path.stat().st_mtime_ns for path in (out / "cells").iterdir()}
    assert {name: after[name] for name in done} == done
    assert_same_run(tmp_path / "one", out)


@pytest.mark.slow
def test_ctrl_c_stops_all_processes_and_keeps_what_is_done(tmp_path, capfd):
    methods = [{"callable": "methods_of_the_rank_test:slow", "label": "Slow"}]
    suite = write_suite(tmp_path, methods=methods, masks=["lama_box", "cmod", {"name": "center", "size": 24}])
    out = tmp_path / "out"

    def interrupt():
        while not list(out.glob("cells/[!.]*")):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    before = signal.getsignal(signal.SIGINT)
    assert benchmark(suite, "--out", out, "--devices", "2") == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert "Traceback" not in capfd.readouterr().err
    assert "forcefully" not in (out / "logs" / "launcher.log").read_text()
    assert results_bytes(out)
    assert benchmark(suite, "--out", out) == 0
    assert benchmark(suite, "--out", tmp_path / "one") == 0
    assert_same_run(tmp_path / "one", out)


def test_what_cannot_be_launched_is_one_line_and_leaves_nothing(tmp_path, capfd, monkeypatch):
    suite = write_suite(tmp_path)
    for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert benchmark(suite, "--out", tmp_path / "out", "--num-nodes", "2") == 2
    assert "MASTER_ADDR, MASTER_PORT, NODE_RANK must be set" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "one")  # one process, which torchrun has started
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert benchmark(suite, "--out", tmp_path / "out", "--only", "mean_fill") == 0
