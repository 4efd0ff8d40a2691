"""Kill trainings and benchmarks at random moments, resume them, and compare the result with an uninterrupted run.

    python benchmarks/reliability/kill_matrix.py [--kills 50] [--workloads fit benchmark] [--kinds SIGKILL ...]
                                                 [--seed 0] [--json FILE]
    python benchmarks/reliability/kill_matrix.py --workloads families --kills 3

The second command trains every family's small network by the family's own recipe. Each kind of interruption is applied
to a run of the real command at uniformly random moments:

- SIGKILL: the process and its workers end immediately.
- SIGTERM, SIGINT: the process is asked to stop, as by a cluster or Ctrl-C.
- SLURM requeue: SIGTERM in the environment of a SLURM job, where a stand-in for `scontrol` records the calls. If the
  run says that it is unfinished (exit code 75), it must have requeued its job.
- full disk: from that moment on, no file can grow (`prlimit` sets the maximum file size to 0), so that every write
  fails as it does on a full disk.
- truncated checkpoint: SIGKILL, and then the newest checkpoint is cut to half its size, as after a failure of the disk.
  The next run must say that it is damaged and use the one before.

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

from inpaint_zoo import discovery
from inpaint_zoo.cli.main import main as inpaint_zoo

KINDS = ("SIGKILL", "SIGTERM", "SIGINT", "SLURM requeue", "full disk", "truncated checkpoint")
OF_TRAINING = ("SLURM requeue", "truncated checkpoint")  # kinds that do not apply to benchmarks
STEPS = 16
UNFINISHED = 75  # exit code of a training that a signal stopped
CONFIGS = Path(__file__).parent.parent.parent / "configs"
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


FAMILY_STEPS = 6
SMALL = [  # options that make every family's training short; the images are cached
    '--data.train={"name": "sample", "split": "train", "keep_mib": 64}',
    '--data.val={"name": "sample", "split": "test", "crop": "center", "keep_mib": 64}',
    '--data.test={"name": "sample", "split": "test", "crop": "center", "keep_mib": 64}',
    "--data.init_args.size=64",
    "--data.init_args.batch_size=2",
    "--data.init_args.workers=0",
    "--data.init_args.epoch_samples=8",  # so that validations and ends of epochs are among the moments
    "--trainer.accelerator=cpu",
    "--trainer.log_every_n_steps=1",
    "--trainer.num_sanity_val_steps=0",
    "--trainer.check_val_every_n_epoch=1",
    "--trainer.enable_progress_bar=false",
    f"--trainer.max_steps={FAMILY_STEPS}",
    "--checkpoints.every=1",
    "--checkpoints.monitor=null",  # because the validation images are the test images
    "--images.count=1",
]
BOXES = [  # that fit into images of 64 pixels
    '--data.init_args.masks={"name": "center", "size": 32}',
    '--data.init_args.eval_masks={"name": "center", "size": 32}',
]
CRITICS = [  # of boxes in images of 64 pixels, two batches in a step
    "--model.init_args.size=64",
    "--model.init_args.window=32",
    "--model.init_args.num_critics=2",
    '--data.init_args.masks={"name": "ca_box", "mask_shape": [32, 32], "max_delta": [8, 8]}',
    '--data.init_args.eval_masks={"name": "center", "size": 32}',
]
FAMILIES = {  # family -> its configuration and further options
    "aot_gan": ("aot_gan/sample.yaml", []),
    "autoencoder": ("autoencoder/sample.yaml", BOXES),
    "context_encoder": (
        "context_encoder/random_regions_paris_streetview.yaml",
        ["--model.init_args.network=context_encoder_tiny", "--data.init_args.augment=[random_crop]"],
    ),
    "contextual_attention": ("contextual_attention/sample.yaml", CRITICS),
    "gated_conv": ("gated_conv/sample.yaml", []),  # two batches in a step
    "glama": ("glama/sample.yaml", []),  # LaMa's recipe: a second forward pass
    "glcic": ("glcic/sample.yaml", CRITICS),
    "grig": ("grig/sample.yaml", ["--model.init_args.network_options.steps=2"]),  # rounds, EMA
    "isnet": ("isnet/sample.yaml", []),  # updated jointly
    "lgnet": ("lgnet/sample.yaml", []),  # an optimizer for each stage
    "partial_conv": ("partial_conv/sample.yaml", []),
}


@dataclass
class Workload:
    """A command that can resume its run, and the results that must be equal at the end.

    Attributes:
        name: Name of the command.
        arguments: Function from a folder to the command line, which is the same for a first start and a resumption.
        results: Files and folders, relative to the run's folder, whose bytes must equal those of the uninterrupted run.
        kinds: Kinds of interruptions that apply to it.
    """

    name: str
    arguments: Callable[[Path], list[str]]
    results: tuple[str, ...]
    kinds: tuple[str, ...] = KINDS


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


def slurm(folder: Path) -> dict[str, str]:
    """Write a stand-in for `scontrol` that records its calls, and return the environment of a SLURM job."""
    folder.mkdir(exist_ok=True)
    program = folder / "scontrol"
    program.write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls\n')
    program.chmod(0o755)
    job = {"JOB_ID": "1", "JOB_NAME": "kill_matrix", "NTASKS": "1", "PROCID": "0", "LOCALID": "0", "NODEID": "0"}
    return {
        **{f"SLURM_{key}": value for key, value in job.items()},
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
    }


def truncate_newest(folder: Path) -> bool:
    """Cut the newest checkpoint to half its size if there is one before it; return whether this was done."""
    found = sorted((folder / "checkpoints").glob("step_*.ckpt"))
    if len(found) < 2:
        return False
    newest = folder / "checkpoints" / "last.ckpt"
    path = newest.resolve() if newest.exists() else found[-1]
    os.truncate(path, path.stat().st_size // 2)
    return True


def start(arguments: list[str], log: Path, environment: dict[str, str] | None = None) -> int:
    """Fork a process that runs the command in its own session; return its process id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        os.environ.update(environment or {})
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
        if kind in ("SIGKILL", "truncated checkpoint"):
            os.killpg(child, signal.SIGKILL)
        elif kind == "full disk":
            resource.prlimit(child, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        else:
            os.kill(child, signal.SIGTERM if kind == "SLURM requeue" else getattr(signal, kind))
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


def measure(workload: Workload, kind: str, kills: int, unbroken: Path, seconds: float, chance: random.Random) -> Tally:
    """Interrupt a command ``kills`` times by one kind of interruption.

    Args:
        workload: The command.
        kind: One of `KINDS`.
        kills: Number of interruptions.
        unbroken: Folder of the uninterrupted run. The interrupted runs are made beside it.
        seconds: Duration of the uninterrupted run.
        chance: Random numbers of the moments.
    """
    tally = Tally()
    scratch = unbroken.parent
    log = scratch / "log.txt"
    environment = slurm(scratch / "slurm") if kind == "SLURM requeue" else {}
    number = 0
    while tally.landed < kills or not tally.runs:
        folder = scratch / f"run_{number}"
        number += 1
        code: int | None = None
        truncated = False
        while True:
            log.write_bytes(b"")
            (scratch / "slurm" / "calls").unlink(missing_ok=True)
            child = start(workload.arguments(folder), log, environment)
            hit = tally.landed < kills and (code := wait(child, chance.uniform(0, seconds))) is None
            if hit:
                interrupt(child, kind)
                tally.landed += kind != "truncated checkpoint"
            if code is None:
                code = wait(child, PATIENCE)
            if code is None:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                tally.unexplained.append(f"run {number}: still running {PATIENCE:.0f} s after {kind}")
                break
            text = log.read_text(errors="replace")
            told = "is damaged" in text
            if not (truncated and hit):  # a process that is killed again may have had no time to replace the file
                tally.damaged += [f"run {number}: {text}" for text in damage(folder)]
            if "Traceback" in text or "fault of inpaint-zoo" in text or (not hit and code != 0):
                tally.unexplained.append(f"run {number}: exit code {code}: {' '.join(text.split())[-400:]}")
            if truncated and not told and not hit:
                tally.unexplained.append(f"run {number}: nothing is said about the truncated checkpoint")
            if environment and code == UNFINISHED and not (scratch / "slurm" / "calls").is_file():
                tally.unexplained.append(f"run {number}: unfinished, but the job was not requeued")
            truncated = truncated and not told
            if not truncated and hit and kind == "truncated checkpoint":
                truncated = truncate_newest(folder)
                tally.landed += truncated  # only if there were two checkpoints
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
            tuple(kind for kind in KINDS if kind not in OF_TRAINING),
        ),
        **{family: training_of(family) for family in FAMILIES},
    }


