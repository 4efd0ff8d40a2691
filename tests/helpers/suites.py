"""Small suites for the benchmark's tests: generated 64 px images, classical methods, metrics without weights."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from PIL import Image

from inpaint_zoo.benchmark import Listener, load_suite
from inpaint_zoo.benchmark.methods import create_methods
from inpaint_zoo.benchmark.paper import COLUMNS

METRICS = ["psnr", "ssim", "l1_percent"]


def make_image(number, size=(64, 64)):
    """Return a smooth image with an edge, different for each number."""
    rng = np.random.default_rng(number)
    height, width = size
    y, x = np.mgrid[0:height, 0:width] / max(size)
    waves = [np.sin(rng.uniform(2, 9) * x + rng.uniform(2, 9) * y + rng.uniform(0, 6)) for _ in range(3)]
    image = np.stack(waves, axis=-1) * 90 + 128 + 30 * (x + y > rng.uniform(0.5, 1.5))[..., None]
    return image.clip(0, 255).astype(np.uint8)


def write_images(folder, count=5, size=(64, 64)):
    """Write images; the last one is in a sub-folder."""
    for number in range(count):
        path = folder / ("more" if number == count - 1 else "") / f"p{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(make_image(number, size)).save(path)
    return folder


def content(**changes):
    """Return a suite as plain values, with top-level keys replaced."""
    return {
        "name": "small",
        "seed": 7,
        "methods": ["mean_fill", "telea"],
        "datasets": [{"name": "images", "root": "images", "size": 64}],
        "masks": [{"name": "center", "size": 24}, "lama_box"],
        "metrics": METRICS,
        **changes,
    }


def write_suite(folder, **changes):
    """Write images and a suite into a folder; return the suite's path."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "images").exists():
        write_images(folder / "images")
    path = folder / "suite.yaml"
    path.write_text(yaml.safe_dump(content(**changes), sort_keys=False))
    return path


def write_table(folder, cells):
    """Write `table.csv`, Table 1 of the paper "mine", from (dataset, setting, mask, method, metric, value)."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *(("mine", "1", *cell) for cell in cells)])


def small_suite(folder, **changes):
    """Write and load a small suite."""
    return load_suite(write_suite(folder, **changes))


def methods_of(suite):
    """Return the methods of a suite for its first dataset."""
    return [by_dataset[suite.datasets[0].label].method for by_dataset in create_methods(suite)]


def results_bytes(out):
    """Return the bytes that must depend only on the suite."""
    return (Path(out) / "results.parquet").read_bytes()


def means_of(out):
    """Return the means of the results by (method, dataset, mask, metric)."""
    results = pd.read_parquet(Path(out) / "results.parquet")
    return results.groupby(["method", "dataset", "mask", "metric"])["value"].mean().to_dict()


class Diary(Listener):
    """Listener that records what it receives."""

    def __init__(self):
        self.notes, self.cells, self.errors, self.images = [], [], [], 0

    def note(self, text):
        self.notes.append(text)

    def image(self):
        self.images += 1

    def finish(self, key, error):
        self.cells.append(str(key))
        self.errors += [error] if error else []
