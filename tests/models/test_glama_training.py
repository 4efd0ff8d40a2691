"""Test short training runs of GLaMa's configurations, on the sample images at 64 px with a tiny network."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from inpaint_zoo.cli.main import main
from inpaint_zoo.io.images import read_image, write_image
from inpaint_zoo.training.resume import list_checkpoints
from tests.helpers.overfit import psnr_by_heart
from tests.helpers.runs import load
from tests.helpers.small_runs import REPOSITORY, TINY
from tests.helpers.toy import registered_two_stage

CONFIGS = REPOSITORY / "configs" / "glama"
ABLATIONS = sorted(path.name for path in CONFIGS.glob("ablation_*.yaml"))
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),
    pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"),
]


def fit(config, out, *args):
    words = ["fit", "--config", str(CONFIGS / config), "--out", str(out), *TINY, *args]
    assert main(words) == 0
    with (Path(out) / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def losses(rows):
    return {key: [float(row[key]) for row in rows if row[key]] for key in rows[0] if key.startswith(("gen", "disc"))}


@pytest.mark.slow
@pytest.mark.parametrize("config", ABLATIONS)
def test_each_ablation_trains(config, tmp_path):
    rows = fit(
        config,
        tmp_path,
        "--model.init_args.network=glama_tiny",
        "--model.init_args.discriminator_width=8",
        "--model.init_args.perceptual_weights=random",
        "--trainer.max_steps=2",
        "--trainer.limit_val_batches=0",
    )
    found = losses(rows)
    assert all(len(values) == 2 and torch.tensor(values).isfinite().all() for values in found.values())
    without = {
        "ablation_loss_lama.yaml": {"total_variation", "focal_frequency"},
        "ablation_loss_tv.yaml": {"focal_frequency"},
    }
    terms = {"l1": 10, "adversarial": 10, "feature_matching": 100, "perceptual": 30}
    added = {"total_variation": 10, "focal_frequency": 100}
    terms |= {name: weight for name, weight in added.items() if name not in without.get(config, ())}
    for step in range(2):
        total = sum(weight * found[f"generator/{name}"][step] for name, weight in terms.items())
        assert found["generator/loss"][step] == pytest.approx(total, rel=1e-4)
        parts = [found[f"discriminator/{name}"][step] for name in ("real", "fake", "r1")]
        assert found["discriminator/loss"][step] == pytest.approx(parts[0] + parts[1] + 0.001 * parts[2], rel=1e-4)


def test_mixed_precision_is_finite(tmp_path):
    rows = fit("sample.yaml", tmp_path, "--trainer.max_steps=3", "--trainer.precision=bf16-mixed")
    assert all(torch.tensor(values).isfinite().all() for values in losses(rows).values())


def test_two_stages_train_the_second(tmp_path, capsys):
    fit("sample.yaml", tmp_path / "first", "--trainer.max_steps=1")
    first = list_checkpoints(tmp_path / "first" / "checkpoints")[0]
    two = (
        "--model.init_args.network=small_two_stage",
        "--model.init_args.perceptual=0",
        "--model.init_args.network_options.coarse_size=32",
        "--trainer.max_steps=2",
    )
    small = ("--model.init_args.discriminator_width=8", "--trainer.limit_val_batches=0")
    config = "glama_2stage_ffhq.yaml"
    words = ["fit", "--config", str(CONFIGS / config), "--out", str(tmp_path / "two"), *TINY, *two, *small]
    with registered_two_stage():
        assert main(words) == 2
    assert "The first network is frozen but has no trained weights" in capsys.readouterr().err
    with registered_two_stage():
        fit(config, tmp_path / "two", *two, *small, f"--model.init_args.first_weights={first}")
    before = load(first)["state_dict"]
    after = load(list_checkpoints(tmp_path / "two" / "checkpoints")[0])["state_dict"]
    for key, value in before.items():
        if key.startswith("network."):
            assert torch.equal(after[key.replace("network.", "network.first.")], value), key
    last = [key for key in before if key.startswith("network.") and key.endswith("weight")][-1]
    assert not torch.equal(after[last.replace("network.", "network.second.")], before[last])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* images are .* images too")  # by heart
def test_it_learns(tmp_path):
    """Two images by heart, with all losses of the tiny generator."""
    rates = [
        "--model.init_args.generator_optimizer.init_args.lr=4e-3",
        "--model.init_args.generator_scheduler.init_args.T_max=26",
    ]
    assert psnr_by_heart("glama/sample.yaml", tmp_path, *rates, steps=26) > 24.5


def test_whole_images_are_finished_at_their_own_sizes(tmp_path):
    """Evaluation at the original size, as in the paper: the network pads, and known pixels do not change."""
    sizes = {"wide": (75, 101), "tall": (133, 70), "square": (64, 64)}
    for n, (name, size) in enumerate(sizes.items()):
        write_image(tmp_path / "images" / f"{name}.png", np.full((*size, 3), 60 * n, np.uint8))
    test = json.dumps({"name": "mine", "root": str(tmp_path / "images")})
    words = ["--config", str(CONFIGS / "glama_ffhq.yaml"), "--out", str(tmp_path), f"--data.test={test}"]
    words += ["--model.init_args.network=glama_tiny", "--data.init_args.workers=0", "--trainer.accelerator=cpu"]
    assert main(["predict", *words, "--ckpt_path", "random"]) == 0
    for name, size in sizes.items():
        found = read_image(tmp_path / "predictions" / f"{name}.png").rgb
        assert found.shape == (*size, 3)
        assert (found == read_image(tmp_path / "images" / f"{name}.png").rgb).all(2).any()
