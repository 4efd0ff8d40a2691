"""What W&B gets from a training, its resume and its evaluation: the files of its offline mode are read back."""

import csv
import json
from pathlib import Path

import pytest
import yaml
from lightning.pytorch.loggers import WandbLogger

from inpaint_zoo.cli.main import main
from inpaint_zoo.training.experiment import name_wandb_run
from tests.helpers.cli_run import CONFIG, Held
from tests.helpers.toys import painter_registered

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"),
]
LOGGER = {
    "class_path": "lightning.pytorch.loggers.WandbLogger",
    "init_args": {"project": "holes", "log_model": "all", "entity": "team", "tags": ["mine"]},
}


class Logged:
    """One folder that W&B wrote: the run and its history rows."""

    def __init__(self, folder):
        from tests.helpers.wandb_file import read_offline, records

        content = read_offline(folder)
        self.run, self.config, self.files, self.summary = content.run, content.config, content.files, content.summary
        (path,) = folder.glob("run-*.wandb")
        self.rows = [
            {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            for record in records(path)
            if record.WhichOneof("record_type") == "history"
        ]

    def values(self, name):
        """Return the values of a metric by step."""
        return {row["trainer/global_step"]: row[name] for row in self.rows if name in row}


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """Train two steps, resume for one more, and test. Return the folder and what W&B wrote each time."""
    wandb = pytest.importorskip("wandb")
    place = tmp_path_factory.mktemp("wandb")
    out = place / "run"
    settings = {"max_steps": 2, "log_every_n_steps": 1, "logger": LOGGER}
    config = CONFIG | {"trainer": CONFIG["trainer"] | settings, "checkpoints": {"every": 1}, "images": {"count": 1}}
    (place / "config.yaml").write_text(yaml.safe_dump(config))
    words = ["--config", str(place / "config.yaml"), "--out", str(out)]
    folders = []
    with pytest.MonkeyPatch.context() as patch, painter_registered():
        patch.setenv("WANDB_MODE", "offline")
        for name in ("CACHE", "CONFIG", "DATA"):
            patch.setenv(f"WANDB_{name}_DIR", str(place / name))
        for command, *more in (
            ("fit", "--trainer.val_check_interval=2"),
            ("fit", "--trainer.val_check_interval=2", "--ckpt_path=last", "--trainer.max_steps=3"),
            ("test", f"--data={Held.__module__}.Held"),
        ):
            assert main([command, *words, *more]) == 0
            folders += set(out.glob("wandb/offline-run-*")) - set(folders)
        wandb.teardown()  # its process has written everything then
    return out, [Logged(folder) for folder in folders]


def test_a_resume_and_an_evaluation_continue_the_run_of_the_folder(logged):
    out, (first, *others) = logged
    (stored,) = json.loads((out / "wandb.json").read_text()).items()
    assert stored == ("team/holes", {"id": first.run.run_id, "job_type": "train"})
    assert all(run.run.resume for run in (first, *others))
    assert {run.run.run_id for run in others} == {first.run.run_id}


def test_it_is_named_by_the_configuration(logged):
    for run in (written.run for written in logged[1]):
        assert (run.project, run.entity, run.display_name, run.run_group) == ("holes", "team", "run", "painter")
        assert (run.job_type, list(run.tags)) == ("train", ["mine"])


def test_it_has_the_resolved_configuration(logged):
    out, (first, second, evaluation) = logged
    written = yaml.safe_load((out / "configs" / "step_00000000.yaml").read_text())
    for part in ("seed_everything", "model", "data", "checkpoints"):
        assert first.config[part] == written[part]
    assert (first.config["trainer"]["max_steps"], second.config["trainer"]["max_steps"]) == (2, 3)
    assert "trainer" not in evaluation.config


def test_its_numbers_are_those_of_the_files(logged):
    out, (first, second, evaluation) = logged
    rows = list(csv.DictReader((out / "metrics.csv").read_text().splitlines()))
    for name in ("train/loss", "lr/train", "train/grad_norm", "val/psnr"):
        expected = {int(row["step"]): float(row[name]) for row in rows if row[name]}
        assert first.values(name) | second.values(name) == pytest.approx(expected)
    scores = json.loads((out / "test.json").read_text())
    assert Path(scores["checkpoint"]).name == "best.ckpt"  # of the only validation
    assert evaluation.values("test/psnr") == {2: pytest.approx(scores["metrics"]["test/psnr"])}
    assert all(value > 0 for value in first.values("speed/steps_per_s").values())
    assert "samples" in first.summary


def test_checkpoints_are_uploaded(logged):
    out, (first, *_) = logged
    files = [path for name, found in first.files.items() if name.startswith("model-") for path in found.values()]
    checkpoints = {path.read_bytes() for path in (out / "checkpoints").glob("*.ckpt")}
    assert (out / "checkpoints" / "step_00000002.ckpt").read_bytes() in {path.read_bytes() for path in files}
    assert any(path.read_bytes() in checkpoints for path in files)


def test_variables_of_wandb_come_before_the_defaults(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_NAME", "by hand")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    defaults = {"name": "run", "group": "lama", "job_type": "train", "tags": ["LaMa"]}
    logger = WandbLogger(project="holes", group="mine")
    name_wandb_run(logger, tmp_path / "run", defaults)
    chosen = {name: logger._wandb_init.get(name) for name in (*defaults, "dir")}
    assert chosen == {"name": None, "group": "mine", "job_type": "train", "tags": ["LaMa"], "dir": None}
    assert logger.version
