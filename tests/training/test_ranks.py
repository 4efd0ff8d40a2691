"""Two processes (gloo, on the CPU) train and evaluate like one process."""

import json

import pytest
import torch

from inpaint_zoo.training.resume import list_checkpoints
from tests.helpers.runs import CONFIG, finish, load, start, start_by_launcher, start_two

MODEL = {
    "class_path": "tests.helpers.toys.ToyGAN",
    "init_args": {
        "metrics": ["psnr"],
        "network_options": {"plain": True},
        "sgd": True,
        "lr": 0.05,
        "form": {"forward": "shared"},
    },
}
DATA = {"class_path": "tests.helpers.toys.ImageData", "init_args": {"batches": 4, "batch_size": 4}}


def config(steps):
    return {"model": MODEL, "data": DATA, "trainer": {**CONFIG["trainer"], "max_steps": steps}}


@pytest.mark.slow
def test_two_processes_do_what_one_does(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for process in (start(one, config=config(6)), start_by_launcher(two, config=config(6))):
        finish(process)
    ours, theirs = (load(list_checkpoints(folder / "checkpoints")[0]) for folder in (one, two))
    assert ours["global_step"] == theirs["global_step"] == 6
    for name, value in ours["state_dict"].items():
        assert torch.allclose(value, theirs["state_dict"][name], atol=1e-5), name
    # five images over two processes: the one that evens them out is not counted
    for line, other in zip(*((folder / "metrics.csv").read_text().splitlines() for folder in (one, two)), strict=True):
        for a, b in zip(line.split(","), other.split(","), strict=True):
            assert a == b or float(a) == pytest.approx(float(b), abs=1e-4), (line, other)
    # two train on what one has begun, and one scores what two have
    for process in start_two(one, "--ckpt_path", "last", config=config(9)):
        finish(process)
    assert load(list_checkpoints(one / "checkpoints")[0])["global_step"] == 9
    running = [
        start(one, command="validate", config=evaluation()),
        *start_two(two, command="validate", config=evaluation()),
    ]
    for process in running:
        finish(process)
    assert all("val/psnr" in json.loads((folder / "validate.json").read_text())["metrics"] for folder in (one, two))


SGD = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.05}}
FAMILIES = {  # without norms over the batch: a divisor of the whole batch, and a random number for each sample
    "ISNet": {
        "network": "isnet_tiny",
        "discriminator_width": 8,
        "style": 0.0,
        "perceptual": 0.0,
        "init_std": 0.05,
        "generator_optimizer": SGD,
        "discriminator_optimizer": SGD,
    },
    "ContextualAttention": {
        "network": "glcic_tiny",
        "size": 32,
        "window": 16,
        "critic_width": 8,
        "num_critics": 1,
        "generator_optimizer": SGD,
        "critic_optimizer": SGD,
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_two_processes_train_a_family_as_one_does(family, tmp_path):
    """The holes have different sizes, so each process has a different number of hole pixels."""
    model = {"class_path": f"inpaint_zoo.models.{family}", "init_args": {"metrics": [], **FAMILIES[family]}}
    data = {**DATA, "init_args": {**DATA["init_args"], "uneven": True}}
    trainer = {**CONFIG["trainer"], "max_steps": 3, "limit_val_batches": 0, "callbacks": []}
    given = {"model": model, "data": data, "trainer": trainer}
    one, two = tmp_path / "one", tmp_path / "two"
    running = [start(one, config=given), *start_two(two, config=given)]
    for process in running:
        finish(process)
    ours, theirs = (load(list_checkpoints(folder / "checkpoints")[0])["state_dict"] for folder in (one, two))
    for name, value in ours.items():
        assert torch.allclose(value, theirs[name], rtol=1e-4, atol=1e-6), name
    rows = [[line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()] for folder in (one, two)]
    assert rows[0][0] == rows[1][0]
    for ones, twos in zip(*(table[1:] for table in rows), strict=True):
        assert [float(x) for x in ones] == pytest.approx([float(x) for x in twos], rel=1e-4)


def evaluation():
    return {"model": MODEL, "data": DATA, "trainer": {"accelerator": "cpu", "callbacks": []}}


@pytest.mark.slow
def test_a_strategy_that_waits_for_every_gradient_is_refused(tmp_path):
    process = start(tmp_path, "--trainer.devices", "2", "--trainer.strategy", "ddp", config=config(2))
    output = finish(process, code=2)
    assert "Use strategy ddp_find_unused_parameters_true" in output
