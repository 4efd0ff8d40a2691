"""Compare models on a W&B dashboard: one W&B run per model, with its metrics, intervals and images.

    WANDB_MODE=offline python examples/compare_on_wandb.py --models telea glama_tiny --out runs/compare

Offline, the W&B runs are written to OUT/run/wandb, and `wandb sync` uploads them later. Log in with `wandb login` and
leave WANDB_MODE out to publish directly. A second run publishes only what has changed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from inpaint_zoo.benchmark import Options, load_suite, run_suite
from inpaint_zoo.benchmark.publish import WandbPublisher, read_content


def compare(models: list[str], out: Path, project: str, size: int) -> list[str]:
    """Score models on the sample images and publish the result.

    Args:
        models: Names of models that are ready to use (`inpaint-zoo models`).
        out: Folder of the results.
        project: Name of the W&B project.
        size: Height and width of the images in pixels.

    Returns:
        Lines that say what was published, and where.
    """
    publisher = WandbPublisher(project)
    publisher.check()  # before anything is computed: is W&B installed, and is there an account unless it is offline?
    suite = {
        "name": "compare_on_wandb",
        "seed": 0,
        "methods": models,
        "datasets": [{"name": "sample", "size": size}],
        "masks": [{"name": "center", "size": size // 2}],
        "metrics": ["psnr", "ssim"],
    }
    out.mkdir(parents=True, exist_ok=True)
    path = out / "suite.yaml"
    path.write_text(json.dumps(suite, indent=1), encoding="utf-8")  # JSON is YAML, too
    outcome = run_suite(load_suite(path), out / "run", Options())
    if outcome.run is None:
        raise SystemExit(f"No model could be scored: {outcome.failed}")
    return publisher.publish(outcome.run, read_content(outcome.run))


def main() -> None:
    """Read the command line and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["telea", "glama_tiny"], help="names of models")
    parser.add_argument("--project", default="inpainting", help="W&B project (default: inpainting)")
    parser.add_argument("--size", type=int, default=256, help="height and width of the images (default: 256)")
    parser.add_argument("--out", type=Path, default=Path("runs/compare"), help="folder of the results")
    options = parser.parse_args()
    for line in compare(options.models, options.out, options.project, options.size):
        print(line)


if __name__ == "__main__":
    main()
