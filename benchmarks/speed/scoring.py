"""Compare the speed of scoring a folder of results with a loop over scikit-image's metrics, one image at a time.

    python benchmarks/speed/scoring.py [--images 1000] [--size 256] [--workers 0] [--json FILE]

Both sides read the PNG files of results and of the ground truth and compute PSNR, SSIM and L1. Ours is a suite with a
`folder` method, from reading the suite to the written report. Both sides have imported their libraries before: ours
scores a few images first. The loop takes the first half of the images before it and
the second half after it, so that other load on the machine slows both sides. CPU seconds, summed over the threads,
depend less on that load. The values of PSNR and L1 are compared for all images; those of SSIM for every 20th, which
gets a reflected border first, because scikit-image leaves out the border of the map. The target is three times the
speed of the loop. The exit code is 1 only if values differ.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import numpy as np
import pandas as pd
import yaml
from machine import machine
from PIL import Image
from rich.console import Console
from rich.table import Table
from skimage import data
from skimage.io import imread
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from inpaint_zoo.benchmark import Options, load_suite, run_suite
from inpaint_zoo.benchmark.breakdown import seconds_line

TARGET = 3.0
TOLERANCE = 1e-6
SSIM = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": -1}
BORDER = 5  # half of the window
CHECKED = 20  # SSIM is compared for one of so many images

Pixels = np.ndarray


def write_images(folder: Path, count: int, size: int) -> None:
    """Write crops of images to `truth`, and to `results` with noise in the centered hole of half their size."""
    rng = np.random.default_rng(0)
    photos = [Image.fromarray(photo).resize((2 * size, 2 * size)) for photo in (data.astronaut(), data.chelsea())]
    for name in ("truth", "results"):
        (folder / name).mkdir()
    hole = slice(size // 4, size // 4 + size // 2)
    for number in range(count):
        left, top = rng.integers(0, size, 2)
        truth = np.asarray(photos[number % 2].crop((left, top, left + size, top + size)))
        result = truth.astype(np.int16)
        result[hole, hole] += rng.integers(-30, 31, result[hole, hole].shape, np.int16)
        Image.fromarray(truth).save(folder / "truth" / f"{number:05}.png")
        Image.fromarray(result.clip(0, 255).astype(np.uint8)).save(folder / "results" / f"{number:05}.png")


def write_suite(folder: Path, size: int) -> Path:
    """Write a suite that scores the results, and return its path."""
    suite = {
        "name": "scoring",
        "seed": 1,
        "methods": [{"folder": "results", "label": "results"}],
        "datasets": [{"name": "truth", "root": "truth"}],
        "masks": [{"name": "center", "size": size // 2}],
        "metrics": ["psnr", "ssim", "l1"],
    }
    path = folder / "suite.yaml"
    path.write_text(yaml.safe_dump(suite))
    return path


def warm_up(folder: Path, size: int, settings: Options) -> None:
    """Score two images, which imports the libraries."""
    write_images(folder, 2, size)
    run_suite(load_suite(write_suite(folder, size)), folder / "out", settings)


def loop(folder: Path, names: list[str], found: dict[str, dict[str, float]]) -> None:
    """Score images one at a time with scikit-image."""
    for name in names:
        truth, result = imread(folder / "truth" / f"{name}.png"), imread(folder / "results" / f"{name}.png")
        found[name] = {
            "psnr": peak_signal_noise_ratio(truth, result),
            "ssim": structural_similarity(truth, result, **SSIM),
            "l1": np.abs(truth / 255 - result / 255).mean(),
        }


def ssim_with_border(folder: Path, name: str) -> float:
    """Return scikit-image's SSIM of an image with the border of the zoo's `ssim`."""
    around = ((BORDER, BORDER), (BORDER, BORDER), (0, 0))
    images = (imread(folder / side / f"{name}.png") for side in ("truth", "results"))
    return structural_similarity(*(np.pad(image, around, mode="reflect") for image in images), **SSIM)


def differences(folder: Path, theirs: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return the largest difference of each metric."""
    rows = pd.read_parquet(folder / "out" / "results.parquet")
    ours = rows.pivot_table(index="image", columns="metric", values="value")
    return {
        **{
            metric: max(abs(ours.loc[name, metric] - values[metric]) for name, values in theirs.items())
            for metric in ("psnr", "l1")
        },
        "ssim": max(abs(ours.loc[name, "ssim"] - ssim_with_border(folder, name)) for name in list(theirs)[::CHECKED]),
    }


def timed(call: Callable[[], object]) -> tuple[object, np.ndarray]:
    """Return the result of a call, and its wall and CPU seconds."""
    before = np.array([time.perf_counter(), time.process_time()])
    result = call()
    return result, np.array([time.perf_counter(), time.process_time()]) - before


def main() -> int:
    """Measure and print; return 1 if values differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--workers", type=int, default=0, help="threads of the suite; 0: all cores")
    parser.add_argument("--json", metavar="FILE", help="write the figures to a file")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    settings = Options(device="cpu", workers=options.workers)
    with tempfile.TemporaryDirectory() as temporary:
        warm_up(Path(temporary), options.size, settings)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_images(folder, options.images, options.size)
        suite = write_suite(folder, options.size)
        names = [f"{number:05}" for number in range(options.images)]
        theirs: dict[str, dict[str, float]] = {}
        half = len(names) // 2
        _, first = timed(lambda: loop(folder, names[:half], theirs))
        outcome, ours = timed(lambda: run_suite(load_suite(suite), folder / "out", settings))
        _, second = timed(lambda: loop(folder, names[half:], theirs))
        found = differences(folder, theirs)
    both = {"loop": first + second, "inpaint-zoo": ours}
    table = Table("", "wall s", "CPU s", "ms per image", title=f"{options.images} images of {options.size} px")
    for name, (wall, cpu) in both.items():
        table.add_row(name, f"{wall:.1f}", f"{cpu:.1f}", f"{1000 * wall / options.images:.1f}")
    wall, cpu = both["loop"] / ours
    table.add_row("times the loop", f"{wall:.2f}", f"{cpu:.2f}", f"target {TARGET:g}")
    console = Console()
    console.print(table)
    console.print(f"{seconds_line(outcome.seconds)}", soft_wrap=True)
    console.print("largest difference: " + ", ".join(f"{name} {value:.1e}" for name, value in found.items()))
    here = machine(load, "cpu")
    console.print(here)
    if options.json:
        figures = {name: {"wall": seconds[0], "cpu": seconds[1]} for name, seconds in both.items()}
        content = {"machine": here, **vars(options), **figures, "seconds": outcome.seconds, "differences": found}
        Path(options.json).write_text(json.dumps(content, indent=2))
    return int(max(found.values()) > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
