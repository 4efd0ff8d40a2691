"""Rehearsals: every shipped suite runs from end to end in seconds, without what it needs, and every file says so."""

import json
from itertools import product

import pandas as pd
import pyarrow.parquet as pq
import pytest

from inpaint_zoo.benchmark import load_suite, rehearsed
from inpaint_zoo.benchmark.axes import matching
from inpaint_zoo.benchmark.images import MaskSet
from inpaint_zoo.benchmark.rehearsal import SMALL_REFINEMENT
from inpaint_zoo.benchmark.report.paper import compare
from inpaint_zoo.benchmark.report.run_folder import read_run
from inpaint_zoo.benchmark.stamp import STAMP
from inpaint_zoo.cli.main import main
from tests.conftest import REPOSITORY
from tests.helpers.suites import small_suite, write_images, write_suite

BENCHMARKS = REPOSITORY / "benchmarks"
SUITES = sorted(path.relative_to(BENCHMARKS).as_posix() for path in BENCHMARKS.rglob("*.yaml"))
# What is rehearsed of suites with more than 100 cells. A rehearsal has the same images for all data sets, and
# quickstart.yaml has all shipped models, too.
PARTS = {
    "glama/sample.yaml": ["telea", "glama_tiny"],
    "grig/table_3.yaml": ["dataset=dog"],
    "grig/table_5.yaml": ["dataset=chase"],
    "grig/table_6.yaml": ["dataset=dog"],
    "lgnet/sample.yaml": ["telea", "lgnet_tiny"],
    "lgnet/table_6.yaml": ["dataset=places2_20"],
}


