"""Measure how long the 1,803,460 training images of Places2 take to list, and the memory that this needs.

    python benchmarks/speed/listing.py [--images N] [--files] [--json FILE]

Nothing is downloaded, and no image is needed. Without `--files`, the stored listing of empty folders with names like
those of Places2 is read, as one data set and as two `parts`, and an index of shards with the same names. With
`--files`, the folders get empty files, are listed without a stored listing, and are read by a list file (`list:`).
Creating all of them takes many minutes on some file systems, so `--files` creates 100,000 unless `--images` says more.

Each measurement runs in a process of its own: the registered rule selects the training images, and the first sample of
a random order is named. The memory is the peak of the whole process (Linux only), and that before the data set is
opened. PyTorch is not among the libraries of these processes. The target is at most 1 GiB for each process.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.table import Table

from inpaint_zoo.data import create_dataset
from inpaint_zoo.data.order import shuffled
from inpaint_zoo.data.packing import INDEX
from inpaint_zoo.data.shards import Entry, write_index
from inpaint_zoo.io.listing_cache import CACHE_FOLDER, Listing, write_listing
from inpaint_zoo.io.name_list import NameList

PLACES2, CATEGORIES, PER_SHARD = 1_803_460, 365, 1000
WITH_FILES = 100_000
TARGET_GIB = 1.0
SELECT = {"val": 500, "part": "train"}  # the rule of Places2's training images


def folder_of(category: int) -> str:
    """Return a folder name as long as those of Places2."""
    return f"{chr(ord('a') + category % 26)}/category_{category:03d}"


def name_of(number: int) -> str:
    """Return the name of an image."""
    return f"{folder_of(number % CATEGORIES)}/{number // CATEGORIES + 1:08d}.jpg"


def write_folders(root: Path, images: int, files: bool) -> None:
    """Create the folders, with empty files or with a stored listing of such files.

    The times of the folders are set to the past, because recent changes are not trusted.
    """
    for category in range(CATEGORIES):
        (root / folder_of(category)).mkdir(parents=True)
    for number in range(images if files else 0):
        os.close(os.open(root / name_of(number), os.O_CREAT))
    folders = [root, *root.glob("*"), *root.glob("*/*/")]
    for folder in folders:
        os.utime(folder, (1.6e9, 1.6e9))
    if not files:
        names = NameList.of(sorted(map(name_of, range(images))))
        times = {str(folder.relative_to(root)): folder.stat().st_mtime_ns for folder in folders}
        write_listing(root, Listing(names, [], [], times))


def write_shards(root: Path, images: int) -> None:
    """Write the index of shards whose files have the right size but no content (sparse files)."""
    entries = []
    for first in range(0, images, PER_SHARD):
        numbers = range(first, min(first + PER_SHARD, images))
        name = f"train-{len(entries):06d}.tar"
        members = [(name_of(number), 100_000 * place, 99_488) for place, number in enumerate(numbers)]
        size = 100_000 * len(members)
        with (root / name).open("wb") as file:
            file.truncate(size)
        entries.append(Entry.of(name, size, members))
    write_index(root / INDEX, entries)


def memory() -> float:
    """Return the peak memory of this process in MiB."""
    # not getrusage, whose peak includes that of the process that started this one
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def measure(spec: dict[str, object], results) -> None:  # noqa: ANN001 - a queue of multiprocessing
    """Open a data set as a training does; put CPU seconds, and MiB before and at the peak into ``results``."""
    before, start = memory(), time.process_time()
    data = create_dataset({"name": "mine", **spec, "select": SELECT})
    key = data.keys[int(shuffled(0, len(data), 0, data.blocks)[0])]
    results.put(
        {"images": len(data), "seconds": time.process_time() - start, "before": before, "peak": memory(), "key": key}
    )


def in_process(function: Callable[..., None], spec: dict[str, object]) -> dict[str, float]:
    """Run ``function`` in a new process and return its result."""
    context = get_context("spawn")  # a forked process would start with the memory of this one
    results = context.Queue()
    process = context.Process(target=function, args=(spec, results))
    process.start()
    found = results.get()
    process.join()
    return found


def main() -> int:
    """Measure and print; return 1 if a process needs more memory than the target, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    numbers = f"number of names (default: {PLACES2:,}; with --files {WITH_FILES:,})"
    parser.add_argument("--images", type=int, help=numbers)
    parser.add_argument("--files", action="store_true", help="create empty files and list them, too")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    images = args.images or (WITH_FILES if args.files else PLACES2)
    load = os.getloadavg()[0]
    rows = {}
    with tempfile.TemporaryDirectory() as name:
        os.environ[CACHE_FOLDER] = f"{name}/cache"
        files, shards = Path(name) / "files", Path(name) / "shards"
        files.mkdir()
        write_folders(files, images, args.files)
        folder = {"root": str(files)}
        if args.files:
            rows["folder, first time"] = in_process(measure, folder)
            listed = Path(name) / "list.txt"
            listed.write_text("".join(f"{name_of(number)}\n" for number in range(images)))
            rows["list file"] = in_process(measure, {**folder, "list": str(listed)})
        rows["folder, stored listing"] = in_process(measure, folder)
        half = {**folder, "select": {"every": 2}}
        rows["two parts"] = in_process(measure, {"parts": [{"name": part, **half} for part in ("one", "two")]})
        shards.mkdir()
        write_shards(shards, images)
        rows["index of shards"] = in_process(measure, {"shards": str(shards)})
    table = Table("source", "images", "CPU s", "MiB of libraries", "MiB at the peak", title="Listing of Places2")
    for title, row in rows.items():
        values = (f"{row['images']:,}", f"{row['seconds']:.1f}", f"{row['before']:.0f}", f"{row['peak']:.0f}")
        table.add_row(title, *values)
    console = Console(width=120)
    console.print(table)
    from machine import machine  # imports PyTorch, which the processes above must not

    described = machine(load, "cpu")
    console.print(", ".join(f"{key} {value}" for key, value in described.items()))
    if args.json:
        args.json.write_text(json.dumps({"machine": described, "rows": rows}, indent=2) + "\n")
    return int(max(row["peak"] for row in rows.values()) > 1024 * TARGET_GIB)


if __name__ == "__main__":
    raise SystemExit(main())
