"""Training runs in separate processes, and comparison of their files."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
import yaml
from torch.optim.lr_scheduler import StepLR

from tests.helpers.small_runs import REPOSITORY

STEPS = 24


CONFIG = {
    "seed_everything": 3,
    "model": {
        "class_path": "tests.helpers.toys.ToyGAN",
        "init_args": {"metrics": ["psnr"], "penalty": True, "form": {"batches_per_step": 2}},
    },
    "data": {"class_path": "tests.helpers.toys.ImageData", "init_args": {"workers": 1}},
    "trainer": {
        "accelerator": "cpu",
        "max_steps": STEPS,
        "log_every_n_steps": 1,
        "callbacks": [{"class_path": "inpaint_zoo.training.NetworkEMA", "init_args": {"decay": 0.9}}],
    },
    "checkpoints": {"every": 3},
    "images": {"count": 2},
}


def start(folder, *args, config=None, seconds=0.0, command="fit"):
    folder.mkdir(parents=True, exist_ok=True)
    config = {**CONFIG, **(config or {})}
    callbacks = [*config["trainer"]["callbacks"]]
    if seconds:
        callbacks.append({"class_path": "tests.helpers.program.Slowly", "init_args": {"seconds": seconds}})
    config["trainer"] = {**config["trainer"], "callbacks": callbacks}
    path = folder / "given.yaml"
    path.write_text(yaml.safe_dump(config))
    return subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.program", command, "--config", path, "--out", folder, *args],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that its loader processes can be killed with it
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def steps_logged(folder):
    path = folder / "metrics.csv"
    lines = path.read_text().splitlines()[1:] if path.is_file() else []
    return max((int(line.split(",")[0]) for line in lines if line.split(",")[0]), default=0)


def wait_for_step(process, folder, step, seconds=300):
    end = time.monotonic() + seconds
    while steps_logged(folder) < step:
        if process.poll() is not None:
            pytest.fail(f"ended before step {step}: {process.stdout.read()}")
        if time.monotonic() > end:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(f"step {step} was not reached in {seconds} s")
        time.sleep(0.005)


def finish(process, code=0):
    output = process.communicate(timeout=300)[0]
    assert process.returncode == code, output
    return output


def load(path):
    return torch.load(path, weights_only=True)


def assert_same(a, b, where=""):
    assert type(a) is type(b), where
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert list(a) == list(b), where
        for key in a:
            assert_same(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for number, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}/{number}")
    else:
        assert a == b, where


def steps(optimizer):
    return StepLR(optimizer, 3, 0.5)
