"""Training runs in separate processes, and comparison of their files."""

import os
import sys

import torch
import yaml
from torch.optim.lr_scheduler import StepLR

from tests.helpers.programs import Program, rank_environments
from tests.helpers.small_runs import REPOSITORY

STEPS = 18
TWO = ("--trainer.devices", "2", "--trainer.strategy", "ddp_find_unused_parameters_true")


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


def _words(folder, args, config, seconds, command):
    """Write the configuration, and return the arguments of ``inpaint-zoo``."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {**CONFIG, **(config or {})}
    callbacks = [*config["trainer"]["callbacks"]]
    if seconds:
        callbacks.append({"class_path": "tests.helpers.toys.Slowly", "init_args": {"seconds": seconds}})
    config["trainer"] = {**config["trainer"], "callbacks": callbacks}
    path = folder / "given.yaml"
    path.write_text(yaml.safe_dump(config))
    return [command, "--config", str(path), "--out", str(folder), *args]


def start(folder, *args, config=None, seconds=0.0, command="fit"):
    return Program(*_words(folder, args, config, seconds, command), joined=True)


def start_two(folder, *args, config=None, command="fit", environments=None):
    """Start the two processes of one run, as torchrun and SLURM do."""
    words = _words(folder, (*TWO, *args), config, 0.0, command)
    return [Program(*words, joined=True, **environment) for environment in environments or rank_environments(2)]


def start_by_launcher(folder, *args, config=None):
    """Start the first process of a run; Lightning's launcher starts the second one as a new process of Python."""
    words = _words(folder, (*TWO, *args), config, 0.0, "fit")
    path = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
    return Program(*words, before=_as_script, joined=True, PYTHONPATH=path)


def _as_script():
    """Make the launcher start `tests.helpers.program`: it repeats the command line of the first process."""
    sys.argv[0] = str(REPOSITORY / "tests" / "helpers" / "program.py")


def steps_logged(folder):
    path = folder / "metrics.csv"
    lines = path.read_text().splitlines()[1:] if path.is_file() else []
    return max((int(line.split(",")[0]) for line in lines if line.split(",")[0]), default=0)


def wait_for_step(process, folder, step):
    process.wait_for(lambda: steps_logged(folder) >= step, f"step {step}")


def finish(process, code=0):
    assert process.wait() == code, process.stdout
    return process.stdout


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
