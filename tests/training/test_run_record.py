"""The configuration that a run folder and its checkpoints record, and a changed one when training continues."""

from functools import partial

import pytest
import torch
import yaml
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from inpaint_zoo.data import InpaintingDataModule
from inpaint_zoo.training import Reconstruction
from inpaint_zoo.training.run_record import ConfigRecord, ResetOptimizers

STEP_LR = partial(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5)


def fit(folder, rate, steps, callbacks=(), resume=None):
    """Train for a few steps with a schedule that halves the learning rate at each step; return the trainer."""
    data = InpaintingDataModule(
        train={"name": "sample", "split": "train", "select": {"first": 1}, "size": 64},
        masks={"name": "center", "size": 32},
        batch_size=1,
        epoch_samples=steps,
        workers=0,
    )
    optimizer = partial(torch.optim.Adam, lr=rate)
    module = Reconstruction("partial_conv_tiny", optimizer=optimizer, scheduler=STEP_LR)
    text = f"model: {{lr: {rate}}}\ntrainer: {{max_steps: {steps}}}\n"
    record = ConfigRecord(folder, lambda: text, lambda content: {"model": yaml.safe_load(content)["model"]})
    trainer = Trainer(
        accelerator="cpu",
        max_steps=steps,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[
            ModelCheckpoint(folder, filename="{step}", every_n_train_steps=1, save_top_k=-1),
            record,
            *callbacks,
        ],
    )
    trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=None if resume is None else True)
    return trainer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Train one step at a rate of 0.08, then continue to step 3 with a configured rate of 0.8."""
    place = tmp_path_factory.mktemp("run")
    fit(place, 0.08, 1)
    lines = []
    trainer = fit(place, 0.8, 3, [ResetOptimizers(lines.append)], place / "step=1.ckpt")
    return place, lines, trainer


pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]


def test_each_configuration_is_kept_with_the_step_from_which_it_was_used(folder):
    place, _, _ = folder
    header, *content = (place / "config.yaml").read_text().splitlines()
    assert header.endswith(", from step 1")
    assert yaml.safe_load("\n".join(content)) == {"model": {"lr": 0.8}, "trainer": {"max_steps": 3}}
    (earlier,) = place.glob("configs/*.yaml")
    assert earlier.name == "step_00000000.yaml"
    assert yaml.safe_load(earlier.read_text())["model"] == {"lr": 0.08}


def test_a_checkpoint_stores_the_part_that_affects_what_is_learned(folder):
    place, _, _ = folder
    for step, rate in ((1, 0.08), (2, 0.8), (3, 0.8)):
        assert torch.load(place / f"step={step}.ckpt", weights_only=True)["config"] == {"model": {"lr": rate}}


def test_an_unchanged_configuration_is_not_written_again(folder, tmp_path):
    first = fit(tmp_path, 0.08, 1)
    before = (tmp_path / "config.yaml").read_bytes()
    record = next(callback for callback in first.callbacks if isinstance(callback, ConfigRecord))
    record.on_train_start(first, first.lightning_module)  # now at step 1
    assert (tmp_path / "config.yaml").read_bytes() == before
    assert not (tmp_path / "configs").exists()


def test_the_schedule_is_where_it_would_be_if_the_new_rate_had_been_used_from_the_beginning(folder):
    _, lines, trainer = folder
    (found,) = lines
    assert found.endswith(": 0.04 -> 0.4")  # after one step, the schedule has halved each rate once
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.8 / 2**3)
