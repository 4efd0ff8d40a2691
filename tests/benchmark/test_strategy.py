"""A method's `strategy:` runs: its results are those of `iz.inpaint` with this strategy."""

import json

import numpy as np
from PIL import Image

import inpaint_zoo as iz
from inpaint_zoo.cli.main import main
from tests.helpers.suites import make_image, write_suite

SIZE = (280, 320)  # more than twice the training size, so that tiles differ from the whole image
DATASETS = [{"name": "images", "root": "images"}]
MASKS = [{"name": "center", "size": 100}]
STRATEGIES = ("full", "crop", "tile", "coarse_to_fine")


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_results_of_a_suite_are_those_of_inpaint(tmp_path, capsys):
    methods = [{"model": "lgnet_tiny", "weights": "shipped", "strategy": each, "label": each} for each in STRATEGIES]
    suite = write_suite(tmp_path, methods=methods, masks=MASKS, datasets=DATASETS, metrics=["psnr"])
    for number in range(5):
        next((tmp_path / "images").rglob(f"p{number}.png")).unlink()
    Image.fromarray(make_image(0, SIZE)).save(tmp_path / "images" / "p0.png")
    assert main(["benchmark", str(suite), "--out", str(tmp_path / "run"), "--device", "cpu"]) == 0
    results = []
    for record in (tmp_path / "run" / "cells").glob("*/cell.json"):
        cell = json.loads(record.read_text())
        image = tmp_path / "run" / "gallery" / "images" / "0.png"
        hole = pixels(tmp_path / "run" / "gallery" / "images" / cell["mask"] / "0.png")[..., 0] > 0
        result = pixels(record.parent / "images" / "0.png")
        expected = iz.inpaint("lgnet_tiny", pixels(image), hole, strategy=cell["method"])
        assert np.abs(result.astype(int) - expected).max() <= 1  # of the network and of its fast form
        results.append(result.tobytes())
    assert len(results) == len(STRATEGIES)
    assert len(set(results)) > 1  # they are not ignored
    suite.write_text(suite.read_text().replace("strategy: tile", "strategy: tiles"))
    assert main(["benchmark", str(suite), "--out", str(tmp_path / "other")]) == 2
    assert "Unknown strategy 'tiles'. Did you mean 'tile'?" in capsys.readouterr().err
