"""Time, peak memory and seams of every learned family on large images.

`python benchmarks/speed/any_size.py --sizes 1024 4096` prints a table. Each row is measured in its own process. The
peak is that of the whole process, with Python, PyTorch, the weights and all images. A seam ratio is the mean gradient
across the borders of tiles inside the hole, divided by the mean gradient at the pixels around these borders.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np
import torch
from numpy.typing import NDArray

from inpaint_zoo.inference.inpaint import fill_bytes
from inpaint_zoo.inference.strategy import AnySize
from inpaint_zoo.inference.strategy.windows import Window, grid

FAMILIES = [
    *("aot_gan", "autoencoder", "context_encoder", "contextual_attention", "gated_conv", "glama", "glcic", "grig"),
    *("isnet", "lama", "lgnet", "partial_conv"),
]
NEAR = 8  # pixels on each side of a border that it is compared with


def image_and_hole(size: int, ratio: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return an image (H, W, 3) of ``size`` px with one square hole."""
    from PIL import Image
    from skimage import data

    photo = Image.fromarray(data.astronaut()).resize((size, size), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(0).normal(0, 4, (size, size, 1))  # grain, which the enlarged image lacks
    side = round(size * ratio**0.5)
    start = (size - side) // 2
    hole = np.zeros((size, size), np.bool_)
    hole[start : start + side, start : start + side] = True
    return np.clip(np.asarray(photo) + noise, 0, 255).astype(np.uint8), hole


def seam_ratio(result: NDArray[np.uint8], hole: NDArray[np.bool_], borders: tuple[list[int], list[int]]) -> float:
    """Return the mean gradient across borders inside the hole over that of neighboring pixels.

    Args:
        result: (H, W, 3).
        hole: (H, W).
        borders: Rows and columns at which a tile begins.
    """
    on, beside = [], []
    for axis, places in enumerate(borders):
        values = np.moveaxis(result.astype(np.float32), axis, 0)
        inside = np.moveaxis(hole, axis, 0)
        steps = np.abs(np.diff(values, axis=0)).mean(-1)
        both = inside[1:] & inside[:-1]
        for place in places:
            on.append(steps[place - 1][both[place - 1]])
            for offset in (*range(-NEAR, -1), *range(2, NEAR + 1)):
                row = place - 1 + offset
                if 0 <= row < len(steps):
                    beside.append(steps[row][both[row]])
    measured = np.concatenate(on) if on else np.zeros(0)
    return float(measured.mean() / max(np.concatenate(beside).mean(), 1e-6)) if measured.size else float("nan")


def borders_of(window: Window, tile: tuple[int, int], margin: int, blend: int) -> tuple[list[int], list[int]]:
    """Return the rows and columns at which tiles of a window begin or end to have an influence."""
    tiles = grid((window.height, window.width), tile, margin, blend)
    rows = {edge for row in tiles for edge in (row[0].inner.top, row[0].inner.bottom)} - {0, window.height}
    columns = {edge for each in tiles[0] for edge in (each.inner.left, each.inner.right)} - {0, window.width}
    return sorted(window.top + row for row in rows), sorted(window.left + column for column in columns)


def measure(name: str, size: int, ratio: float, strategy: str, limit: str) -> dict[str, object]:
    """Fill one image in this process, and return the row of the table."""
    import inpaint_zoo as iz
    from inpaint_zoo.inference.strategy.any_size import margins
    from inpaint_zoo.inference.strategy.crop import crops_of

    ready = iz.model_info(name).weights
    torch.manual_seed(0)
    net = iz.create_model(name, weights="shipped" if ready else None)
    image, hole = image_and_hole(size, ratio)
    filler = AnySize(net, strategy, max_memory=limit)
    begin = time.process_time()
    result = fill_bytes(filler, image[None], hole[None])[0]
    seconds = time.process_time() - begin
    assert np.array_equal(result[~hole], image[~hole])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    choice = filler.choices[0]
    seams = float("nan")
    if choice.strategy in ("tile", "coarse_to_fine"):
        side = max(choice.largest)
        whole = Window(0, 0, size, size)
        windows = [whole]
        if choice.strategy == "coarse_to_fine":
            multiple = int(np.lcm(net.divisor, 8))
            windows = [
                crop.window for crop in crops_of(torch.from_numpy(hole)[None, None], net.training_size, multiple)
            ]
        found = [borders_of(window, (side, side), *margins(side)) for window in windows]
        rows, columns = ([place for each in found for place in each[axis]] for axis in (0, 1))
        seams = seam_ratio(result, hole, (rows, columns))
    return {
        "model": name,
        "size": size,
        "strategy": choice.strategy,
        "part": choice.largest[0],
        "cpu_seconds": round(seconds, 1),
        "peak_gib": round(peak / 2**30, 2),
        "estimate_gib": round((choice.needed or 0) / 2**30, 2),
        "seam_ratio": round(seams, 2),
    }


def main() -> None:
    """Print the table; every row in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=[f"{name}_tiny" for name in FAMILIES])
    parser.add_argument("--sizes", nargs="+", type=int, default=[1024, 4096])
    parser.add_argument("--ratio", type=float, default=0.2, help="share of the image that is hole")
    parser.add_argument("--strategy", default="auto")
    parser.add_argument("--max-memory", default="4GiB")
    parser.add_argument("--one", action="store_true", help="measure the first model and size in this process")
    options = parser.parse_args()
    if options.one:
        row = measure(options.models[0], options.sizes[0], options.ratio, options.strategy, options.max_memory)
        sys.stdout.write(json.dumps(row) + "\n")
        return
    shared = ["--ratio", str(options.ratio), "--strategy", options.strategy, "--max-memory", options.max_memory]
    header: list[str] = []
    for name in options.models:
        for size in options.sizes:
            command = [sys.executable, __file__, "--one", "--models", name, "--sizes", str(size), *shared]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.stdout.write(f"| {name} | {size} | failed: {done.stderr.strip().splitlines()[-1]} |\n")
                continue
            row = json.loads(done.stdout.splitlines()[-1])
            if not header:
                header = list(row)
                sys.stdout.write(f"| {' | '.join(header)} |\n|{' --- |' * len(header)}\n")
            sys.stdout.write(f"| {' | '.join(str(value) for value in row.values())} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
