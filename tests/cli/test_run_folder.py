"""The run folder on the command line: no files are lost, and the intended checkpoint is resumed or evaluated."""

import csv
import json
from pathlib import Path

import pytest
import torch
import yaml

from inpaint_zoo.cli.main import main
from inpaint_zoo.io.locks import lock_folder
from tests.helpers.cli_run import CONFIG, Held
from tests.helpers.programs import Program
from tests.helpers.toys import painter_registered

REPOSITORY = Path(__file__).parent.parent.parent
HELD = ("--data", f"{Held.__module__}.Held")
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),
    pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint need to be provided.*"),
    pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"),
]


@pytest.fixture(autouse=True)
def painter_network():
    with painter_registered():
        yield


@pytest.fixture
def run(tmp_path, capsys):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(CONFIG))

    def call(command, *args, out="run"):
        code = main([command, "--config", str(path), "--out", str(tmp_path / out), *args])
        captured = capsys.readouterr()
        return code, captured.out.replace("\n", ""), " ".join(captured.err.split())

    return call


def state(folder):
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_what_belongs_to_a_run_makes_the_folder_used(run, tmp_path):
    files = (
        "config.yaml",
        "metrics.csv",
        "images/step_00000003.png",
        "checkpoints/best.ckpt",
        "test.json",
        "wandb.json",
    )
    for name in files:
        out = f"used_{Path(name).stem}"
        (tmp_path / out / name).parent.mkdir(parents=True)
        (tmp_path / out / name).write_bytes(b"of another run")
        before = state(tmp_path / out)
        code, _, err = run("fit", out=out)
        assert code == 2
        assert f"already contains a run ({Path(name).name}). Resume it with --ckpt_path last" in err
        assert state(tmp_path / out) == before


def test_a_folder_in_use_is_refused(run, tmp_path):
    with lock_folder(tmp_path / "run"):
        code, _, err = run("fit")
        assert code == 2
        assert "Another run is using" in err
    assert not (tmp_path / "run").exists()


def test_the_wrong_network_is_named_before_anything_is_touched(run, tmp_path):
    assert run("fit")[0] == 0
    before = state(tmp_path / "run")
    for args, message in (
        (
            ("--model.init_args.network", "autoencoder_tiny"),
            "holds the network 'painter', but the configuration builds",
        ),
        (("--model.init_args.network_options", "{width: 4}"), "width=4"),
        (("--data.batch_size", "4", "--seed_everything", "1"), "seed_everything 0 -> 1"),
    ):
        code, _, err = run("fit", "--ckpt_path", "last", *args)
        assert code == 2
        assert message in err
        assert len(err) < 700
        assert state(tmp_path / "run") == before


def test_a_learning_rate_is_changed_on_purpose_only(run, tmp_path):
    folder = tmp_path / "run"
    assert run("fit")[0] == 0
    before = (folder / "config.yaml").read_bytes()
    new = ("--ckpt_path", "last", "--trainer.max_steps", "8", "--model.init_args.lr", "0.5")
    code, _, err = run("fit", *new)
    assert code == 2
    assert "model.lr 0.01 -> 0.5" in err
    assert "--reset model.lr" in err
    assert (folder / "config.yaml").read_bytes() == before
    code, out, err = run("fit", *new, "--reset", "lr")
    assert code == 0, err
    assert "from step 6 on: model.lr 0.01 -> 0.5" in out
    assert "from step 6 on: trainer.max_steps 6 -> 8" in out
    assert "learning rate of train: 0.01 -> 0.5" in out
    header, *_, last = (folder / "metrics.csv").read_text().splitlines()
    assert dict(zip(header.split(","), last.split(","), strict=True))["lr/train"] == "0.5"
    assert yaml.safe_load((folder / "config.yaml").read_text())["model"]["init_args"]["lr"] == 0.5
    assert (folder / "configs" / "step_00000000.yaml").read_bytes() == before
    newest = torch.load(folder / "checkpoints" / "step_00000008.ckpt", weights_only=True)
    assert newest["config"]["model.lr"] == 0.5
    code, _, err = run("fit", *new, "--reset", "lrr")
    assert code == 2
    assert "Unknown key of --reset: 'lrr'" in err


def test_a_rehearsal_leaves_nothing(run, tmp_path):
    assert run("fit", "--trainer.fast_dev_run", "true")[0] == 0
    assert not (tmp_path / "run").exists()
    assert run("fit")[0] == 0


def test_best_is_a_name_for_every_command(run):
    assert run("fit", "--trainer.max_steps", "7")[0] == 0
    code, out, _ = run("fit", "--ckpt_path", "best", "--trainer.max_steps", "8")
    assert code == 0
    assert "resuming from" in out
    assert "best.ckpt" in out
    assert run("validate", "--ckpt_path", "best")[0] == 0


def test_the_three_best_checkpoints_are_kept(run, tmp_path):
    words = ["--config", str(REPOSITORY / "configs" / "trainer" / "best3.yaml"), "--trainer.val_check_interval=1"]
    assert run("fit", *words)[0] == 0
    rows = list(csv.DictReader((tmp_path / "run" / "metrics.csv").read_text().splitlines()))
    scores = {int(row["step"]): float(row["val/psnr"]) for row in rows if row["val/psnr"]}
    assert len(scores) == 6
    best = sorted(scores, key=scores.__getitem__)[-3:]
    found = {path.name for path in (tmp_path / "run" / "checkpoints").glob("best_*.ckpt")}
    assert found == {f"best_{step:08d}.ckpt" for step in best}


@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_nothing_is_scored_that_was_not_meant(command, run, tmp_path):
    code, _, err = run(command, *HELD, out="mistyped")
    assert code == 2
    assert "There is no checkpoint in" in err
    assert "--ckpt_path random" in err
    assert not (tmp_path / "mistyped").exists()


def test_random_weights_are_asked_for(run, tmp_path):
    assert run("validate", "--ckpt_path", "random")[0] == 0
    assert json.loads((tmp_path / "run" / "validate.json").read_text())["checkpoint"] == "random"


def test_a_time_limit_counts_for_each_run(run):
    limited = ("--trainer.max_time", "00:00:00:01", "--trainer.max_steps", "1000000", "--checkpoints.every", "1000000")
    code, out, _ = run("fit", *limited)
    assert code == 0
    assert "saved" in out
    code, out, _ = run("fit", *limited, "--ckpt_path", "last")
    assert code == 0
    assert "trained for" in out  # and not: nothing to do


def test_a_users_checkpoints_lie_where_the_user_stands(tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    callback = "--trainer.callbacks+=lightning.pytorch.callbacks.ModelCheckpoint"
    for name, more in (("a", ()), ("b", ("--trainer.callbacks.dirpath=mine",))):
        more = (callback, "--trainer.callbacks.every_n_train_steps=6", *more)
        program = Program("fit", "--config", "config.yaml", "--out", name, *more, cwd=tmp_path)
        assert program.wait() == 0, program.stderr
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("epoch*.ckpt"))
    assert found == ["a/checkpoints/epoch=0-step=6.ckpt", "mine/epoch=0-step=6.ckpt"]
