"""Options stated in a weight file apply in suites and commands as if they were given there."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

import inpaint_zoo as iz
from inpaint_zoo.analysis.macs import count_macs
from inpaint_zoo.benchmark import Options, Places, load_suite, run_suite
from inpaint_zoo.benchmark.methods import MethodInput, Task
from inpaint_zoo.cli.main import main
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.images import read_image, write_image
from tests.helpers.suites import make_image, methods_of, small_suite, write_suite
from tests.helpers.toy import registered_repeating, write_checkpoint

ONE = Options(workers=1, device="cpu")
TASK = Task("images", "center", ("a", "b"))
pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*")


@pytest.fixture(autouse=True)
def repeating_is_registered():
    with registered_repeating():
        yield


@pytest.fixture
def checkpoint(tmp_path):
    """Write a checkpoint of a non-default network: narrower, and applied three times."""
    return write_checkpoint(tmp_path / "last.ckpt", width=4, rounds=3)


@pytest.fixture
def bare(checkpoint, tmp_path):
    """Write the same weights to a file that states no model and options."""
    torch.save(iz.create_model("repeating", weights=checkpoint).state_dict(), tmp_path / "bare.pth")
    return tmp_path / "bare.pth"


def scores(folder, name, **method):
    """Run a suite of one method by the command, into ``folder/name``; return values and complexity."""
    methods = [{"label": "mine", **method}]
    suite = write_suite(folder, methods=methods, masks=[{"name": "center", "size": 32}], metrics=["psnr"])
    assert main(["benchmark", str(suite), "--out", str(folder / name), "--workers", "1"]) == 0
    complexity = json.loads((folder / name / "provenance.json").read_text())["complexity"][0]
    return pd.read_parquet(folder / name / "results.parquet")["value"], complexity


def test_a_suite_scores_the_network_that_the_file_states(checkpoint, bare, tmp_path, capsys):
    stated, cost = scores(tmp_path, "stated", model="repeating", checkpoint="last.ckpt")
    written, _ = scores(tmp_path, "written", model="repeating", weights="bare.pth", options={"width": 4, "rounds": 3})
    once, _ = scores(tmp_path, "once", model="repeating", checkpoint="last.ckpt", options={"rounds": 1})
    assert stated.equals(written)
    assert (stated != once).all()
    network = iz.create_model("repeating", width=4, rounds=3)
    assert cost["parameters"] == sum(parameter.numel() for parameter in network.parameters())
    assert cost["macs"] == count_macs(network, 64, 64).true
    capsys.readouterr()
    again, _ = scores(tmp_path, "stated", checkpoint="last.ckpt", options={"rounds": 3})  # without `model`
    assert "cells: 0 computed, 1 done before" in capsys.readouterr().out
    assert again.equals(stated)


@pytest.mark.slow
def test_a_training_checkpoint_of_grig_is_scored_with_the_steps_that_it_states(fill, tmp_path):
    from inpaint_zoo.models import GRIG

    small = {"patch_width": 8, "projected_width": 8, "metrics": []}
    module = GRIG("grig_tiny", network_options={"steps": 1}, init_weights="shipped", **small)
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, limit_val_batches=0)
    trainer.validate(module, DataLoader([0]), verbose=False)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    stated, stated_cost = scores(tmp_path, "stated", model="grig_tiny", checkpoint="one.ckpt")
    written, written_cost = scores(tmp_path, "written", model="grig_tiny", options={"steps": 1})
    three, three_cost = scores(tmp_path, "three", model="grig_tiny")
    assert stated.equals(written)
    assert (stated != three).all()
    assert stated_cost["macs"] == written_cost["macs"] < 0.5 * three_cost["macs"]
    filled = {
        name: fill(f"filled {name}", *words, model="grig_tiny")
        for name, words in (
            ("stated", ["--weights", str(tmp_path / "one.ckpt")]),
            ("written", ["--option", "steps=1"]),
            ("three", []),
        )
    }
    np.testing.assert_array_equal(filled["stated"], filled["written"])
    assert (filled["stated"] != filled["three"]).any()


def method(folder, **entry):
    (made,) = methods_of(small_suite(folder, methods=[{"model": "repeating", "label": "mine", **entry}]))
    return made


def test_cells_are_the_same_wherever_the_same_option_is_stated(checkpoint, tmp_path):
    stated = method(tmp_path, weights="last.ckpt").identity(TASK)
    assert stated["options"] == {"width": 4, "rounds": 3, "threshold": 0.5}
    assert stated == method(tmp_path, checkpoint="last.ckpt", options={"rounds": 3, "width": 4}).identity(TASK)
    assert stated != method(tmp_path, weights="last.ckpt", options={"rounds": 2}).identity(TASK)
    random = method(tmp_path, weights="random").identity(TASK)
    assert random == method(tmp_path, weights="random", options={"rounds": 1}).identity(TASK)
    assert random != method(tmp_path, weights="random", options={"rounds": 2}).identity(TASK)
    entry = {"model": "repeating", "checkpoint": "last.ckpt", "label": "one"}
    twins = small_suite(tmp_path, methods=[entry, entry | {"label": "twin", "options": {"rounds": 3}}])
    with pytest.raises(ZooError, match="have the same content"):
        run_suite(twins, tmp_path / "twins", ONE)


def test_a_file_states_its_model(checkpoint, bare, tmp_path):
    suite = small_suite(tmp_path, methods=[{"weights": "last.ckpt"}])
    assert [(entry.label, entry.model) for entry in suite.methods] == [("repeating", "repeating")]
    given = Places(weights={"mine": checkpoint})
    path = write_suite(tmp_path, methods=[{"checkpoint": "absent.ckpt", "label": "mine"}])
    assert [entry.model for entry in load_suite(path, given).methods] == ["repeating"]
    for entry, problem in (
        ({"checkpoint": "absent.ckpt"}, r"no file absent.ckpt, so the model that it states is unknown: add 'model'"),
        ({"weights": "bare.pth"}, r"bare.pth does not state its model: add 'model'"),
        ({"weights": "random"}, r"'weights: random' is not one file that states its model: add 'model'"),
        ({"weights": "{dataset}/last.ckpt"}, "is not one file that states its model"),
    ):
        with pytest.raises(ZooError, match=rf"suite\.yaml:\d+: .*{problem}"):
            small_suite(tmp_path, methods=[entry])


def test_an_option_of_the_suite_overrides_the_files(checkpoint, bare, tmp_path):
    mask = np.zeros((64, 64), dtype=bool)
    mask[16:48, 20:44] = True
    asked = MethodInput("a", np.where(mask[..., None], np.uint8(0), make_image(3)), mask)

    def fill_one(**entry):
        made = method(tmp_path, **entry)
        made.start(TASK, torch.device("cpu"), "fp32")
        return made.fill([asked])[0].image, made.count_macs(64, 64)

    overridden, macs = fill_one(weights="last.ckpt", options={"rounds": 1})
    once, macs_of_one = fill_one(weights="bare.pth", options={"width": 4})
    np.testing.assert_array_equal(overridden, once)
    assert macs == macs_of_one
    stated, macs_of_three = fill_one(weights="last.ckpt")
    assert (stated != once).any()
    assert macs_of_three.true == 3 * macs_of_one.true


def test_wrong_options_fail_their_cells_alone(checkpoint, tmp_path):
    methods = [
        {"model": "repeating", "weights": "last.ckpt", "label": "fits"},
        {"model": "repeating", "weights": "last.ckpt", "label": "wider", "options": {"width": 6}},
        {"model": "repeating", "weights": "last.ckpt", "label": "unknown", "options": {"wdth": 6}},
    ]
    suite = small_suite(tmp_path, methods=methods, masks=[{"name": "center", "size": 32}])
    outcome = run_suite(suite, tmp_path / "out", ONE)
    errors = {failure.key.method: failure.error for failure in outcome.failed}
    assert errors.keys() == {"wider", "unknown"}
    assert "last.ckpt does not fit 'repeating': it was saved with width=4, but width=6 is asked" in errors["wider"]
    assert "'wdth'. Did you mean 'width'?" in errors["unknown"]


@pytest.fixture
def fill(tmp_path):
    """Fill an image by the command; return the result."""
    write_image(tmp_path / "image.png", make_image(3))
    mask = np.zeros((64, 64, 3), np.uint8)
    mask[16:48, 20:44] = 255
    write_image(tmp_path / "mask.png", mask)

    def filled(name, *words, model="repeating"):
        out = tmp_path / name
        command = ["inpaint", tmp_path / "image.png", "--mask", tmp_path / "mask.png", "--out", out]
        command += ["--model", model] if model else []
        assert main([*map(str, command), "--device", "cpu", *words]) == 0
        return read_image(out / "image.png").rgb

    return filled


def test_inpaint_uses_them_and_takes_others(checkpoint, bare, fill):
    file, plain = ("--weights", str(checkpoint)), ("--weights", str(bare), "--option", "width=4")
    stated = fill("stated", *file, model=None)
    np.testing.assert_array_equal(stated, fill("written", *plain, "--option", "rounds=3"))
    once = fill("once", *file, "--option", "rounds=1")
    np.testing.assert_array_equal(once, fill("plain", *plain))
    assert (stated != once).any()
    passes = ("--option", "kernel_size=9", "--option", "threshold=0.05")
    progressive = fill("stated passes", *file, *passes, model="progressive:repeating")
    written = fill("written passes", *plain, "--option", "rounds=3", *passes, model="progressive:repeating")
    np.testing.assert_array_equal(progressive, written)
    assert (progressive != stated).any()


def test_inpaint_refuses_what_does_not_fit(checkpoint, bare, tmp_path, capsys):
    write_image(tmp_path / "image.png", make_image(3))
    command = ["inpaint", str(tmp_path / "image.png"), "--mask", "center", "--device", "cpu"]
    command += ["--out", str(tmp_path / "out")]
    for unnamed, wrong in (([], "Give a model by --model"), (["--weights", str(bare)], "does not state its model")):
        assert main([*command, *unnamed]) == 2
        assert wrong in capsys.readouterr().err
    file = ["--weights", str(checkpoint)]
    for more, wrong in (
        (["autoencoder_tiny", *file], "holds weights of 'repeating', not of 'autoencoder_tiny'"),
        (["repeating", *file, "--option", "width=6"], "it was saved with width=4, but width=6 is asked for"),
        (["repeating", *file, "--option", "round=1"], "Did you mean 'rounds'"),
        (["repeating", *file, "--option", "rounds"], "--option must be KEY=VALUE"),
        (["repeating", *file, "--option", "rounds=1", "--option", "rounds=2"], "--option rounds is given twice"),
    ):
        assert main([*command, "--model", *more]) == 2
        assert wrong in capsys.readouterr().err


def words(text):
    return " ".join(text.split())


def test_models_show_tells_what_a_file_states(checkpoint, bare, capsys):
    network = iz.create_model("repeating", width=4, rounds=3)
    count = sum(parameter.numel() for parameter in network.parameters())
    macs = f"MACs at 256 px {count_macs(network, 256, 256).true / 1e9:,.3f} G"
    assert main(["models", "show", str(checkpoint)]) == 0
    shown = words(capsys.readouterr().out)
    for part in (
        "model repeating",
        f"options width=4, rounds=3, threshold=0.5 parameters {count:,}",
        macs,
        "stated model repeating stated options width=4, rounds=3 licence unknown",
        'training: step 7 training: epoch 1 training: weights "in training"',
    ):
        assert part in shown
    assert main(["models", "show", "repeating", "--weights", str(checkpoint), "--option", "rounds=1"]) == 0
    once = words(capsys.readouterr().out)
    assert "options width=4, rounds=1, threshold=0.5" in once
    assert "stated options width=4, rounds=3" in once
    assert macs not in once
    assert main(["models", "show", str(bare)]) == 0
    assert "stated model none: the file contains only tensors stated options none" in words(capsys.readouterr().out)
    assert main(["models", "show", "glama_tiny", "--weights", "shipped"]) == 0
    assert "licence Apache-2.0" in words(capsys.readouterr().out)


def test_models_show_of_discriminators_and_its_refusals(checkpoint, bare, tmp_path, capsys):
    critic = iz.create_discriminator("lama", width=8)
    path = iz.save_weights(critic, tmp_path / "critic.safetensors", licence="MIT", training={"data": "[bold] none"})
    assert main(["models", "show", str(path)]) == 0
    shown = words(capsys.readouterr().out)
    count = sum(p.numel() for p in critic.parameters())
    assert f"discriminator lama_discriminator parameters {count:,}" in shown
    assert "stated options width=8 licence MIT" in shown
    assert "[bold] none" in shown
    for wrong, message in (
        (["repeating", "--weights", str(path)], "holds weights of 'lama_discriminator', not of 'repeating'"),
        (["repeating", "--weights", str(bare)], "does not fit 'repeating'"),
        ([str(path), "--weights", str(path)], "Only one weight file can be shown at a time"),
        ([str(tmp_path / "none.ckpt")], "No weight file"),
    ):
        assert main(["models", "show", *wrong]) == 2
        assert message in words(capsys.readouterr().err)


def test_receptive_fields_follow_a_file(checkpoint, capsys):
    command = ["models", "rf", "repeating", "--size", "32", "--weights", str(checkpoint)]
    assert main(command) == 0
    assert "last.ckpt, mean over" in words(capsys.readouterr().out)
    assert main([*command, "--option", "width=6"]) == 2
    assert "it was saved with width=4, but width=6 is asked for" in capsys.readouterr().err
