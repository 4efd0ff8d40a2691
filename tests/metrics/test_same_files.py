"""Test that the benchmark of a folder of results equals scikit-image, lpips and torch-fidelity on the same files."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from skimage.io import imread
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from inpaint_zoo.benchmark import Options, run_suite
from tests.helpers.suites import make_image, small_suite

COUNT, SIZE = 6, 64
HOLE = slice(16, 48)  # of the mask set "center"
WINDOW = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": -1}


@pytest.fixture
def folder(tmp_path):
    """Return a folder with `images` and `theirs`, whose holes have noise."""
    rng = np.random.default_rng(0)
    for name in ("images", "theirs"):
        (tmp_path / name).mkdir()
    for number in range(COUNT):
        image = make_image(number, (SIZE, SIZE))
        result = image.astype(int)
        result[HOLE, HOLE] += rng.integers(-60, 61, (32, 32, 3))
        Image.fromarray(image).save(tmp_path / "images" / f"{number}.png")
        Image.fromarray(result.clip(0, 255).astype(np.uint8)).save(tmp_path / "theirs" / f"{number}.png")
    return tmp_path


def scored(folder, metrics):
    """Run the benchmark on the folder; return its rows."""
    masks = [{"name": "center", "size": 32}]
    suite = small_suite(folder, methods=[{"folder": "theirs", "label": "Theirs"}], masks=masks, metrics=metrics)
    outcome = run_suite(suite, folder / "out", Options(device="cpu", workers=2))
    assert (outcome.computed, outcome.skipped_metrics) == (1, {})
    return pd.read_parquet(folder / "out" / "results.parquet")


@torch.no_grad()
def test_scikit_image_and_lpips(folder, official_lpips):
    rows = scored(folder, ["psnr", "ssim", "l1", "lpips_squeeze"])
    ours = rows.pivot_table(index="image", columns="metric", values="value")
    for number in range(COUNT):
        truth, result = (imread(folder / name / f"{number}.png") for name in ("images", "theirs"))
        around = ((5, 5), (5, 5), (0, 0))  # scikit-image leaves out the border of the map
        bordered = (np.pad(image, around, mode="reflect") for image in (truth, result))
        x, y = (torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1 for image in (truth, result))
        expected = {
            "psnr": peak_signal_noise_ratio(truth, result),
            "ssim": structural_similarity(*bordered, **WINDOW),
            "l1": np.abs(truth / 255 - result / 255).mean(),
            "lpips_squeeze": official_lpips[False](x, y).item(),
        }
        assert ours.loc[str(number)].to_dict() == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
def test_torch_fidelity(folder, inception, monkeypatch):
    from torch_fidelity import calculate_metrics

    monkeypatch.setenv("INPAINT_ZOO_WEIGHTS", str(inception[1].parent))
    rows = scored(folder, ["fid", "kid"]).set_index("metric")["value"]
    theirs = calculate_metrics(
        input1=str(folder / "theirs"),
        input2=str(folder / "images"),
        fid=True,
        kid=True,
        kid_subsets=2,
        kid_subset_size=COUNT,
        feature_extractor_weights_path=str(inception[1]),
        cuda=False,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
    )
    assert rows["fid"] == pytest.approx(theirs["frechet_inception_distance"], rel=1e-3)
    assert rows["kid"] == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-3, abs=1e-9)
