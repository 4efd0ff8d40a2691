"""The scripts in examples/ run."""

import csv
import re
import runpy
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

import inpaint_zoo as iz
from inpaint_zoo.data import create_dataset

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*")
def test_a_training_in_plain_python(tmp_path):
    """Lightning's own logger, checkpoints and callbacks work with the module and the data module."""
    results = runpy.run_path(str(EXAMPLES / "train.py"))["train"](tmp_path, 2)
    assert set(results) == {"test/psnr", "test/ssim"}
    (log,) = tmp_path.glob("logs/version_*/metrics.csv")
    rows = list(csv.DictReader(log.read_text().splitlines()))
    steps = {name: [int(row["step"]) for row in rows if row[name]] for name in rows[0]}
    for name in ("generator/loss", "discriminator/loss", "generator/grad_norm", "balance/discriminator"):
        assert steps[name] == [1, 2]
    assert steps["val/psnr"] == [1, 2]
    best = max(rows, key=lambda row: float(row["val/psnr"] or 0))
    assert steps["test/psnr"] == [int(best["step"])]
    assert sorted(path.name for path in tmp_path.glob("checkpoints/*")) == ["step=1.ckpt", "step=2.ckpt"]
    assert iz.create_model("glama_tiny", weights=tmp_path / "glama_tiny.safetensors").origin.name == "glama_tiny"


INPUTS = ("images", "masks")
SCRIPTS = sorted(EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_help_describes_every_option(path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [path.name, "--help"])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(path), run_name="__main__")
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    options = set(re.findall(r"--[a-z]+", path.read_text("utf-8").split("def main")[1]))
    assert options
    for option in options:
        assert re.search(rf"^  {option} .*\S\s\s+\S|^  {option}.*\n\s{{8,}}\S", shown, re.MULTILINE), option


def run(monkeypatch, name, *words):
    """Run a script as a reader does, and return its functions."""
    monkeypatch.setattr("sys.argv", [name, *map(str, words)])
    return runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_a_folder_of_results_is_scored(tmp_path, monkeypatch, capsys):
    """Another program gets the inputs and fills them with Telea's method: its scores are those of `telea`."""
    images, results = tmp_path / "images", tmp_path / "results"
    for folder in (images, results):
        folder.mkdir()
    crops = create_dataset({"name": "sample", "size": 64})
    for index, key in enumerate(crops.keys):
        Image.fromarray(crops.load(index)).save(images / f"{key}.png")
    words = ["--images", images, "--mask", "lama_box", "--size", 64, "--out", tmp_path / "out"]
    run(monkeypatch, "score_folder.py", *words)
    assert "4 images and masks" in capsys.readouterr().out
    for key in crops.keys:
        image, mask = (tmp_path / "out" / "inputs" / kind / "images" / "lama_box" / f"{key}.png" for kind in INPUTS)
        iz.inpaint("telea", image, mask).save(results / f"{key}.png")
    run(monkeypatch, "score_folder.py", *words, "--results", results)
    assert "report.html" in capsys.readouterr().out
    rows = pd.read_parquet(tmp_path / "out" / "run" / "results.parquet")
    values = rows.pivot_table(index=["image", "metric"], columns="method", values="value")
    assert len(values) == 4 * 3
    assert (values["yours"] == values["telea"]).all()
    assert (values["yours"] != values["neighbor_fill"]).any()


@pytest.mark.slow
@pytest.mark.usefixtures("wandb")
def test_models_are_compared_on_wandb(tmp_path, monkeypatch, capsys):
    from tests.helpers.wandb_file import read_offline

    monkeypatch.setenv("WANDB_MODE", "offline")
    run(monkeypatch, "compare_on_wandb.py", "--models", "telea", "mean_fill", "--size", 64, "--out", tmp_path)
    assert "offline" in capsys.readouterr().out
    stored = [read_offline(folder) for folder in tmp_path.glob("run/wandb/offline-run-*")]
    assert len(stored) == 2


@pytest.mark.slow
def test_an_onnx_file_gives_what_pytorch_gives(tmp_path, monkeypatch, capsys):
    pytest.importorskip("onnxruntime")
    run(monkeypatch, "deploy_onnx.py", "--model", "context_encoder_tiny", "--size", 64, "--out", tmp_path)
    assert re.search(r"at most [01] of 255 levels", capsys.readouterr().out)
    with Image.open(tmp_path / "compared.png") as sheet:
        assert sheet.size == (3 * 64, 4 * 64)
