"""Kill trainings and benchmarks at random moments, resume them, and compare the result with an uninterrupted run.

    python benchmarks/reliability/kill_matrix.py [--kills 50] [--workloads fit benchmark] [--kinds SIGKILL ...]
                                                 [--seed 0] [--json FILE]

Each kind of interruption is applied to a run of the real command at uniformly random moments:

- SIGKILL: the process and its workers end immediately.
- SIGTERM, SIGINT: the process is asked to stop, as by a cluster or Ctrl-C.
- full disk: from that moment on, no file can grow (`prlimit` sets the maximum file size to 0), so that every write
  fails as it does on a full disk.

After each interruption, every file under its final name must be complete: checkpoints load with `weights_only=True`,
Parquet and JSON files can be parsed, images can be decoded. Then the same command resumes and is interrupted again.
When a run is completed, its results are compared with those of the uninterrupted run: all bytes of results, logs and
images, and all values of the last checkpoint. Then a new run starts, until the number of interruptions is reached.

Processes are forked from this one, which has already imported the libraries: an interruption then costs less than a
second instead of a start of Python. The exit code is 0 if nothing was damaged, lost or different, else 1.
"""

import argparse
import importlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from PIL import Image
from rich.console import Console
from rich.table import Table

import inpaint_zoo as iz
from inpaint_zoo.cli.main import main as inpaint_zoo

KINDS = ("SIGKILL", "SIGTERM", "SIGINT", "full disk")
STEPS = 16
PATIENCE = 300.0  # seconds after which a run counts as hanging

SUITE = {
    "name": "kill_matrix",
    "seed": 7,
    "methods": ["mean_fill", "telea", "navier_stokes", "autoencoder_tiny"],
    "datasets": [{"name": "sample", "size": 64, "crop": "grid"}],
    "masks": [{"name": "center", "size": 24}, "lama_box"],
    "metrics": ["psnr", "l1_percent"],
}
TRAINING = {
    "seed_everything": 3,
    "model": {"class_path": "inpaint_zoo.models.Autoencoder", "init_args": {"network": "autoencoder_tiny"}},
    "data": {
        "class_path": "inpaint_zoo.data.InpaintingDataModule",
        "init_args": {
            "train": {"name": "sample", "split": "train", "size": 32, "crop": "random"},
            "val": {"name": "sample", "split": "test", "size": 64},
            "masks": {"name": "center", "size": 16},
            "batch_size": 2,
            "epoch_samples": 12,
            "workers": 0,
        },
    },
    "trainer": {"accelerator": "cpu", "max_steps": STEPS, "log_every_n_steps": 1, "enable_progress_bar": False},
    "checkpoints": {"every": 1},
    "images": {"count": 1},
}


@dataclass
class Workload:
    """A command that can resume its run, and the results that must be equal at the end.

    Attributes:
        name: Name of the command.
        arguments: Function from a folder to the command line, which is the same for a first start and a resumption.
        results: Files and folders, relative to the run's folder, whose bytes must equal those of the uninterrupted run.
    """

    name: str
    arguments: Callable[[Path], list[str]]
    results: tuple[str, ...]


