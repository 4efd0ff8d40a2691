"""Publishing a run to W&B in offline mode: what W&B wrote is read back."""

import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from inpaint_zoo.benchmark.report.gallery import DIFFERENCE_COLORS
from inpaint_zoo.benchmark.report.run_folder import read_run
from inpaint_zoo.cli.main import main
from inpaint_zoo.io.images import read_image
from tests.helpers.suites import means_of, write_suite
from tests.helpers.synthetic_run import write_run

pytestmark = pytest.mark.slow

FAILS = (
    "def fill(image, mask):\n    if mask.sum() == 24 * 24:\n        raise ValueError('no squares')\n    return image\n"
)
WORKS = "def fill(image, mask):\n    return image\n"
TELEA, MEAN = {"model": "telea", "label": "Telea/9 ü"}, "mean_fill"
BROKEN, REPAIRED = ({"callable": f"published_{name}:fill", "label": "Mine"} for name in ("broken", "repaired"))
MASKS = [{"name": "center", "size": 24, "label": "10-20%"}, "lama_box"]


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    """Run a benchmark three times with --wandb.

    First with two methods, one of which fails in a cell; then with one more; then repaired, and with one metric less.

    Return the folder of the results, what W&B wrote in each run by label of the method, and the means and the content
    of wandb.json after each run.
    """
    pytest.importorskip("wandb")
    from tests.helpers.wandb_file import read_offline

    place = tmp_path_factory.mktemp("wandb")
    out = place / "out"
    words = ["--out", str(out), "--device", "cpu", "--workers", "1", "--gallery", "2"]
    words += ["--wandb", "inpainting", "--wandb-entity", "team"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        for name in ("CACHE", "CONFIG"):
            patch.setenv(f"WANDB_{name}_DIR", str(place / name))
        patch.delenv("WANDB_DATA_DIR", raising=False)
        written, states, seen, before = [], [], set(), set(processes())
        place.joinpath("published_broken.py").write_text(FAILS)
        place.joinpath("published_repaired.py").write_text(WORKS)
        for methods, metrics, code in (
            ([TELEA, BROKEN], ["psnr", "ssim"], 1),
            ([TELEA, BROKEN, MEAN], ["psnr", "ssim"], 1),
            ([TELEA, REPAIRED, MEAN], ["psnr"], 0),
        ):
            suite = write_suite(place, methods=methods, masks=MASKS, metrics=metrics)
            assert main(["benchmark", str(suite), *words]) == code
            new = set(out.glob("wandb/offline-run-*")) - seen
            seen |= new
            written.append({run.run.display_name: run for run in map(read_offline, sorted(new))})
            states.append((means_of(out), json.loads((out / "wandb.json").read_text())))
        assert set(processes()) <= before
    return out, written, states


def processes():
    """Return the W&B processes of this machine that this process started, by number."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    for pid in pids:
        try:
            parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
            command = Path(f"/proc/{pid}/cmdline").read_text()
        except OSError:
            continue
        if "wandb" in command and int(parent) == os.getpid():
            yield pid


def test_each_method_is_one_run(offline):
    _, (first, *_), _ = offline
    assert set(first) == {"Telea/9 ü", "Mine"}
    for run in first.values():
        assert (run.run.project, run.run.entity, run.run.run_group) == ("inpainting", "team", "small")
        assert run.run.job_type == "benchmark"
        assert run.run.resume
    assert list(first["Telea/9 ü"].run.tags) == ["benchmark", "small"]
    assert list(first["Mine"].run.tags) == ["benchmark", "incomplete", "small"]
    assert "No numbers on images, 10-20%: failed: ValueError: no squares" in first["Mine"].run.notes


def test_the_summary_has_the_numbers_of_the_results(offline):
    _, written, states = offline
    masks = {"10-20%": "10_20", "lama_box": "lama_box"}
    for runs, (means, _) in zip(written, states, strict=True):
        for label, run in runs.items():
            mine = {key[1:]: mean for key, mean in means.items() if key[0] == label}
            for (dataset, mask, metric), mean in mine.items():
                assert run.summary[f"{dataset}/{masks[mask]}/{metric}"] == pytest.approx(mean, rel=1e-12)
            assert sum(name.startswith("images/") for name in run.summary) == len(mine)
    assert written[0]["Telea/9 ü"].summary["cost/latency_ms"] > 0


def test_the_configuration_says_how_the_numbers_were_computed(offline):
    out, (first, *_), _ = offline
    config = first["Telea/9 ü"].config
    (record,) = (
        json.loads(path.read_text())["provenance"]
        for path in out.glob("cells/*/cell.json")
        if json.loads(path.read_text())["method"] == "Telea/9 ü" and "lama_box" in path.read_text()
        if "ssim" in json.loads(path.read_text())["provenance"]["metrics"]
    )
    assert (config["model"], config["options"], config["seed"]) == ("telea", {"radius": 3.0}, 7)
    assert first["Mine"].config["entry"] == {"kind": "callable", "callable": "published_broken:fill"}
    for key in ("code_sha256", "git_commit", "precision", "device", "weights_sha256"):
        assert config[key] == record[key]
    assert config["datasets"]["images"]["identity"] == record["dataset_identity"]
    assert config["masks"]["lama_box"]["identity"] == record["mask_identity"]
    assert config["masks"]["10_20"]["label"] == "10-20%"
    assert config["metrics"]["ssim"]["implementation"] == record["metrics"]["ssim"]
    assert first["Mine"].config["cells_without_numbers"] == [
        "images/10_20: failed: ValueError: no squares (image more/p4)"
    ]


def test_the_table_of_images(offline):
    out, (first, *_), _ = offline
    columns, rows = first["Telea/9 ü"].table("images")
    assert columns[:4] == ["dataset", "mask", "image", "hole_ratio"]
    assert columns[4:] == ["ground_truth", "masked", "result", "difference", "psnr", "ssim"]
    assert len(rows) == 2 * len(MASKS)
    results = pd.read_parquet(out / "results.parquet")
    run = read_run(out)
    numbers = {key: number for number, key in run.gallery_keys("images").items()}
    for dataset, mask, image, ratio, *files, psnr, _ in rows:
        truth, masked, result, difference = (read_image(file).rgb for file in files)
        hole = read_image(run.mask_file(dataset, mask, numbers[image])).rgb[..., 0] > 127
        assert ratio == pytest.approx(hole.mean())
        assert np.array_equal(truth, read_image(run.target_file(dataset, numbers[image])).rgb)
        assert np.array_equal(result[~hole], truth[~hole])
        assert np.array_equal(masked[~hole], truth[~hole])
        assert not (masked[hole] == truth[hole]).all()
        colors = {f"#{bytes(color).hex()}" for color in difference[hole]}
        assert colors <= set(DIFFERENCE_COLORS)
        assert not difference[~hole].any()
        error = np.square(result.astype(float) - truth).mean()
        assert psnr == pytest.approx(10 * np.log10(255**2 / error), abs=1e-3)
        named = results[(results["image"] == image) & (results["mask"] == mask) & (results["metric"] == "psnr")]
        assert psnr in named["value"].to_list()


def test_the_curves_and_the_results_are_tables(offline):
    _, (first, *_), ((means, _), *_) = offline
    columns, points = first["Telea/9 ü"].table("curves/images/psnr_table")
    assert columns == ["hole_ratio", "psnr"]
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert first["Telea/9 ü"].config["_wandb"]["visualize"]["curves/images/psnr"]["panel_config"]["fieldSettings"] == {
        "x": "hole_ratio",
        "y": "psnr",
        "stroke": None,
    }
    columns, rows = first["Telea/9 ü"].table("results")
    assert columns[:4] == ["dataset", "mask", "metric", "mean"]
    assert {tuple(row[:3]): row[3] for row in rows} == pytest.approx(
        {key[1:]: mean for key, mean in means.items() if key[0] == "Telea/9 ü"}
    )
    assert all(row[4] < row[3] < row[5] and row[6:8] == [5, 5] for row in rows)


def test_a_second_run_adds_the_new_method_only(offline):
    _, (_, second, _), states = offline
    assert set(second) == {"mean_fill"}
    (_, before), (_, after), _ = states
    assert after["team/inpainting"].items() > before["team/inpainting"].items()


def test_changed_methods_resume_their_runs(offline):
    _, written, states = offline
    third, ids = written[2], {label: entry["id"] for label, entry in states[1][1]["team/inpainting"].items()}
    assert set(third) == {"Telea/9 ü", "Mine", "mean_fill"}
    for label, run in third.items():
        assert run.run.run_id == ids[label]
        assert run.run.resume
        assert run.steps == 1
        assert "images/10_20/psnr" in run.summary
    assert third["Telea/9 ü"].removed == {f"images/{mask}/ssim" for mask in ("10_20", "lama_box")} | {
        "curves/images/ssim_table"
    }
    assert written[0]["Telea/9 ü"].summary["images/lama_box/psnr"] == third["Telea/9 ü"].summary["images/lama_box/psnr"]
    assert third["Mine"].config["cells_without_numbers"] == []
    assert list(third["Mine"].run.tags) == ["benchmark", "small"]


def test_images_of_tables_stay_in_the_run_folder(offline):
    out, written, _ = offline
    files = [
        path for runs in written for run in runs.values() for found in run.files.values() for path in found.values()
    ]
    assert files
    assert all(path.is_relative_to(out) for path in files)
    assert "WANDB_DATA_DIR" not in os.environ


@pytest.mark.usefixtures("wandb")
@pytest.mark.parametrize(
    ("mode", "project", "message"),
    [
        ("online", "p", r"--wandb p: W&B cannot be used: .*API key.* `wandb login`, or set WANDB_MODE=offline"),
        ("disabled", "p", r"--wandb p: W&B is switched off by WANDB_MODE=disabled"),
        ("offline", "a/b", r"--wandb a/b: W&B refuses a name: [^`]*project[^`]*$"),
        ("offline", " ", r"--wandb needs the name of a W&B project"),
    ],
)
def test_wandb_is_refused_before_anything_is_computed(tmp_path, monkeypatch, capsys, mode, project, message):
    for name in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / "wandb"))
    monkeypatch.setenv("WANDB_MODE", mode)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    words = ["benchmark", str(write_suite(tmp_path)), "--out", str(tmp_path / "out"), "--wandb", project]
    assert main(words) == 2
    assert re.search(message, capsys.readouterr().err.splitlines()[-1])
    assert not (tmp_path / "out").exists()
    assert not list(processes())


def test_a_broken_installation_is_named(tmp_path, monkeypatch, capsys):
    """Not only a missing one: an import of W&B often fails because of another version of protobuf."""
    (tmp_path / "wandb.py").write_text("raise ImportError('cannot import name runtime_version')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    words = ["benchmark", str(write_suite(tmp_path)), "--out", str(tmp_path / "out"), "--wandb", "p"]
    assert main(words) == 2
    assert "which cannot be imported (cannot import name runtime_version): pip install" in capsys.readouterr().err


@pytest.mark.usefixtures("wandb")
def test_an_error_of_wandb_loses_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WANDB_MODE", "offline")
    out = write_run(tmp_path, methods=2)
    (out / "wandb.json").mkdir()
    results = (out / "results.parquet").read_bytes()
    assert main(["report", str(out), "--wandb", "p", "--wandb-group", "g"]) == 1
    shown = " ".join(capsys.readouterr().err.split())
    assert "warning: W&B: not everything could be published: IsADirectoryError" in shown
    assert f"inpaint-zoo report {out} --wandb p --wandb-group g" in shown
    assert (out / "report.html").is_file()
    assert (out / "results.parquet").read_bytes() == results