def training_of(family: str) -> Workload:
    """Return the training of a family's small network by its own recipe."""
    config, options = FAMILIES[family]
    words = ["fit", "--config", str(CONFIGS / config), *SMALL, *options, "--ckpt_path", "last"]
    return Workload(
        family,
        lambda folder: [*words, "--out", str(folder)],
        (f"checkpoints/step_{FAMILY_STEPS:08d}.ckpt", "metrics.csv", "images"),
    )


def cell(row: dict[str, Any]) -> str:
    """Return a cell of the table: interrupted runs that are identical to the uninterrupted one, and problems."""
    broken = len({text.partition(":")[0] for text in row["different"]})
    text = f"{row['landed']}: {row['runs'] - broken} of {row['runs']} identical"
    problems = {name: len(row[name]) for name in ("damaged", "unexplained") if row[name]}
    return "; ".join([text, *(f"{count} {name}" for name, count in problems.items())])


def main() -> int:
    """Run the script and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="interruptions of each kind (default: 50)")
    known = ["fit", "benchmark", "families", *FAMILIES]
    parser.add_argument(
        "--workloads",
        nargs="+",
        choices=known,
        default=["fit", "benchmark"],
        metavar="NAME",
        help=f"what is interrupted: {', '.join(known)} (default: fit benchmark)",
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seed", type=int, default=0, help="seed of the random moments (default: 0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = [each for name in options.workloads for each in (FAMILIES if name == "families" else [name])]
    for command in ("benchmark", "fit"):
        importlib.import_module(f"inpaint_zoo.cli.{command}")
    importlib.import_module("inpaint_zoo.benchmark.runner")
    discovery.discover()  # imports all model families
    table = Table("workload", *options.kinds, title="Interruptions: resumed runs compared with an uninterrupted one")
    rows, details = [], []
    with tempfile.TemporaryDirectory(prefix="kill_matrix_") as name:
        scratch = Path(name)
        for workload in (workloads(scratch)[name] for name in names):
            unbroken = scratch / workload.name / "unbroken"
            unbroken.parent.mkdir()
            seconds = run_through(workload, unbroken, unbroken.parent / "log.txt")
            cells = []
            for kind in options.kinds:
                if kind not in workload.kinds:
                    cells.append("-")
                    continue
                chance = random.Random(f"{options.seed} {workload.name} {kind}")
                tally = measure(workload, kind, options.kills, unbroken, seconds, chance)
                rows.append({"workload": workload.name, "kind": kind, **vars(tally)})
                cells.append(cell(rows[-1]))
                problems = (*tally.damaged, *tally.different, *tally.unexplained)
                details += [f"{workload.name}, {kind}: {text}" for text in problems]
                print(f"{workload.name}, {kind}: {cells[-1]}", flush=True)
            table.add_row(workload.name, *cells)
            shutil.rmtree(unbroken.parent)
    Console(width=120).print(table)
    for text in details:
        print(text)
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if details else 0


if __name__ == "__main__":
    sys.exit(main())
