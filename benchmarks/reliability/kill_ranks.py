"""Kill one process of `inpaint-zoo benchmark --devices N` at random moments, and compare the run with an unbroken one.

    python benchmarks/reliability/kill_ranks.py [--kills 5] [--devices 2] [--seed 0]

An unbroken run of one process and one of N processes must have the same bytes. Then a new run is started for each kill,
and one of its processes, drawn at random, gets SIGKILL at a moment drawn uniformly between the start of the processes
and the end of an unbroken run. The launcher must stop the others, name the killed process and its log, and end with an
exit code other than 0. The same command then completes the run: `results.parquet` and `summary.csv` must be those of
the unbroken run, and no cell that was done may have been computed again. A kill after the end is drawn again.

The exit code is 0 if all runs are equal, else 1. Linux only, because the processes are found in /proc.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import yaml
from rich.console import Console
from rich.table import Table

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


def start(suite: Path, out: Path, devices: int, log: Path) -> subprocess.Popen[bytes]:
    """Start the command; its output goes to ``log``."""
    words = ["-m", "inpaint_zoo.cli.main", "benchmark", str(suite), "--out", str(out), "--device", "cpu"]
    with log.open("wb") as file:
        # as in the processes that share a machine, so that the times can be compared
        environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
        words += ["--devices", str(devices)]
        return subprocess.Popen([sys.executable, *words], stdout=file, stderr=file, env=environment)


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


def ranks(launcher: subprocess.Popen[bytes], devices: int) -> list[int]:
    """Wait for the processes of a run, which are forked by a child of the launcher, and return them by rank."""
    while launcher.poll() is None:
        for child in children(launcher.pid):
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
    launcher = start(suite, out, devices, log)
    found = ranks(launcher, devices)
    rank, seconds = draw.randrange(devices), draw.uniform(0, longest)
    time.sleep(seconds)
    if launcher.poll() is not None:
        return None
    try:
        os.kill(found[rank], signal.SIGKILL)
    except ProcessLookupError:
        launcher.wait()
        return None
    code = launcher.wait()
    before, parts = cells(out), len(list(out.glob("parts/*/*.npz")))
    said = log.read_text(errors="replace")
    faults = [] if code else ["exit code 0"]
    if f"rank {rank} (process {found[rank]}) was killed by signal 9" not in " ".join(said.split()):
        faults.append(f"the message does not name rank {rank}: {said[-500:]}")
    if start(suite, out, devices, log).wait():
        faults.append(f"the resumed run failed: {log.read_text(errors='replace')[-500:]}")
    else:
        faults += differences(out, folder / "unbroken")
        again = [name for name, changed in before.items() if cells(out).get(name) != changed]
        faults += [f"{len(again)} finished cells were computed again"] if again else []
    return Kill(rank, seconds, len(before), parts, code, faults)


def main() -> int:
    """Run the script; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    console, draw = Console(), random.Random(options.seed)
    folder = Path(tempfile.mkdtemp(prefix="kill_ranks_"))
    suite = folder / "suite.yaml"
    suite.write_text(yaml.safe_dump(SUITE, sort_keys=False))
    faults: list[str] = []
    try:
        begin = time.monotonic()
        if start(suite, folder / "one", 1, folder / "log.txt").wait():
            sys.exit((folder / "log.txt").read_text(errors="replace"))
        sys.stderr.write(f"one process: {time.monotonic() - begin:.1f} s with its start\n")
        launcher = start(suite, folder / "unbroken", options.devices, folder / "log.txt")
        ranks(launcher, options.devices)
        begin = time.monotonic()
        if launcher.wait():
            sys.exit((folder / "log.txt").read_text(errors="replace"))
        longest = time.monotonic() - begin
        faults += differences(folder / "one", folder / "unbroken")
        equal = "different results" if faults else "the same bytes"
        console.print(f"1 and {options.devices} processes: {equal}; {longest:.1f} s with {options.devices}")
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
                sys.stderr.write(f"{values}\n")
        console.print(table)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
