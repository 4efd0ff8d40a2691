"""Score a folder of results that any program made, beside two baselines, on the same images and masks.

    python examples/score_folder.py --images images --out runs/score                      # 1. writes the inputs
    python your_program.py runs/score/inputs/images/images/lama_thick_256 ...              # 2. your program fills them
    python examples/score_folder.py --images images --out runs/score --results results     # 3. scores results/NAME.*

Step 1 writes images with black holes to OUT/inputs/images and masks with white holes to OUT/inputs/masks. Results are
paired with the images by name, without suffix. Known pixels are taken from the images, so that only what was filled
counts. A second run computes only what has changed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd

from inpaint_zoo.benchmark import Listener, Options, Suite, export_inputs, load_suite, run_suite


def write_suite(images: Path, results: Path | None, mask: str, size: int, out: Path) -> Suite:
    """Write OUT/suite.yaml, and read it.

    Args:
        images: Folder of ground-truth images.
        results: Folder of results, or None.
        mask: Name of a mask generator (`inpaint-zoo masks list`).
        size: Height and width in pixels of the central crop of each image.
        out: Folder of the suite.
    """
    yours = [{"folder": str(results.resolve()), "label": "yours"}] if results else []
    suite = {
        "name": "score_folder",
        "seed": 0,
        "methods": [*yours, "telea", "neighbor_fill"],
        "datasets": [{"name": "images", "root": str(images.resolve()), "size": size}],
        "masks": [mask],
        "metrics": ["psnr", "ssim", "l1_percent"],
    }
    out.mkdir(parents=True, exist_ok=True)
    path = out / "suite.yaml"
    path.write_text(json.dumps(suite, indent=1), encoding="utf-8")  # JSON is YAML, too
    return load_suite(path)


def main() -> None:
    """Read the command line, and write the inputs or score the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, help="folder of ground-truth images")
    parser.add_argument("--results", type=Path, help="folder of your results; leave it out to write the inputs")
    parser.add_argument("--mask", default="lama_thick_256", help="mask generator (default: lama_thick_256)")
    parser.add_argument("--size", type=int, default=256, help="height and width of the central crop (default: 256)")
    parser.add_argument("--out", type=Path, default=Path("runs/score"), help="folder of inputs and report")
    options = parser.parse_args()
    suite = write_suite(options.images, options.results, options.mask, options.size, options.out)
    if options.results is None:
        count = export_inputs(suite, options.out / "inputs", Options(), Listener())
        print(f"{count} images and masks: {options.out / 'inputs'}")
        return
    outcome = run_suite(suite, options.out / "run")
    for failure in outcome.failed:
        print(f"{failure.key.method}: {failure.error}")
    rows = pd.read_parquet(options.out / "run" / "results.parquet")
    print(rows.pivot_table(index="method", columns="metric", values="value").round(3))
    print(f"Intervals, tests and images: {outcome.report}")


if __name__ == "__main__":
    main()
