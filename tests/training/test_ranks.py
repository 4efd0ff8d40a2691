"""Two processes (gloo, on the CPU) train and evaluate like one process."""

import json
import os

import pytest
import torch
import torch.distributed.run
import yaml

from inpaint_zoo.cli.main import main
from inpaint_zoo.training.resume import list_checkpoints
from tests.helpers.family_runs import KINDS, OWN_NORMS, train_families
from tests.helpers.programs import Forked, rank_environments
from tests.helpers.runs import CONFIG, TWO, assert_same, finish, load, start, start_by_launcher, start_two
from tests.helpers.small_runs import REPOSITORY
from tests.helpers.suites import results_bytes, write_suite

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
DATA = {"class_path": "tests.helpers.toys.ImageData", "init_args": {"batches": 4, "batch_size": 4, "workers": 0}}


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


@pytest.mark.slow
def test_torchrun_starts_the_processes_of_a_benchmark_and_of_a_training(tmp_path, capsys):
    suite = write_suite(tmp_path, methods=["telea"], masks=[{"name": "center", "size": 24}], metrics=["psnr"])
    given = {**config(2), "trainer": {**CONFIG["trainer"], "max_steps": 2, "num_sanity_val_steps": 0}}
    path = tmp_path / "given.yaml"
    path.write_text(yaml.safe_dump(given))
    benchmark = ["benchmark", str(suite), "--device", "cpu", "--out"]
    words = [*benchmark, str(tmp_path / "two"), ",", "fit", "--config", str(path), *TWO, "--out", str(tmp_path / "run")]
    launch = ["--standalone", "--nproc-per-node", "2", str(REPOSITORY / "tests" / "helpers" / "in_turn.py"), *words]
    paths = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
    output = finish(Forked(torch.distributed.run.main, launch, joined=True, PYTHONPATH=paths))
    assert main([*benchmark, str(tmp_path / "one")]) == 0
    assert results_bytes(tmp_path / "one") == results_bytes(tmp_path / "two")
    assert output.count("1 computed, 0 done before") == 1  # by two processes together
    assert output.count("trained for 2 steps") == 1
    newest = list_checkpoints(tmp_path / "run" / "checkpoints")[0]
    assert load(newest)["batches"] == 2
    assert json.loads((tmp_path / "two" / "provenance.json").read_text())["environment"]["processes"] == 2


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    """Return the folder of what one process and two processes have trained, one after the other for all families."""
    folder = tmp_path_factory.mktemp("families")
    running = [Forked(train_families, 1, str(folder))]
    running += [Forked(train_families, 2, str(folder), **environment) for environment in rank_environments(2)]
    for process in running:
        assert process.wait(600) == 0, process.stdout + process.stderr
    return folder


def trained(folder, name, count):
    return [load(folder / f"{name}_{rank}_of_{count}.pt") for rank in range(count)]


def distances(state, other, names):
    """Return the Euclidean distance of two states over the trained parameters of each attribute of the module."""
    parts = {name.split(".")[0] for name in names}
    squares = {name: float((state[name] - other[name]).double().square().sum()) for name in names}
    return {part: sum(value for name, value in squares.items() if name.split(".")[0] == part) ** 0.5 for part in parts}


@pytest.mark.slow
@pytest.mark.parametrize("name", [kind.__name__ for kind in KINDS])
def test_two_processes_train_a_family_as_one_does(name, families):
    """Batches of holes of different sizes, with each family's recipe, losses and norms; BatchNorm is synchronized."""
    (one,), (first, second) = trained(families, name, 1), trained(families, name, 2)
    assert_same(first["after"], second["after"])
    assert_same(one["before"], first["before"])
    # the noise of networks differs between processes, the random numbers of losses do not
    assert not torch.equal(first["random"]["network"], second["random"]["network"])
    assert torch.equal(first["random"]["losses"], second["random"]["losses"])
    moved = distances(one["after"], one["before"], one["trained"])
    apart = distances(one["after"], first["after"], one["trained"])
    for part, distance in moved.items():
        assert distance > 0
        assert apart[part] <= 1e-6 * distance, f"{part}: {apart[part]} apart after {distance}"
    for key in first["after"].keys() - set(one["trained"]):  # statistics of norms
        torch.testing.assert_close(first["after"][key], one["after"][key], rtol=1e-6, atol=1e-9, msg=key)
    for whole, *halves in zip(one["terms"], first["terms"], second["terms"], strict=True):
        for key, value in whole.items():
            mean = torch.stack([terms[key] for terms in halves]).mean()
            torch.testing.assert_close(mean, value, rtol=1e-6, atol=1e-9, msg=f"{key}: {mean} for {value}")


@pytest.mark.slow
def test_without_synchronization_batch_norm_uses_the_samples_of_its_process(families):
    (one,), (first, second) = trained(families, OWN_NORMS, 1), trained(families, OWN_NORMS, 2)
    assert_same(first["after"], second["after"])  # the statistics are those of the first process
    (moved,) = distances(one["after"], one["before"], one["trained"]).values()
    (apart,) = distances(one["after"], first["after"], one["trained"]).values()
    assert 1e-2 * moved < apart < moved


def evaluation():
    return {"model": MODEL, "data": DATA, "trainer": {"accelerator": "cpu", "callbacks": []}}


@pytest.mark.slow
def test_a_strategy_that_waits_for_every_gradient_is_refused(tmp_path):
    process = start(tmp_path, "--trainer.devices", "2", "--trainer.strategy", "ddp", config=config(2))
    output = finish(process, code=2)
    assert "Use strategy ddp_find_unused_parameters_true" in output
