"""Stages of networks and spectra in the report: what is stored, what is drawn, and that no number depends on it."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

import inpaint_zoo as iz
from inpaint_zoo.benchmark import Options, run_suite
from inpaint_zoo.benchmark.report.run_folder import read_run
from inpaint_zoo.benchmark.report.spectra import RINGS, decibels, profiles, radial_power, spectrum_strips
from inpaint_zoo.benchmark.report.strips import stage_strips
from inpaint_zoo.benchmark.stages import signed_map
from inpaint_zoo.errors import ZooError
from inpaint_zoo.masks import create_mask
from tests.helpers.suites import make_image, results_bytes, small_suite, write_images
from tests.helpers.toy import registered_toy

ONE = Options(workers=1, device="cpu", gallery=2)
CENTER = [{"name": "center", "size": 24}]
TOY = {"model": "toy", "weights": "random", "label": "Toy"}
PROGRESSIVE = "progressive:isnet_tiny"
FIRST = 3  # number of the image with the first key, "more/p3"


@pytest.fixture(autouse=True)
def models():
    with registered_toy():
        yield


@pytest.fixture
def folder(tmp_path):
    write_images(tmp_path / "images", FIRST + 1)
    return tmp_path


def stages_of(out, method):
    run = read_run(out)
    identifier, _ = run.cells[method, run.datasets[0], run.tables[0][1]]
    place = out / "cells" / identifier / "stages"
    return place, json.loads((place / "stages.json").read_text())


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


def test_stages_of_a_network_are_its_results_and_signed_changes(folder):
    out = folder / "out"
    suite = small_suite(folder, methods=[TOY, "telea"], masks=CENTER, gallery={"stages": ["Toy"]})
    run_suite(suite, out, ONE)
    place, content = stages_of(out, "Toy")
    assert set(content) == {"0", "1"}
    names = [(each["name"], each["scale"] is not None) for each in content["0"]]
    assert names == [("coarse", True), ("coarse", False), ("fine", True), ("fine", False)]
    torch.manual_seed(7)
    net = iz.create_model("toy").eval()
    image = torch.tensor(make_image(FIRST)).permute(2, 0, 1)[None] / 255
    mask = torch.tensor(create_mask("center", size=(64, 64), args={"size": 24}))[None, None].float()
    with torch.no_grad():
        stages = net.stages(image * (1 - mask), mask)
    inside = mask[0, 0].numpy() > 0
    before = np.ones((3, 64, 64))  # its value for holes, 1 in [-1, 1]
    for number, (name, stage) in enumerate(stages.items()):
        change, result = content["0"][2 * number], content["0"][2 * number + 1]
        assert change["name"] == result["name"] == name
        wanted = np.where(inside, stage[0].clamp(0, 1).numpy() * 255, make_image(FIRST).transpose(2, 0, 1))
        assert np.abs(pixels(place / result["file"]).transpose(2, 0, 1) - wanted).max() < 1
        shown = (pixels(place / change["file"]).transpose(2, 0, 1) - 128.0) / 127 * change["scale"]
        difference = np.where(inside, stage[0].numpy() - before, 0)
        assert np.abs(shown - difference).max() <= change["scale"] / 254 + 1e-4
        before = stage[0].numpy()
    kept = read_run(out).result_file(("Toy", "images", "center"), 0)
    np.testing.assert_array_equal(pixels(place / content["0"][-1]["file"]), pixels(kept))


def test_stages_change_no_number_and_are_computed_once(folder):
    out = folder / "out"
    plain = small_suite(folder, methods=[TOY], masks=CENTER)
    run_suite(plain, out, ONE)
    before = results_bytes(out)
    assert 'id="stages"' not in (out / "report.html").read_text()
    shown = small_suite(folder, methods=[TOY], masks=CENTER, gallery={"stages": ["*"]})
    assert run_suite(shown, out, ONE).computed == 0
    assert results_bytes(out) == before
    place, content = stages_of(out, "Toy")
    page = (out / "report.html").read_text()
    assert page.count("<bdi>coarse: change</bdi>") == 2
    scale = content["0"][0]["scale"]
    assert f"gray: none; white: +{scale:g}; black: \u2212{scale:g}" in page
    times = {path: path.stat().st_mtime_ns for path in place.iterdir()}
    assert run_suite(shown, out, ONE).computed == 0
    assert {path: path.stat().st_mtime_ns for path in place.iterdir()} == times
    run_suite(shown, out, Options(workers=1, device="cpu", gallery=2, fresh=True))
    assert place.is_dir()
    assert results_bytes(out) == before


def test_a_network_that_repeats_shows_its_passes(folder):
    out = folder / "out"
    masks = [{"name": "center", "size": 48}]
    suite = small_suite(folder, methods=[PROGRESSIVE], masks=masks, gallery={"stages": ["progressive:*"]})
    run_suite(suite, out, ONE)
    place, content = stages_of(out, PROGRESSIVE)
    run = read_run(out)
    passes = run.timings["passes"].iloc[0]
    assert passes > 1
    assert [each["name"] for each in content["0"]] == [f"pass {number + 1}" for number in range(passes)]
    last = pixels(place / content["0"][-1]["file"])
    np.testing.assert_array_equal(last, pixels(run.result_file((PROGRESSIVE, "images", "center"), 0)))
    (first, _) = stage_strips(run)
    assert (first.image, first.method, len(first.tiles)) == ("more/p3", PROGRESSIVE, passes)


def test_a_network_with_one_stage_has_no_row(folder):
    out = folder / "out"
    suite = small_suite(folder, methods=["autoencoder_tiny"], masks=CENTER, gallery={"stages": ["autoencoder_tiny"]})
    run_suite(suite, out, ONE)
    assert stages_of(out, "autoencoder_tiny")[1] == {"0": [], "1": []}
    assert stage_strips(read_run(out)) == []


@pytest.mark.parametrize(
    ("gallery", "message"),
    [
        ({"stages": ["Toi"]}, r"Unknown model of the suite in `stages`: 'Toi'. Did you mean 'Toy'"),
        ({"stage": ["Toy"]}, r"Unknown key of `gallery`: 'stage'. Did you mean 'stages'"),
        ({"stages": "Toy"}, r"suite\.yaml:\d+: .*'stages'"),
        ({"spectra": "perhaps"}, r"'spectra'"),
        ([], r"'gallery'"),
    ],
)
def test_wrong_keys(folder, gallery, message):
    with pytest.raises(ZooError, match=message):
        small_suite(folder, methods=[TOY], gallery=gallery)


def test_a_signed_map_is_gray_where_nothing_changes():
    values = np.zeros((3, 4, 4), np.float32)
    values[0, 0, 0], values[1, 0, 0], values[2, 0, 0] = 0.123, -0.123, 0.0615
    mask = np.zeros((4, 4), bool)
    mask[0, :2] = True
    values[:, 3, 3] = 9  # not in the hole
    shown, scale = signed_map(values, mask)
    assert scale == 0.13
    assert shown[0, 0].tolist() == [128 + round(127 * 0.123 / 0.13), 128 - round(127 * 0.123 / 0.13), 128 + 60]
    assert (shown.reshape(-1, 3)[1:] == 128).all()
    assert signed_map(np.zeros((3, 4, 4), np.float32), mask)[1] == pytest.approx(0.004)


def wave(amplitude, period, size=64):
    """Return a gray image with vertical stripes; all values are whole numbers."""
    x = np.arange(size)
    line = 128 + np.rint(amplitude * np.cos(2 * np.pi * x / period))
    return np.broadcast_to(line[None, :, None], (size, size, 3)).astype(np.uint8)


def test_the_spectrum_of_a_wave_is_two_points():
    # amplitude a of a cosine: |F| = a / 2 * sqrt(H W) / 255 at its two frequencies
    shown = decibels(wave(100, 2))  # +100, -100, ...: one frequency, half a cycle per pixel
    assert shown[32, 0] == pytest.approx(20 * math.log10(100 / 255 * 64), abs=1e-9)
    assert shown[32, 32] == pytest.approx(20 * math.log10(128 / 255 * 64), abs=1e-9)
    assert (np.delete(shown.ravel(), [32 * 64, 32 * 64 + 32]) < -60).all()


def test_radial_power_obeys_parseval_and_finds_the_frequency():
    power = radial_power(wave(100, 4))  # a quarter of a cycle per pixel
    assert np.nanargmax(power) == RINGS // 2
    assert np.isnan(power[0])  # the zero frequency alone
    assert power[1 : RINGS // 2].max() < 1e-20
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    expected = noise.mean(axis=2).var() / 255**2  # white noise has the same power at all frequencies
    assert np.nanmean(radial_power(noise)) == pytest.approx(expected, rel=0.1)


def test_spectra_are_those_of_the_results(folder):
    out = folder / "out"
    suite = small_suite(folder, methods=["mean_fill", "telea"], masks=CENTER, gallery={"spectra": True})
    run_suite(suite, out, ONE)
    run = read_run(out)
    first, second = spectrum_strips(run)
    assert [tile.title for tile in first.tiles] == ["ground truth", "mean_fill", "telea"]
    assert (first.image, second.image) == ("more/p3", "p0")
    (profile,) = profiles(run)
    assert profile.images == 2
    targets, results = (
        np.mean([radial_power(pixels(file(number))) for number in (0, 1)], axis=0)
        for file in (
            lambda number: run.target_file("images", number),
            lambda number: run.result_file(("telea", "images", "center"), number),
        )
    )
    assert profile.numbers[1] == (
        "telea",
        *(f"{10 * math.log10(ratio):+.1f}".replace("-", "\u2212") for ratio in (results / targets)[1:]),
    )
    page = (out / "report.html").read_text()
    assert page.count("<bdi>ground truth</bdi>") >= 2
    assert "Power by frequency" in page
