"""Kill one process of `inpaint-zoo benchmark --devices N` at random moments, and compare the run with an unbroken one.

    python benchmarks/reliability/kill_ranks.py [--kills 5] [--devices 2] [--seed 0]

An unbroken run of one process and one of N processes must have the same bytes. Then a new run is started for each kill,
and one of its processes, drawn at random, gets SIGKILL at a moment drawn uniformly between the start of the processes
and the end of an unbroken run. The launcher must stop the others, name the killed process and its log, and end with an
exit code other than 0. The same command then completes the run: `results.parquet` and `summary.csv` must be those of
the unbroken run, and no cell that was done may have been computed again. A kill after the end is drawn again.
The processes fork from one that has imported the libraries, so a run costs little more than its work.

The exit code is 0 if all runs are equal, else 1. Linux only, because the processes are found in /proc.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import yaml
from rich.console import Console
from rich.table import Table

from inpaint_zoo.cli.main import main as inpaint_zoo

SUITE = {
    "name": "kill_ranks",
    "seed": 7,
    "methods": ["mean_fill", "telea", "navier_stokes", "autoencoder_tiny"],
    "datasets": [{"name": "sample", "size": 256, "crop": "grid"}],
    "masks": [{"name": "center", "size": 64}, {"name": "lama_thick_256", "draws": 2}],
    "metrics": ["psnr", "ssim", "l1_percent"],
}
COMPARED = ("results.parquet", "summary.csv")


class Kill(NamedTuple):
    """What happened after a kill.

    Attributes:
        rank: The process that was killed.
        seconds: When, after the start of the processes.
        done: Number of cells that were done.
        parts: Number of stored parts of the cell that was not.
        code: Exit code of the launcher.
        faults: What was wrong.
    """

    rank: int
    seconds: float
    done: int
    parts: int
    code: int
    faults: list[str]


def run(suite: Path, out: Path, devices: int) -> int:
    """Run the command in this process, whose libraries are imported; return its exit code."""
    words = ["benchmark", str(suite), "--out", str(out), "--device", "cpu", "--devices", str(devices)]
    return inpaint_zoo(words)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started, in the order of their start."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                fields = (place / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append((int(fields[19]), int(place.name)))
    return [child for _, child in sorted(found)]


def find_ranks(devices: int, ended: threading.Event) -> list[int]:
    """Wait for the processes of a run, which are forked by a child of this process, and return them by rank."""
    while not ended.is_set():
        for child in children(os.getpid()):
            if len(found := children(child)) == devices:
                return found
        time.sleep(0.01)
    return []


def cells(out: Path) -> dict[str, int]:
    """Return the time of the last change of each cell that is done, by name."""
    return {path.parent.name: path.stat().st_mtime_ns for path in out.glob("cells/[!.]*/cell.json")}


def differences(out: Path, unbroken: Path) -> list[str]:
    """Return the files that are not those of the unbroken run."""
    return [f"{name} differs" for name in COMPARED if (out / name).read_bytes() != (unbroken / name).read_bytes()]


def kill_once(suite: Path, folder: Path, devices: int, longest: float, draw: random.Random) -> Kill | None:
    """Kill a process of a new run, resume the run and compare it; None if the run had ended before."""
    out, log = folder / "broken", folder / "log.txt"
    shutil.rmtree(out, ignore_errors=True)
    said = log.stat().st_size
    rank, seconds = draw.randrange(devices), draw.uniform(0, longest)
    killed: list[int] = []
    ended = threading.Event()

    def kill() -> None:
        found = find_ranks(devices, ended)
        if found and not ended.wait(seconds):
            killed.append(found[rank])
            os.kill(found[rank], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    code = run(suite, out, devices)
    ended.set()
    killer.join()
    if not killed or not code:
        return None
    before, parts = cells(out), len(list(out.glob("parts/*/*.npz")))
    text = " ".join(log.read_bytes()[said:].decode(errors="replace").split())
    faults = []
    if f"rank {rank} (process {killed[0]}) was killed by signal 9" not in text:
        faults.append(f"the message does not name rank {rank}: {text[-500:]}")
    if again := run(suite, out, devices):
        faults.append(f"the resumed run ended with exit code {again}")
    else:
        faults += differences(out, folder / "unbroken")
        changed = [name for name, time_ns in before.items() if cells(out).get(name) != time_ns]
        faults += [f"{len(changed)} finished cells were computed again"] if changed else []
    return Kill(rank, seconds, len(before), parts, code, faults)


def main() -> int:
    """Run the script; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kill_ranks_"))
    console, draw = Console(file=os.fdopen(os.dup(1), "w")), random.Random(options.seed)
    with (folder / "log.txt").open("wb", buffering=0) as log:  # of this process and those that it starts
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    suite = folder / "suite.yaml"
    suite.write_text(yaml.safe_dump(SUITE, sort_keys=False))
    faults: list[str] = []
    try:
        seconds = []
        for name, devices in (("one", 1), ("first", options.devices), ("unbroken", options.devices)):
            begin = time.monotonic()
            if run(suite, folder / name, devices):
                console.print((folder / "log.txt").read_text(errors="replace"))
                return 1
            seconds.append(time.monotonic() - begin)
        faults += differences(folder / "one", folder / "unbroken")
        equal = "different results" if faults else "the same bytes"
        console.print(
            f"1 and {options.devices} processes: {equal}; {seconds[0]:.1f} s and {seconds[2]:.1f} s with their starts"
        )
        longest = seconds[2]
        table = Table("killed rank", "after s", "cells done", "stored parts", "exit code", "resumed")
        kills = 0
        while kills < options.kills:
            kill = kill_once(suite, folder, options.devices, longest, draw)
            if kill is not None:
                kills += 1
                faults += kill.faults
                result = "; ".join(kill.faults) or "the same bytes"
                values = (kill.rank, f"{kill.seconds:.1f}", kill.done, kill.parts, kill.code, result)
                table.add_row(*map(str, values))
                console.print(*values)
        console.print(table)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
