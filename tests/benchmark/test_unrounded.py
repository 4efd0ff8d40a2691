"""Metrics for unrounded results get them in a suite; all other metrics get 8-bit results."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from skimage.metrics import structural_similarity

import inpaint_zoo as iz
from inpaint_zoo.benchmark import Options, run_suite
from inpaint_zoo.benchmark.scoring import Scorer
from inpaint_zoo.masks import create_mask
from inpaint_zoo.metrics import list_metrics, metric_info
from inpaint_zoo.metrics.definitions import PAPER_ENTRIES
from tests.helpers.suites import make_image, results_bytes, small_suite, write_images
from tests.helpers.toy import registered_toy

ONE = Options(workers=1, device="cpu", gallery=3)
MASK = {"name": "center", "size": 60}  # extends to the borders, which the SSIM variants treat differently
UNROUNDED = ["mae_isnet", "mae_relative_isnet", "psnr_isnet", "psnr_lgnet", "ssim_isnet", "ssim_lama"]
# each variant, and the metric that it equals without its special treatment
NEIGHBORS = {
    "psnr_isnet": "psnr",
    "ssim_isnet": "ssim",
    "mae_isnet": "l1",
    "mae_relative_isnet": "mae_isnet",
    "psnr_lgnet": "psnr",
    "l1_lgnet": "l1_percent",
    "mae_grig": "mae_relative_isnet",
    "ssim_grig": "ssim",
    "ssim_lama": "ssim_isnet",
    "l1_255": "l1",
    "mse_255": "mse",
}
SAME = {
    "psnr_grig": "psnr",
    "psnr_lgnet": "psnr_isnet",
}  # by definition, for 8-bit results and images that are not identical
METRICS = sorted({*PAPER_ENTRIES, *NEIGHBORS.values(), *SAME.values()})


def psnr(x, y):
    return 10 * np.log10(1 / np.mean((x - y) ** 2))


def ssim(x, y, border, **options):
    """Return scikit-image's SSIM with an added border, because scikit-image drops one."""
    if border:
        x, y = (np.pad(image, ((5, 5), (5, 5), (0, 0)), mode=border) for image in (x, y))
        options |= {"gaussian_weights": True, "use_sample_covariance": False}
    return structural_similarity(x, y, data_range=1.0, channel_axis=-1, **options)


def expected_values(result, target):
    """Return every metric by NumPy, from the float result (H, W, 3) and the 8-bit ground truth."""
    target = target / 255.0
    rounded = np.round(result * np.float32(255)).astype(np.float64) / 255
    truncated = np.floor(result * np.float32(255)).astype(np.float64) / 255
    result = result.astype(np.float64)
    l1 = np.abs(rounded - target).mean()
    mse = np.mean((rounded - target) ** 2)
    return {
        "psnr": psnr(rounded, target),
        "psnr_grig": psnr(rounded, target),
        "psnr_isnet": psnr(truncated, target),
        "psnr_lgnet": psnr(truncated, target),
        "ssim": ssim(rounded, target, "reflect"),
        "ssim_isnet": ssim(result, target, "constant"),
        "ssim_lama": ssim(truncated, target, "constant"),
        "ssim_grig": ssim(rounded, target, None, win_size=51),
        "l1": l1,
        "l1_percent": 100 * l1,
        "l1_255": 255 * l1,
        "l1_lgnet": 200 * l1,
        "mae_isnet": np.abs(result - target).mean(),
        "mae_relative_isnet": np.abs(result - target).sum() / target.sum(),
        "mae_grig": np.abs(rounded - target).sum() / (rounded.sum() + target.sum()),
        "mse": mse,
        "mse_255": 255**2 * mse,
    }


def float_results(count):
    """Yield (result, truth) of the toy network, in the fast form that suites use, with 8-bit known pixels."""
    net = iz.optimize(iz.create_model("toy"))
    for index in range(count):
        target = make_image(index)
        mask = create_mask(MASK, size=(64, 64), seed=7, index=index)
        image = torch.from_numpy(np.where(mask[..., None], 0, target)).permute(2, 0, 1)[None].float() / 255
        result = net(image, torch.from_numpy(mask)[None, None].float())[0].permute(1, 2, 0).numpy()
        yield np.where(mask[..., None], result, target.astype(np.float32) / np.float32(255)), target


def values(out, method):
    results = pd.read_parquet(out / "results.parquet")
    results = results[results["method"] == method]
    return {metric: rows.set_index("image")["value"] for metric, rows in results.groupby("metric")}


