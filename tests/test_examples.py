"""The scripts in examples/ run."""

import csv
import runpy
from pathlib import Path

import pytest

import inpaint_zoo as iz

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
