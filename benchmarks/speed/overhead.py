"""Print what a benchmark of several methods takes beyond their forward passes and one metric pass each.

    python benchmarks/speed/overhead.py [--methods glama_tiny lgnet_tiny telea] [--images 200] [--size 256]
        [--device cpu] [--workers 0] [--json FILE]

The images are crops of those of scikit-image. A small run before imports the libraries. The ratio is the time of all
cells, from loading the networks to the written tables, relative to the time of forward passes and metrics. The more
images, the less do loading networks and measuring latencies ("start") count; "without start" is the limit.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import yaml
from machine import machine
from rich.console import Console
from rich.table import Table
from scoring import write_images

from inpaint_zoo.benchmark import Options, load_suite, run_suite
from inpaint_zoo.benchmark.breakdown import STAGES, overhead

TARGET = 1.1
METHODS = ["glama_tiny", "lgnet_tiny", "telea"]


def measure(folder: Path, methods: list[str], count: int, size: int, settings: Options) -> dict[str, float]:
    """Return the seconds of each stage of a run."""
    write_images(folder, count, size)
    suite = {
        "name": "overhead",
        "seed": 1,
        "methods": methods,
        "datasets": [{"name": "truth", "root": "truth"}],
        "masks": [{"name": "lama_thick_256"}],
        "metrics": ["psnr", "ssim", "l1"],
    }
    (folder / "suite.yaml").write_text(yaml.safe_dump(suite))
    outcome = run_suite(load_suite(folder / "suite.yaml"), folder / "out", settings)
    if outcome.failed:
        raise RuntimeError(f"{outcome.failed[0].key}: {outcome.failed[0].error}")
    return dict(outcome.seconds)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=0, help="threads of the suite; 0: all cores")
    parser.add_argument("--json", metavar="FILE", help="write the figures to a file")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    settings = Options(device=options.device, workers=options.workers)
    with tempfile.TemporaryDirectory() as small, tempfile.TemporaryDirectory() as large:
        measure(Path(small), options.methods, 2, options.size, settings)
        seconds = measure(Path(large), options.methods, options.images, options.size, settings)
    ratios = {
        "all": overhead(seconds),
        "without start": overhead({name: value for name, value in seconds.items() if name != "start"}),
    }
    table = Table("stage", "seconds", "share", title=f"{len(options.methods)} methods, {options.images} images")
    for name in STAGES:
        table.add_row(name, f"{seconds[name]:.1f}", f"{100 * seconds[name] / sum(seconds.values()):.1f} %")
    console = Console()
    console.print(table)
    for name, ratio in ratios.items():
        console.print(f"{name}: {ratio:.3f} times forward passes and metrics (target {TARGET:g})")
    here = machine(load, options.device)
    console.print(here)
    if options.json:
        content = {"machine": here, **vars(options), "seconds": seconds, "ratios": ratios}
        Path(options.json).write_text(json.dumps(content, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