def records(out):
    cells = json.loads((out / "provenance.json").read_text())["cells"].values()
    return {record["method"]: record for record in cells}


@pytest.fixture(scope="module")
def toy_run(tmp_path_factory):
    """Run a suite of the toy network with all metric variants."""
    folder = tmp_path_factory.mktemp("toy")
    write_images(folder / "images", 3)
    with registered_toy():
        suite = small_suite(folder, methods=[{"model": "toy", "weights": "random"}], masks=[MASK], metrics=METRICS)
        run_suite(suite, folder / "out", ONE)
        expected = {
            f"more/p{index}" if index == 2 else f"p{index}": expected_values(*pair)
            for index, pair in enumerate(float_results(3))
        }
    return folder, expected


def test_every_variant_of_a_paper_has_a_neighbor_here():
    assert {*NEIGHBORS, *SAME} == set(PAPER_ENTRIES)
    assert [name for name in list_metrics() if metric_info(name).result == "unrounded"] == UNROUNDED


def test_values_of_a_suite_are_those_of_the_form_that_each_metric_measures(toy_run):
    folder, expected = toy_run
    found = values(folder / "out", "toy")
    assert found.keys() == set(METRICS)
    for metric, column in found.items():
        assert column.to_dict() == pytest.approx({key: row[metric] for key, row in expected.items()}, rel=1e-6), metric
    assert records(folder / "out")["toy"]["from_bytes"] == []


@pytest.mark.parametrize(("variant", "neighbor"), NEIGHBORS.items())
def test_a_variant_differs_from_its_neighbor_in_a_suite(toy_run, variant, neighbor):
    found = values(toy_run[0] / "out", "toy")
    assert ((found[variant] - found[neighbor]).abs() > 1e-5 * found[neighbor].abs()).all()


def test_what_is_the_same_by_definition_is_the_same(toy_run):
    found = values(toy_run[0] / "out", "toy")
    for variant, other in SAME.items():
        assert found[variant].to_dict() == pytest.approx(found[other].to_dict(), rel=1e-6)


def test_workers_and_batches_change_no_byte_of_them(toy_run, tmp_path):
    folder, _ = toy_run
    with registered_toy():
        suite = small_suite(folder, methods=[{"model": "toy", "weights": "random"}], masks=[MASK], metrics=METRICS)
        run_suite(suite, tmp_path / "out", Options(workers=3, batch_size=2, device="cpu"))
    assert results_bytes(tmp_path / "out") == results_bytes(folder / "out")


def test_files_give_the_same_ordinary_metrics_and_say_that_variants_measured_bytes(toy_run, tmp_path):
    folder, _ = toy_run
    cell = records(folder / "out")["toy"]["id"]
    for position, key in enumerate(("more/p2", "p0", "p1")):
        image = Image.open(folder / "out" / "cells" / cell / "images" / f"{position}.png")
        (tmp_path / "theirs" / key).parent.mkdir(parents=True, exist_ok=True)
        image.save(tmp_path / "theirs" / f"{key}.png")
    write_images(tmp_path / "images", 3)
    theirs = {"folder": "theirs", "label": "Theirs"}
    run_suite(small_suite(tmp_path, methods=[theirs], masks=[MASK], metrics=METRICS), tmp_path / "out", ONE)
    network, files = values(folder / "out", "toy"), values(tmp_path / "out", "Theirs")
    for metric in METRICS:
        same = network[metric].to_dict() == files[metric].to_dict()
        assert same is (metric not in UNROUNDED), metric
    assert files["psnr_lgnet"].to_dict() == pytest.approx(files["psnr"].to_dict(), rel=1e-6)
    assert sorted(records(tmp_path / "out")["Theirs"]["from_bytes"]) == UNROUNDED
    note = (
        "PSNR (LGNet) measures results before they are rounded to 8 bits, but Theirs returned only "
        "8-bit results, which were measured instead."
    )
    assert note in (tmp_path / "out" / "report.html").read_text()
    assert note not in (folder / "out" / "report.html").read_text()
    assert note in (tmp_path / "out" / "report.md").read_text()


def test_identity_changes_for_these_metrics_alone():
    identity = Scorer(["psnr", "psnr_lgnet"], torch.device("cpu")).identity()
    assert identity["psnr"].keys() == {"implementation", "backbones"}
    assert identity["psnr_lgnet"] == {**identity["psnr"], "result": "unrounded"}
