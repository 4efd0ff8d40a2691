"""Test the metric catalogue: names, information, and properties of all metrics."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from inpaint_zoo.cli.metrics import run
from inpaint_zoo.errors import UnknownNameError, ZooError
from inpaint_zoo.metrics import ImageMetric, create_metric, list_metrics, metric_info, metrics_markdown
from inpaint_zoo.weights import BACKBONES, WeightsNotFoundError

NAMES = list_metrics()
IMAGE_NAMES = [name for name in NAMES if metric_info(name).per_image]
LIGHT = [name for name in IMAGE_NAMES if not metric_info(name).needs]
SET_NAMES = [name for name in NAMES if not metric_info(name).per_image]


def test_every_promised_name_is_there():
    basic = ["l1", "l1_percent", "mse", "psnr", "ssim", "tv", "lpips_alex", "lpips_vgg", "lpips_squeeze"]
    assert {*basic, *(f"{name}_hole" for name in basic)} <= set(NAMES)
    assert {"fid", "fid_clean", "kid", "p_ids", "u_ids"} <= set(SET_NAMES)
    assert {"psnr_isnet", "ssim_isnet", "mae_isnet", "psnr_lgnet", "l1_lgnet"} <= set(NAMES)
    assert {"mae_grig", "ssim_grig", "psnr_grig", "mse_255", "l1_255", "ssim_lama"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_info_is_complete(name):
    info = metric_info(name)
    assert info.name == name
    assert info.title
    assert info.definition.endswith(".")
    assert info.source
    assert info.value_range
    assert "inpaint-zoo" in info.implementation
    assert set(info.needs) <= set(BACKBONES)
    assert info.region == ("hole" if name.endswith("_hole") else "known" if name.endswith("_known") else "image")


@pytest.mark.parametrize("name", LIGHT)
def test_built_metric_agrees_with_its_info(name):
    metric, info = create_metric(name), metric_info(name)
    assert isinstance(metric, ImageMetric)
    assert (metric.name, metric.region, metric.cap) == (name, info.region, info.cap)
    assert metric.higher_is_better is info.higher_is_better
    assert metric.min_side <= max(16, info.min_side)


@pytest.mark.parametrize("name", LIGHT)
def test_direction_and_range(name, random_batch):
    pred, target, mask = random_batch(2, 64, 64)
    metric, info = create_metric(name), metric_info(name)
    far = metric.score(pred, target, mask)
    near = metric.score(0.1 * pred + 0.9 * target, target, mask)
    assert far.dtype == torch.float64
    if "tv" not in name:  # of the result alone
        assert bool((near > far).all()) is info.higher_is_better
    low, high = info.value_range.split(" ")[0], info.value_range.split(" ")[-1]
    for scores in (near, far):
        assert float(low) <= scores.min()
        assert high == "upwards" or scores.max() <= float(high)


@pytest.mark.parametrize(("wrong", "right"), [("pnsr", "psnr"), ("lpips_squeze", "lpips_squeeze"), ("FID", "fid")])
def test_unknown_names_suggest_the_nearest(wrong, right):
    for ask in (create_metric, metric_info):
        with pytest.raises(UnknownNameError, match=f"Unknown metric '{wrong}'. Did you mean '{right}'"):
            ask(wrong)


def test_unknown_option_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match=r"option of metric 'psnr': 'capp'\. Did you mean 'cap'"):
        create_metric("psnr", capp=80)


@pytest.mark.parametrize("name", ["lpips_alex", "lpips_vgg_hole", "fid", "fid_clean", "kid", "p_ids", "u_ids"])
def test_missing_weights_are_refused_in_one_line(name, tmp_path, monkeypatch):
    monkeypatch.setenv("INPAINT_ZOO_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("INPAINT_ZOO_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsNotFoundError, match="INPAINT_ZOO_WEIGHTS") as error:
        create_metric(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", LIGHT)
@pytest.mark.parametrize("size", [(16, 16), (17, 31), (16, 301)])
def test_odd_sizes_work_or_say_what_they_need(name, size, random_batch):
    batch, metric = random_batch(2, *size), create_metric(name)
    if min(size) < metric_info(name).min_side:
        with pytest.raises(ZooError, match=f"`{name}` needs .* of at least 51 px, got {size[0]} x {size[1]}"):
            metric.score(*batch)
    else:
        assert metric.score(*batch).isfinite().all()


def test_listing_loads_no_torch():
    code = (
        "import sys; from inpaint_zoo.metrics import list_metrics, metric_info; list(map(metric_info, list_metrics()))"
    )
    assert (
        subprocess.run([sys.executable, "-c", f"{code}; sys.exit('torch' in sys.modules)"], check=False).returncode == 0
    )


def test_the_page_is_what_the_command_writes():
    page = Path(__file__).parents[2] / "docs" / "metrics.md"
    assert page.read_text().endswith(metrics_markdown()), (
        "write docs/metrics.md anew: inpaint-zoo metrics list --markdown"
    )


def test_command_lists_and_shows(capsys):
    assert run([]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in NAMES)
    assert run(["show", "ssim_grig"]) == 0
    assert "window of 51" in " ".join(capsys.readouterr().out.split())
    assert run(["list", "psnr*"]) == 0
    assert "ssim" not in capsys.readouterr().out
    with pytest.raises(UnknownNameError, match="Did you mean 'psnr'"):
        run(["show", "pnsr"])
    with pytest.raises(UnknownNameError, match="Unknown metric 'zzz"):
        run(["list", "zzz*"])