@dataclass
class Tally:
    """Outcome of the interruptions of one kind.

    Attributes:
        landed: Number of interruptions that reached a running process.
        runs: Number of runs that were completed and compared.
        damaged: Incomplete files under their final names, with the reason.
        different: Results that differ from those of the uninterrupted run.
        unexplained: Exit codes or messages that do not fit the interruption.
    """

    landed: int = 0
    runs: int = 0
    damaged: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether no problem was found."""
        return not (self.damaged or self.different or self.unexplained)


def start(arguments: list[str], log: Path) -> int:
    """Fork a process that runs the command in its own session; return its process id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        with log.open("ab", buffering=0) as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        code = inpaint_zoo(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def wait(child: int, seconds: float) -> int | None:
    """Return the exit code of a child (negative: ended by a signal), or None if it does not end within ``seconds``."""
    end = time.monotonic() + seconds
    while True:
        number, status = os.waitpid(child, os.WNOHANG)
        if number:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= end:
            return None
        time.sleep(0.002)


def interrupt(child: int, kind: str) -> None:
    """Send one interruption to a process that may already have ended."""
    try:
        if kind == "SIGKILL":
            os.killpg(child, signal.SIGKILL)
        elif kind == "full disk":
            resource.prlimit(child, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        else:
            os.kill(child, getattr(signal, kind))
    except ProcessLookupError:
        pass


def run_through(workload: Workload, folder: Path, log: Path) -> float:
    """Run the command without an interruption; return the duration in seconds.

    Raises:
        RuntimeError: If it failed.
    """
    begin = time.monotonic()
    code = wait(start(workload.arguments(folder), log), PATIENCE)
    if code != 0:
        raise RuntimeError(f"{workload.name} ended with {code} without an interruption:\n{log.read_text()[-3000:]}")
    return time.monotonic() - begin


def damage(folder: Path) -> list[str]:
    """Return the incomplete files under their final names; names of temporary files start with a dot."""
    readers: dict[str, Callable[[Path], Any]] = {
        ".ckpt": lambda path: torch.load(path, "cpu", weights_only=True),
        ".json": lambda path: json.loads(path.read_text()),
        ".parquet": pd.read_parquet,
        ".yaml": lambda path: yaml.safe_load(path.read_text()),
        ".png": lambda path: Image.open(path).load(),
        ".csv": pd.read_csv,
    }
    found = []
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if hidden or not path.is_file() or path.suffix not in readers:
            continue
        try:
            if path.suffix == ".csv" and not path.read_text().endswith("\n"):
                continue  # rows are appended; an incomplete line is dropped when the run resumes
            readers[path.suffix](path)
        except Exception as error:
            found.append(f"{path.relative_to(folder)}: {type(error).__name__}: {error}")
    return found


def same(a: object, b: object) -> bool:
    """Return whether two checkpoints contain the same values."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


def differences(folder: Path, unbroken: Path, results: tuple[str, ...]) -> list[str]:
    """Return the results of a run that differ from those of the uninterrupted run."""
    found = []
    for result in results:
        theirs = unbroken / result
        paths = sorted(path for path in theirs.rglob("*") if path.is_file()) if theirs.is_dir() else [theirs]
        for path in paths:
            mine = folder / path.relative_to(unbroken)
            if not mine.is_file():
                found.append(f"{mine.relative_to(folder)} is missing")
            elif path.suffix == ".ckpt":
                if not same(torch.load(mine, weights_only=True), torch.load(path, weights_only=True)):
                    found.append(f"{mine.relative_to(folder)} has other values")
            elif mine.read_bytes() != path.read_bytes():
                found.append(f"{mine.relative_to(folder)} has other bytes")
    return found


def measure(workload: Workload, kind: str, kills: int, scratch: Path, chance: random.Random) -> Tally:
    """Interrupt a command ``kills`` times by one kind of interruption."""
    tally = Tally()
    log = scratch / "log.txt"
    unbroken = scratch / "unbroken"
    seconds = run_through(workload, unbroken, log)
    number = 0
    while tally.landed < kills or not tally.runs:
        folder = scratch / f"run_{number}"
        number += 1
        code: int | None = None
        while True:
            log.write_bytes(b"")
            child = start(workload.arguments(folder), log)
            hit = tally.landed < kills and (code := wait(child, chance.uniform(0, seconds))) is None
            if hit:
                interrupt(child, kind)
                tally.landed += 1
            if code is None:
                code = wait(child, PATIENCE)
            if code is None:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                tally.unexplained.append(f"run {number}: still running {PATIENCE:.0f} s after {kind}")
                break
            tally.damaged += [f"run {number}: {text}" for text in damage(folder)]
            text = log.read_text(errors="replace")
            if "Traceback" in text or "fault of inpaint-zoo" in text or (not hit and code != 0):
                tally.unexplained.append(f"run {number}: exit code {code}: {' '.join(text.split())[-400:]}")
            if not hit:
                break
            code = None
        tally.runs += 1
        tally.different += [f"run {number}: {text}" for text in differences(folder, unbroken, workload.results)]
        shutil.rmtree(folder, ignore_errors=True)
    return tally


def workloads(scratch: Path) -> dict[str, Workload]:
    """Return the commands; their files are written below ``scratch``."""
    suite, config = scratch / "suite.yaml", scratch / "config.yaml"
    suite.write_text(yaml.safe_dump(SUITE))
    config.write_text(yaml.safe_dump(TRAINING))
    return {
        "fit": Workload(
            "fit",
            lambda folder: ["fit", "--config", str(config), "--out", str(folder), "--ckpt_path", "last"],
            (f"checkpoints/step_{STEPS:08d}.ckpt", "metrics.csv", "images"),
        ),
        "benchmark": Workload(
            "benchmark",
            lambda folder: ["benchmark", str(suite), "--out", str(folder), "--device", "cpu", "--workers", "1"],
            ("results.parquet", "summary.csv"),
        ),
    }


def main() -> int:
    """Run the script and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="interruptions of each kind (default: 50)")
    parser.add_argument("--workloads", nargs="+", choices=["fit", "benchmark"], default=["fit", "benchmark"])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seed", type=int, default=0, help="seed of the random moments (default: 0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for command in options.workloads:
        importlib.import_module(f"inpaint_zoo.cli.{command}")
    iz.list_models()  # imports all model families
    table = Table("workload", "kind", "interruptions", "runs compared", "damaged", "different", "unexplained")
    rows, details = [], []
    with tempfile.TemporaryDirectory(prefix="kill_matrix_") as name:
        scratch = Path(name)
        for workload in (workloads(scratch)[name] for name in options.workloads):
            for kind in options.kinds:
                folder = scratch / f"{workload.name}_{kind.replace(' ', '_')}"
                folder.mkdir()
                chance = random.Random(f"{options.seed} {workload.name} {kind}")
                tally = measure(workload, kind, options.kills, folder, chance)
                counts = [tally.landed, tally.runs, len(tally.damaged), len(tally.different), len(tally.unexplained)]
                table.add_row(workload.name, kind, *map(str, counts))
                rows.append({"workload": workload.name, "kind": kind, **vars(tally)})
                details += (
                    []
                    if tally.is_clean
                    else [
                        f"{workload.name}, {kind}: {text}"
                        for text in (*tally.damaged, *tally.different, *tally.unexplained)
                    ]
                )
                shutil.rmtree(folder)
    Console(width=120).print(table)
    for text in details:
        print(text)
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if details else 0


if __name__ == "__main__":
    sys.exit(main())
