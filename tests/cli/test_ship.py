"""`inpaint-zoo ship`, with a configuration that trains for seconds."""

from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

import inpaint_zoo as iz
from inpaint_zoo.cli.main import main
from inpaint_zoo.weights import load_weights

SAMPLE = Path(__file__).parent.parent.parent / "configs" / "autoencoder" / "sample.yaml"
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),
    pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"),
]


@pytest.fixture
def config(tmp_path):
    content = yaml.safe_load(SAMPLE.read_text())
    data = content["data"]["init_args"]
    for part in ("train", "val", "test"):
        data[part] = {"name": "sample", "split": "train" if part == "train" else "test", "size": 64}
    data |= {"masks": {"name": "center", "size": 32}, "eval_masks": {"name": "center", "size": 32}, "workers": 0}
    data |= {"augment": ["hflip"], "batch_size": 2, "epoch_samples": 4}
    content["trainer"] |= {"max_steps": 4, "num_sanity_val_steps": 0, "log_every_n_steps": 1}
    content["checkpoints"] = {"every": 2, "monitor": None}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_weights_and_card(config, tmp_path, capsys):
    run, package = tmp_path / "run", tmp_path / "package"
    words = ["ship", str(config), "--out", str(run), "--package", str(package)]
    assert main(words) == 0
    assert "shipped" in capsys.readouterr().out
    file = load_weights(package / "autoencoder_tiny.safetensors")
    assert file.name == "autoencoder_tiny"
    assert {value.dtype for value in file.state.values() if value.is_floating_point()} == {torch.float16}
    assert file.training["steps"] == 4
    assert file.training["held_out"]["split"] == "test"
    net = iz.create_model("autoencoder_tiny", weights=package / "autoencoder_tiny.safetensors")
    last = torch.load(run / "checkpoints" / "step_00000004.ckpt", weights_only=True)["state_dict"]
    for key, value in net.state_dict().items():
        torch.testing.assert_close(value, last[f"network.{key}"], atol=1e-3, rtol=1e-3)
    card = (package / "autoencoder_tiny.md").read_text()
    for part in ("1,428,171", "16 bit", file.sha256, "4 steps in ", "| psnr |", "| step | val/psnr |", "| 4 | "):
        assert part in card
    # a second call trains no more and says the same
    assert main(words) == 0
    assert (package / "autoencoder_tiny.md").read_text() == card


def test_what_cannot_be_shipped(config, tmp_path, capsys):
    content = yaml.safe_load(config.read_text())
    content["model"]["init_args"]["network"] = "telea"
    config.write_text(yaml.safe_dump(content))
    assert main(["ship", str(config), "--out", str(tmp_path / "run")]) == 2
    assert "'telea' is not a learned model" in capsys.readouterr().err
    assert main(["ship", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml does not exist" in capsys.readouterr().err


def test_a_suite_scores_the_model_for_its_card(config, tmp_path):
    suite = tmp_path / "suite.yaml"
    suite.write_text(
        "name: small\nseed: 1\nmethods: [mean_fill, {shipped: 'lgnet_tiny'}]\ndatasets: [{name: sample, size: 64}]\n"
        "masks: [{name: center, size: 32}]\nmetrics: [psnr, ssim]\n"
    )
    content = yaml.safe_load(config.read_text())
    content["data"]["init_args"]["train"] = {
        "name": "both",
        "size": 64,
        "parts": [{"name": "sample", "split": "train", "terms": "free to use"}],
    }
    config.write_text(yaml.safe_dump(content))
    package = tmp_path / "package"
    words = ["ship", str(config), "--out", str(tmp_path / "run"), "--package", str(package), "--suite", str(suite)]
    assert main(words) == 0
    card = (package / "autoencoder_tiny.md").read_text()
    assert "| training data | sample (free to use) |" in card
    summary = pd.read_csv(tmp_path / "run" / "suite" / "summary.csv").set_index(["method", "metric"])
    assert set(summary.index.get_level_values("method")) == {"autoencoder_tiny", "mean_fill"}
    row = summary.loc["autoencoder_tiny", "psnr"]
    assert f"{row['mean']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]" in card
