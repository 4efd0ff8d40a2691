"""Compare the speed of mask generation with plain generators: batches of 64, one thread, alternating in one run.

    python benchmarks/speed/masks.py [--rounds 7] [--seconds 0.3] [--only PATTERN] [--json FILE]

Both generators of a row alternate, so that other load on the machine slows both of them. Plain masks are measured
twice: "one by one" discards each mask immediately, so that its memory is reused; "collated" stacks 64 of them into one
array, which is what the zoo returns and a network needs. For boxes, memory is the main cost, hence the difference. The
target is five times the one-by-one rate for the rows above the line. Run it on an idle machine; the load is printed.
LaMa's strokes and boxes go through its mixture, here with one component, in both generators.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))
import cv2
import numpy as np
import plain_masks as plain
import torch
from processor import processor
from rich.console import Console
from rich.table import Table

from inpaint_zoo.masks import create_generator

TARGET = 5.0
BATCH = 64
FREE = {"min_hole": 0, "min_known": 0}  # without limits, like the plain generators

WIDE = partial(plain.irregular, angle=4, length=200, width=100, times=(1, 5))
NARROW = partial(plain.irregular, angle=4, length=80, width=40, times=(4, 12))
EVAL = {
    ("thin", 256): [(1, partial(plain.irregular, angle=4, length=40, width=10, times=(4, 50)))],
    ("medium", 256): [
        (1, partial(plain.irregular, angle=4, length=100, width=50, times=(4, 5))),
        (0.3, partial(plain.box, margin=0, low=10, high=50, times=(1, 5))),
    ],
    ("thick", 256): [(1, WIDE), (0.3, partial(plain.box, margin=10, low=30, high=150, times=(1, 3)))],
    ("thin", 512): [(1, partial(plain.irregular, angle=4, length=100, width=20, times=(4, 70)))],
    ("medium", 512): [
        (1, partial(plain.irregular, angle=4, length=200, width=100, times=(4, 10))),
        (0.3, partial(plain.box, margin=0, low=30, high=150, times=(1, 5))),
    ],
    ("thick", 512): [
        (1, partial(plain.irregular, angle=4, length=450, width=250, times=(1, 5))),
        (0.3, partial(plain.box, margin=10, low=30, high=300, times=(1, 4))),
    ],
}
TYPES = {name: getattr(plain, name) for name in ("completion", "expand", "every_n_lines", "nearest_neighbor")}
WIDE_BOX = partial(plain.box, margin=10, low=30, high=150, times=(1, 4))


@dataclass
class Case:
    """A row: the same masks from both generators."""

    title: str
    size: int
    gated: bool
    plain: Callable[[int, int], np.ndarray]
    zoo: dict[str, object]


def cases() -> list[Case]:
    """Return all rows at both sizes; those with a target first."""
    gated, others = [], []
    for size in (256, 512):

        def row(title: str, rival: plain.Maker, spec: dict[str, object], target: bool = True, size: int = size) -> None:
            (gated if target else others).append(Case(title, size, target, rival, spec))

        row("irregular, wide", plain.choose([(1, WIDE)]), {"name": "lama_irregular", "limits": FREE})
        row("irregular, narrow", plain.choose([(1, NARROW)]), {"preset": "lama_narrow", "components": None})
        for shape in ("thin", "medium", "thick"):
            preset, rival = f"lama_{shape}_{size}", plain.choose(EVAL[shape, size])
            row(f"irregular, {shape}", rival, {"preset": preset, "accept": None, "limits": FREE})
            row(f"NTIRE strokes, {shape}", plain.best_of_5(rival), {"name": "strokes", "shape": shape, "args": size})
        row("brush (dfv2)", plain.dfv2_brush, {"name": "dfv2_brush", "limits": FREE})
        row("box (lama)", plain.choose([(1, WIDE_BOX)]), {"name": "lama_box", "limits": FREE})
        row("box (ca)", plain.ca_box, {"name": "ca_box", "limits": FREE})
        row("cmod", plain.cmod, {"name": "cmod"})
        row("random walk", plain.random_walk, {"name": "random_walk", "limits": FREE})
        row("lama_wide", plain.choose([(1, WIDE), (1, WIDE_BOX)]), {"name": "lama_wide", "limits": FREE}, False)
        for name in ("superres", "outpainting", "dumb"):
            row(f"lama {name}", getattr(plain, name), {"name": f"lama_{name}", "limits": FREE}, False)
        for name, rival in TYPES.items():
            row(f"NTIRE {name}", rival, {"name": name, "limits": FREE}, False)
    return [*gated, *others]


def generator_of(spec: dict[str, object]) -> Callable[[list[int], int], np.ndarray]:
    """Return the zoo's generator of a row."""
    if spec.get("name") == "strokes":
        spec = {"name": "strokes", "args": {"shape": spec["shape"], "size": spec["args"]}}
    if "components" in spec:  # only the strokes of a preset, without its boxes
        first = create_generator(str(spec["preset"])).config()["components"][0]
        spec = {"components": [first], "limits": FREE}
    return create_generator(spec, seed=1).batch


