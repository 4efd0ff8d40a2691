"""Print the peak memory of benchmarks of 1,000 and of 10,000 images on a CPU; it should not depend on their number.

    python benchmarks/speed/memory.py [--images 1000 10000] [--size 128] [--workers 2] [--json FILE]

Each suite has two methods, one mask set, and PSNR, SSIM and L1, and runs in a process of its own. "before" is the peak
after a small run, "cells" the peak when all cells are computed, "end" the peak after the report. What grows with the
number of images is the values of the current cell, about 4 KB for each image, and the rows of `results.parquet` in the
report, about 100 bytes for each value. The images are JPEG files, because writing PNG files takes longer than the run.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import numpy as np
import yaml
from machine import machine
from PIL import Image
from rich.console import Console
from rich.table import Table

from inpaint_zoo.benchmark import CellKey, Listener, Options, load_suite, run_suite

TARGET = 1.1  # peak of the largest run, relative to that of the smallest


def peak_mib() -> float:
    """Return the peak memory of this process."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


class Watch(Listener):
    """Records the peak when each cell is done."""

    cells = 0.0

    def finish(self, key: CellKey, error: str | None) -> None:
        """Record the peak."""
        self.cells = peak_mib()


def run_child(folder: Path, workers: int) -> None:
    """Run the suite of a folder and print the peaks as JSON."""
    run_suite(load_suite(folder / "warm" / "suite.yaml"), folder / "warm" / "out", Options(device="cpu", workers=1))
    before, watch, begin = peak_mib(), Watch(), time.perf_counter()
    run_suite(load_suite(folder / "suite.yaml"), folder / "out", Options(device="cpu", workers=workers), watch)
    seconds = time.perf_counter() - begin
    print(json.dumps({"before": before, "cells": watch.cells, "end": peak_mib(), "seconds": seconds}))


def write_suite(folder: Path, count: int, size: int) -> None:
    """Write images of smooth noise and a suite."""
    rng = np.random.default_rng(count)
    (folder / "images").mkdir(parents=True)
    for number in range(count):
        noise = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
        noise.resize((size, size), Image.Resampling.BICUBIC).save(folder / "images" / f"{number:05}.jpg")
    suite = {
        "name": "memory",
        "seed": 1,
        "methods": ["mean_fill", "telea"],
        "datasets": [{"name": "images", "root": "images"}],
        "masks": [{"name": "lama_thick_256"}],
        "metrics": ["psnr", "ssim", "l1"],
    }
    (folder / "suite.yaml").write_text(yaml.safe_dump(suite))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", metavar="FILE", help="write the figures to a file")
    parser.add_argument("--child", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run_child(Path(options.child), options.workers)
        return 0
    load, rows = os.getloadavg()[0], {}
    for count in options.images:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            write_suite(folder, count, options.size)
            write_suite(folder / "warm", 4, options.size)
            command = [sys.executable, __file__, "--child", str(folder), "--workers", str(options.workers)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            rows[count] = json.loads(done.stdout.splitlines()[-1])
    table = Table("images", "before, MiB", "cells, MiB", "end, MiB", "seconds", title=f"Peak memory, {options.size} px")
    for count, row in rows.items():
        table.add_row(f"{count:,}", *(f"{row[name]:.0f}" for name in ("before", "cells", "end", "seconds")))
    console = Console()
    console.print(table)
    for name in ("cells", "end"):
        peaks = [row[name] for row in rows.values()]
        console.print(f"{name}: largest / smallest peak {max(peaks) / min(peaks):.2f} (target {TARGET:g})")
    here = machine(load, "cpu")
    console.print(here)
    if options.json:
        Path(options.json).write_text(json.dumps({"machine": here, "size": options.size, "images": rows}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