@pytest.fixture(autouse=True)
def _nothing_there(tmp_path, monkeypatch):
    for variable in ("INPAINT_ZOO_DATA", "INPAINT_ZOO_WEIGHTS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))


def benchmark(*words):
    return main(["benchmark", *map(str, words), "--device", "cpu", "--workers", "1", "--gallery", "1"])


def assert_stamped(out):
    """Check that every file of results with numbers or images says that they are those of a rehearsal."""
    for name in ("report.html", "report.md", "tables.tex", "suite.yaml", "suite.json", "provenance.json"):
        assert STAMP in (out / name).read_text(), name
    for path in [*out.glob("cells/*/cell.json"), *out.glob("costs.json")]:
        assert json.loads(path.read_text())["rehearsal"] == STAMP, path
    for path in out.glob("*.csv"):
        assert set(pd.read_csv(path)["rehearsal"]) <= {STAMP}, path
    for name in ("results.parquet", "timings.parquet"):
        assert pq.read_schema(out / name).metadata[b"rehearsal"].decode() == STAMP
    assert "<title>REHEARSAL" in (out / "report.html").read_text()
    captions = [line for line in (out / "tables.tex").read_text().splitlines() if line.startswith(r"\caption")]
    assert all(STAMP in line for line in captions)


@pytest.mark.parametrize("file", SUITES)
def test_every_suite_is_rehearsed(file, tmp_path, capsys):
    out, part = tmp_path / "out", PARTS.get(file, [])
    only = [word for pattern in part for word in ("--only", pattern)]
    assert benchmark(BENCHMARKS / file, "--rehearse", "--out", out, *only) == 0
    shown = capsys.readouterr()
    assert STAMP in shown.err.splitlines()[0]
    assert shown.out.startswith(STAMP)
    assert shown.out.rstrip().endswith(STAMP)
    assert_stamped(out)
    run, suite = read_run(out), load_suite(BENCHMARKS / file)
    missing = {cell: reason for cell, reason in run.missing.items() if not reason.startswith("not applicable")}
    cells = [*missing, *run.cells]
    assert set(missing) == {cell for cell, chosen in zip(cells, matching(cells, part), strict=True) if not chosen}
    assert set(missing.values()) <= {"not run"}
    assert run.skipped_metrics == []
    pairs = len(suite.methods) * len(suite.datasets) * len(suite.masks) - run.not_applicable - len(missing)
    assert len(run.summary) == pairs * len(suite.metrics)
    assert run.summary["mean"].notna().all()
    for name in {name for _, name, _ in run.cells}:
        assert set(run.image_groups(name).values()) == {"astronaut", "chelsea"}
    if comparison := compare(run):
        needs_gpu = {"latency_gpu_ms"}
        for each in comparison.cells:
            assert (each.status == "quoted") == (each.cell.row not in suite.paper.rows)
            left_out = missing.keys() & set(product(*each.labels))
            if each.status != "quoted" and each.metric not in needs_gpu and not left_out:
                assert (each.status, each.kind) == ("computed", "rehearsal")


def test_costs_are_those_of_the_suites_own_networks(tmp_path):
    suite = load_suite(BENCHMARKS / "isnet" / "table_8.yaml")
    rehearsal = rehearsed(suite)
    assert {entry.model for entry in rehearsal.methods} == {"isnet_tiny"}
    networks = [(entry.model, entry.weights) for entry in rehearsal.rehearsal.networks]
    assert networks == [(entry.model, "random") for entry in suite.methods]


def test_the_report_keeps_the_mark_and_runs_are_not_mixed(tmp_path, capsys):
    suite, real, practice = write_suite(tmp_path), tmp_path / "real", tmp_path / "practice"
    assert benchmark(suite, "--out", real) == 0
    assert benchmark(suite, "--out", practice, "--rehearse", "--only", "method=telea") == 0
    assert "cells: 2 computed" in capsys.readouterr().out
    assert benchmark(suite, "--out", practice, "--rehearse") == 0
    assert "cells: 2 computed, 2 done before" in capsys.readouterr().out
    before = (real / "results.parquet").read_bytes()
    for out, words, there in ((real, ["--rehearse"], "a real run"), (practice, [], "a rehearsal")):
        assert benchmark(suite, "--out", out, *words) == 2
        assert f"contains {there} of the suite 'small'" in " ".join(capsys.readouterr().err.split())
    assert (real / "results.parquet").read_bytes() == before
    assert main(["report", str(practice)]) == 0
    assert_stamped(practice)
    assert main(["report", str(real)]) == 0
    assert not any(STAMP in path.read_text() for path in real.iterdir() if path.suffix in (".html", ".md", ".csv"))


def test_a_leaderboard_of_rehearsals_keeps_the_mark(tmp_path):
    suite, board = write_suite(tmp_path), tmp_path / "board"
    for method in ("telea", "mean_fill"):
        assert benchmark(suite, "--out", tmp_path / method, "--rehearse", "--only", f"method={method}") == 0
    assert main(["leaderboard", str(tmp_path / "telea"), str(tmp_path / "mean_fill"), "--out", str(board)]) == 0
    assert STAMP in (board / "report.html").read_text()
    assert json.loads((board / "provenance.json").read_text())["rehearsal"] == STAMP
    assert pq.read_schema(board / "results.parquet").metadata[b"rehearsal"].decode() == STAMP


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["--data", "images=."], "--data"),
        (["--weights", "a=b"], "--weights"),
        (["--weights-root", "."], "--weights-root"),
        (["--export-inputs", "inputs"], "--export-inputs"),
    ],
)
def test_options_of_real_runs_are_refused(words, option, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        benchmark(write_suite(tmp_path), "--out", tmp_path / "out", "--rehearse", *words)
    assert f"so it takes no {option}." in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_a_list_has_no_rehearsal(capsys):
    with pytest.raises(SystemExit, match="2"):
        benchmark("--list", BENCHMARKS, "--rehearse")
    assert "or --rehearse" in " ".join(capsys.readouterr().err.split())


def test_networks_become_small_ones_of_their_family(tmp_path):
    methods = [
        {"model": "lama", "weights": "{dataset}/lama.safetensors"},
        {"model": "glcic", "weights": "glcic.safetensors"},
        {"model": "progressive:isnet", "weights": "isnet.safetensors"},
        {"model": "local_global:lama", "weights": "both.safetensors"},
        {"model": "lgnet_share", "weights": "random"},
        {"model": "grig", "weights": "a.safetensors", "options": {"steps": 3, "core": "convolution"}, "label": "E"},
        {"model": "grig_tiny", "options": {"steps": 2}},
        {"model": "telea", "options": {"radius": 5}},
    ]
    suite = rehearsed(small_suite(tmp_path, methods=methods))
    assert [(entry.model, entry.weights) for entry in suite.methods] == [
        ("glama_tiny", "shipped"),
        ("glcic_tiny", "shipped"),
        ("progressive:isnet_tiny", "shipped"),
        ("local_global:glama_tiny", "random"),
        ("lgnet_tiny", "random"),
        ("grig_tiny", "shipped"),
        ("grig_tiny", "shipped"),
        ("telea", None),
    ]
    assert [entry.options for entry in suite.methods] == [
        {},
        {},
        {},
        SMALL_REFINEMENT,
        {},
        {},
        {"steps": 2},
        {"radius": 5},
    ]
    assert [entry.label for entry in suite.methods][4:6] == ["lgnet_share", "E"]
    assert "glama_tiny with its shipped weights in place of lama" in suite.rehearsal.replaced


def test_results_and_functions_that_are_not_there_become_a_plain_fill(tmp_path):
    (tmp_path / "there_for_the_rehearsal.py").write_text("def fill(image, mask):\n    return image\n")
    methods = [
        {"folder": "theirs"},
        {"callable": "nowhere_for_the_rehearsal:fill", "label": "Gone"},
        {"callable": "there_for_the_rehearsal:fill", "label": "Mine"},
    ]
    suite = rehearsed(small_suite(tmp_path, methods=methods))
    assert [(entry.label, entry.kind) for entry in suite.methods] == [
        ("theirs", "model"),
        ("Gone", "model"),
        ("Mine", "callable"),
    ]
    assert [entry.model for entry in suite.methods[:2]] == ["neighbor_fill"] * 2


def test_mask_files_become_generated_masks_of_the_same_hole_ratios(tmp_path):
    write_images(tmp_path / "files")
    masks = [
        {"bank": "files", "bins": [0.1, 0.2, 0.4]},
        {"bank": "files", "label": "unknown ratios"},
        {"name": "nvidia_20_30", "root": "files"},
        {"name": "nvidia_bins", "bin": 4, "root": "absent"},
        {"masks": "isnet_eval"},
        {"name": "center", "size": 128},
        "fixed_25",
    ]
    suite = small_suite(tmp_path, masks=masks, datasets=[{"name": "images", "root": "images", "size": 256}])
    rehearsal = rehearsed(suite)
    assert [entry.label for entry in rehearsal.masks] == [entry.label for entry in suite.masks]
    assert [entry.spec for entry in rehearsal.masks[:5]] == [
        {"name": "cmod", "hole_range": [0.1, 0.2]},
        {"name": "cmod", "hole_range": [0.2, 0.4]},
        {"name": "lgnet_train"},
        {"name": "synthetic_20_30"},
        {"name": "synthetic_30_40"},
    ]
    ratios = {entry.label: MaskSet(entry, rehearsal).load(0, (64, 64)).mean() for entry in rehearsal.masks}
    assert ratios["center"] == ratios["fixed_25"] == 0.25
    assert 0.1 < ratios["files_0.1-0.2"] <= 0.2 < ratios["files_0.2-0.4"] <= 0.4
    assert 0.4 < ratios["synthetic_40_50 (stand-in)"] <= 0.5