def rate(make: Callable[[int], None], count: int) -> float:
    """Return masks per second."""
    start = time.perf_counter()
    make(count)
    return count / (time.perf_counter() - start)


def calibrated(make: Callable[[int], None], unit: int, seconds: float) -> int:
    """Return the number of masks, a multiple of ``unit``, that takes about ``seconds``."""
    make(unit)
    return max(1, round(seconds * rate(make, unit) / unit)) * unit


def run(case: Case, rounds: int, seconds: float) -> dict[str, object]:
    """Measure both generators, alternating between them."""
    np.random.seed(0)
    batch = generator_of(case.zoo)

    def zoo(count: int) -> None:
        for first in range(0, count, BATCH):
            batch(range(first, first + BATCH), case.size)

    def single(count: int) -> None:
        for _ in range(count):
            case.plain(case.size, case.size)

    def collated(count: int) -> None:
        for first in range(0, count, BATCH):
            np.stack([case.plain(case.size, case.size) for _ in range(min(BATCH, count - first))])

    n_single, n_zoo = calibrated(single, 1, seconds), calibrated(zoo, BATCH, seconds)
    n_collated = calibrated(collated, BATCH, seconds) if n_single >= BATCH else n_single
    turns = [(rate(single, n_single), rate(collated, n_collated), rate(zoo, n_zoo)) for _ in range(rounds)]
    return {
        "title": case.title,
        "size": case.size,
        "gated": case.gated,
        "single_per_s": spread(one for one, _, _ in turns),
        "collated_per_s": spread(stacked for _, stacked, _ in turns),
        "zoo_per_s": spread(ours for _, _, ours in turns),
        "ratio": spread(ours / one for one, _, ours in turns),
        "ratio_to_collated": spread(ours / stacked for _, stacked, ours in turns),
    }


def spread(values: Iterable[float]) -> dict[str, float]:
    """Return median, minimum and maximum."""
    numbers = list(values)
    return {"median": median(numbers), "least": min(numbers), "greatest": max(numbers)}


@dataclass
class Machine:
    """The machine of the measurement."""

    processor: str
    cores: int
    load_before: float
    load_after: float
    python: str
    numpy: str
    opencv: str


def figure(value: float) -> str:
    """Format a number with three significant digits and thousands separators."""
    digits = 2 - int(np.floor(np.log10(value)))
    return f"{round(value, digits):,.{max(0, digits)}f}"


def with_range(values: dict[str, float]) -> str:
    """Format values such as `12.3 [11.9-13.0]`."""
    return f"{figure(values['median'])} [{figure(values['least'])}-{figure(values['greatest'])}]"


def show(rows: list[dict[str, object]], machine: Machine) -> None:
    """Print the table, and the rows that miss the target."""
    table = Table(title="Masks per second, one thread, batches of 64; median [range]", title_justify="left")
    for heading in ("mask", "px", "one by one", "collated", "zoo", "zoo / one by one", "zoo / collated"):
        table.add_column(heading, justify="left" if heading == "mask" else "right", no_wrap=True)
    for k, row in enumerate(rows):
        cells = [figure(row[side]["median"]) for side in ("single_per_s", "collated_per_s", "zoo_per_s")]
        ratios = [with_range(row[name]) for name in ("ratio", "ratio_to_collated")]
        last = k + 1 < len(rows) and row["gated"] and not rows[k + 1]["gated"]
        table.add_row(row["title"], str(row["size"]), *cells, *ratios, end_section=last)
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(table, markup=False)
    console.print(
        f"{machine.processor}, {machine.cores} cores, load {machine.load_before:.2f} before and "
        f"{machine.load_after:.2f} after (this run is 1); Python {machine.python}, numpy {machine.numpy}, "
        f"OpenCV {machine.opencv}"
    )
    missed = [f"{row['title']} at {row['size']}" for row in rows if row["gated"] and row["ratio"]["median"] < TARGET]
    console.print(
        f"Below {TARGET:g} times: {', '.join(missed)}" if missed else f"All gated rows reach {TARGET:g} times."
    )


def main() -> None:
    """Parse the command line, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each generator (default: 7)")
    parser.add_argument("--seconds", type=float, default=0.3, help="approximate seconds per measurement (default: 0.3)")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="rows whose title matches")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to this file")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    before = os.getloadavg()[0]
    chosen = [case for case in cases() if fnmatchcase(case.title, options.only)]
    rows = [run(case, options.rounds, options.seconds) for case in chosen]
    machine = Machine(
        processor(),
        os.cpu_count() or 1,
        before,
        os.getloadavg()[0],
        platform.python_version(),
        np.__version__,
        cv2.__version__,
    )
    show(rows, machine)
    if options.json:
        options.json.write_text(
            json.dumps({"machine": asdict(machine), "target": TARGET, "rows": rows}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
