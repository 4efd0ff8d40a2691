"""The options that a weight file states count in suites and commands as if they were written out."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

import inpaint_zoo as iz
from inpaint_zoo.benchmark import Options, run_suite
from inpaint_zoo.benchmark.methods import Question, Task, create_methods
from inpaint_zoo.cli.main import main
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.pictures import read_picture, write_picture
from inpaint_zoo.models import GRIG
from tests.benchmark.small import photograph, small_suite, write_suite
from tests.toy import registered_toy

ONE = Options(workers=1, device="cpu")
TASK = Task("photos", "center", ("a", "b"))
METHOD = {"model": "grig_tiny", "label": "grig"}
pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*")


@pytest.fixture(scope="module")
def one_step(tmp_path_factory):
    """A training checkpoint of GRIG with one step, from the weights that ship."""
    small = {"patch_width": 8, "projected_width": 8, "metrics": []}
    module = GRIG("grig_tiny", network_options={"steps": 1}, init_weights="shipped", **small)
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, limit_val_batches=0)
    trainer.validate(module, DataLoader([0]), verbose=False)
    path = tmp_path_factory.mktemp("one_step") / "last.ckpt"
    trainer.save_checkpoint(path)
    return path


def scores(folder, name, **method):
    """Values and complexity of a suite of one method, by the command; its results lie in ``folder/name``."""
    suite = write_suite(folder, methods=[METHOD | method], masks=[{"name": "center", "size": 32}], metrics=["psnr"])
    assert main(["benchmark", str(suite), "--out", str(folder / name), "--workers", "1"]) == 0
    complexity = json.loads((folder / name / "provenance.json").read_text())["complexity"][0]
    return pd.read_parquet(folder / name / "results.parquet")["value"], complexity


def test_a_training_checkpoint_is_scored_with_the_steps_that_it_states(one_step, tmp_path, capsys):
    stated, stated_cost = scores(tmp_path, "stated", checkpoint=str(one_step))
    written, written_cost = scores(tmp_path, "written", options={"steps": 1})
    three, three_cost = scores(tmp_path, "three")
    assert stated.equals(written)
    assert (stated != three).all()
    network = iz.create_model("grig_tiny", weights=one_step)
    assert network.steps == 1
    assert stated_cost["parameters"] == three_cost["parameters"] == sum(p.numel() for p in network.parameters())
    assert stated_cost["macs"] == written_cost["macs"] < 0.5 * three_cost["macs"]
    capsys.readouterr()
    again, _ = scores(tmp_path, "stated", checkpoint=str(one_step), options={"steps": 1})
    assert "cells: 0 computed, 1 done before" in capsys.readouterr().out
    assert again.equals(stated)


def method(folder, **entry):
    (made,) = create_methods(small_suite(folder, methods=[METHOD | entry]))
    return made


def test_cells_are_the_same_wherever_the_same_option_is_stated(one_step, tmp_path):
    stated = method(tmp_path, weights=str(one_step)).identity(TASK)
    assert stated["options"]["steps"] == 1
    assert stated == method(tmp_path, checkpoint=str(one_step), options={"steps": 1}).identity(TASK)
    assert stated != method(tmp_path, weights=str(one_step), options={"steps": 2}).identity(TASK)
    ships = method(tmp_path).identity(TASK)
    assert ships == method(tmp_path, options={"steps": 3, "core": "transformer"}).identity(TASK)
    assert ships != method(tmp_path, options={"steps": 1}).identity(TASK)
    entry = METHOD | {"checkpoint": str(one_step)}
    twins = small_suite(tmp_path, methods=[entry, entry | {"label": "twin", "options": {"steps": 1}}])
    with pytest.raises(ZooError, match="are the same by their content"):
        run_suite(twins, tmp_path / "twins", ONE)


def test_an_option_of_the_suite_overrides_the_files(one_step, tmp_path):
    mask = np.zeros((64, 64), dtype=bool)
    mask[16:48, 20:44] = True
    asked = Question("a", np.where(mask[..., None], np.uint8(0), photograph(3)), mask)

    def answer(**entry):
        made = method(tmp_path, **entry)
        made.start(TASK, torch.device("cpu"), "fp32")
        return made.answer([asked])[0].picture, made.count_macs(64, 64)

    overridden, macs = answer(weights=str(one_step), options={"steps": 3})
    three, macs_of_three = answer()
    np.testing.assert_array_equal(overridden, three)
    assert macs == macs_of_three
    assert (overridden != answer(weights=str(one_step))[0]).any()


def test_wrong_options_and_files_fail_their_cells_alone(one_step, tmp_path):
    with registered_toy():
        iz.save_weights(iz.create_model("toy", width=4), tmp_path / "toy.safetensors")
        methods = [
            {"model": "toy", "weights": "toy.safetensors", "label": "fits"},
            {"model": "toy", "weights": "toy.safetensors", "label": "wider", "options": {"width": 6}},
            {"model": "toy", "weights": str(one_step), "label": "other"},
            {"model": "toy", "weights": "toy.safetensors", "label": "unknown", "options": {"wdth": 6}},
        ]
        suite = small_suite(tmp_path, methods=methods, masks=[{"name": "center", "size": 32}])
        outcome = run_suite(suite, tmp_path / "out", ONE)
    errors = {failure.key.method: failure.error for failure in outcome.failed}
    assert errors.keys() == {"wider", "other", "unknown"}
    assert "toy.safetensors does not fit 'toy': it was saved with width=4, but width=6 is asked" in errors["wider"]
    assert "last.ckpt holds weights of 'grig_tiny', not of 'toy'" in errors["other"]
    assert "'wdth'. Did you mean 'width'?" in errors["unknown"]


@pytest.fixture
def fill(tmp_path):
    """Fill a photograph by the command; returns the result."""
    write_picture(tmp_path / "photo.png", photograph(3))
    mask = np.zeros((64, 64, 3), np.uint8)
    mask[16:48, 20:44] = 255
    write_picture(tmp_path / "mask.png", mask)

    def filled(name, *words, model="grig_tiny"):
        out = tmp_path / name
        command = ["inpaint", tmp_path / "photo.png", "--mask", tmp_path / "mask.png", "--model", model, "--out", out]
        assert main([*map(str, command), "--device", "cpu", *words]) == 0
        return read_picture(out / "photo.png").rgb

    return filled


def test_inpaint_uses_them_and_takes_others(one_step, fill):
    stated = fill("stated", "--weights", str(one_step))
    np.testing.assert_array_equal(stated, fill("written", "--option", "steps=1"))
    three = fill("three")
    assert (stated != three).any()
    np.testing.assert_array_equal(three, fill("overridden", "--weights", str(one_step), "--option", "steps=3"))
    passes = ("--option", "kernel_size=9", "--option", "threshold=0.05")
    progressive = fill("stated passes", "--weights", str(one_step), *passes, model="progressive:grig_tiny")
    written = fill("written passes", "--option", "steps=1", *passes, model="progressive:grig_tiny")
    np.testing.assert_array_equal(progressive, written)
    assert (progressive != stated).any()


def test_inpaint_refuses_what_does_not_fit(one_step, tmp_path, capsys):
    command = ["inpaint", str(tmp_path), "--mask", "center", "--out", str(tmp_path / "out"), "--device", "cpu"]
    write_picture(tmp_path / "photo.png", photograph(3))
    file = ["--weights", str(one_step)]
    for more, wrong in (
        (["isnet_tiny", *file], "holds weights of 'grig_tiny', not of 'isnet_tiny'"),
        (["grig_tiny", *file, "--option", "core=convolution"], "saved with core='transformer', but core='convolution'"),
        (["grig_tiny", "--option", "step=1"], "Did you mean 'steps'"),
        (["grig_tiny", "--option", "steps"], "--option must be KEY=VALUE"),
        (["grig_tiny", "--option", "steps=1", "--option", "steps=2"], "--option steps is given twice"),
    ):
        assert main([*command, "--model", *more]) == 2
        assert wrong in capsys.readouterr().err


def words(text):
    return " ".join(text.split())


def test_models_show_tells_what_a_file_states(one_step, tmp_path, capsys):
    assert main(["models", "show", str(one_step)]) == 0
    shown = words(capsys.readouterr().out)
    assert "model grig_tiny" in shown
    assert "options steps=1, core='transformer'" in shown
    assert "stated options steps=1 licence unknown training: step 0 training: epoch 0" in shown
    assert "MACs at 256 px 2.133 G" in shown
    assert main(["models", "show", "grig_tiny", "--weights", str(one_step), "--option", "steps=3"]) == 0
    three = words(capsys.readouterr().out)
    assert "options steps=3" in three
    assert "stated options steps=1" in three
    assert "MACs at 256 px 6." in three
    assert main(["models", "show", "grig_tiny", "--weights", "shipped"]) == 0
    assert "licence Apache-2.0" in words(capsys.readouterr().out)


def test_models_show_of_other_files(tmp_path, capsys):
    torch.save({"weight": torch.ones(2, 3)}, tmp_path / "bare.pth")
    assert main(["models", "show", str(tmp_path / "bare.pth")]) == 0
    shown = words(capsys.readouterr().out)
    assert "bare.pth: 1 tensors, 6 values, float32" in shown.replace("tensor s", "tensors")
    assert "stated model none: the file holds tensors alone stated options none" in shown
    critic = iz.create_discriminator("lama", width=8)
    path = iz.save_weights(critic, tmp_path / "critic.safetensors", licence="MIT", training={"data": "[bold] none"})
    assert main(["models", "show", str(path)]) == 0
    shown = words(capsys.readouterr().out)
    count = sum(p.numel() for p in critic.parameters())
    assert f"discriminator lama_discriminator parameters {count:,}" in shown
    assert "stated options width=8 licence MIT" in shown
    assert "[bold] none" in shown
    for wrong, message in (
        (["grig_tiny", "--weights", str(path)], "holds weights of 'lama_discriminator', not of 'grig_tiny'"),
        (["grig_tiny", "--weights", str(tmp_path / "bare.pth")], "does not fit 'grig_tiny'"),
        ([str(path), "--weights", str(path)], "One weight file is shown at a time"),
        ([str(tmp_path / "none.ckpt")], "No weight file"),
    ):
        assert main(["models", "show", *wrong]) == 2
        assert message in words(capsys.readouterr().err)


def test_receptive_fields_follow_a_file(tmp_path, capsys):
    with registered_toy():
        path = iz.save_weights(iz.create_model("toy", width=4), tmp_path / "toy.safetensors")
        assert main(["models", "rf", "toy", "--size", "32", "--weights", str(path)]) == 0
        assert "toy.safetensors, mean over" in words(capsys.readouterr().out)
        assert main(["models", "rf", "toy", "--size", "32", "--weights", str(path), "--option", "width=6"]) == 2
        assert "it was saved with width=4, but width=6 is asked for" in capsys.readouterr().err
