"""A run that is interrupted at any step and resumed gives the same bytes as an uninterrupted one."""

import shutil

import pytest
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.optim.lr_scheduler import StepLR

from inpaint_zoo.training import NetworkEMA
from inpaint_zoo.training.resume import list_checkpoints
from tests.helpers.runs import assert_same, load, steps
from tests.helpers.toys import ImageData, Reconstruction, ToyGAN, build, fit

SCENARIOS = {
    "single optimizer": (Reconstruction, {}, {}),
    "schedule by step, accumulation": (
        Reconstruction,
        {"scheduler": steps},
        {"accumulate_grad_batches": 2, "check_val_every_n_epoch": None, "val_check_interval": 4},
    ),
    "schedule by epoch": (
        Reconstruction,
        {"scheduler": lambda optimizer: StepLR(optimizer, 1, 0.5), "interval": "epoch"},
        {"max_steps": 20},
    ),
    "epochs instead of steps": (Reconstruction, {}, {"max_steps": -1, "max_epochs": 2, "every": 1}),
    "validation within the epoch": (Reconstruction, {}, {"val_check_interval": 2}),
    "validation in every second epoch": (Reconstruction, {}, {"check_val_every_n_epoch": 2, "max_steps": 14}),
    "validation counted over epochs": (
        Reconstruction,
        {},
        {"check_val_every_n_epoch": None, "val_check_interval": 4, "max_steps": 13},
    ),
    "no validation": (Reconstruction, {}, {"limit_val_batches": 0}),
    "shared forward, EMA": (ToyGAN, {"form": {"forward": "shared"}}, {"callbacks": [("ema", {})]}),
    "five critics, penalty, EMA": (
        ToyGAN,
        {"penalty": True, "form": {"batches_per_step": 5}},
        {"callbacks": [("ema", {"start": 2})], "max_steps": 4, "every": 1, "check_val_every_n_epoch": None},
    ),
    "cycles over epochs": (
        ToyGAN,
        {"scheduler": steps, "form": {"batches_per_step": 4}},
        {"max_steps": 5, "every": 1, "check_val_every_n_epoch": None, "val_check_interval": 4},
    ),
    "together, epoch schedule": (
        ToyGAN,
        {
            "scheduler": lambda o: StepLR(o, 1, 0.5),
            "interval": "epoch",
            "form": {"forward": "shared", "step_jointly": True},
        },
        {"max_steps": 14},
    ),
    "rounds": (ToyGAN, {"form": {"repeats": 3}}, {"callbacks": [("ema", {"each_update": True})], "max_steps": 8}),
}


def run(scenario, folder, workers=0, ckpt_path=None):
    kind, options, trainer_options = SCENARIOS[scenario]
    trainer_options = {"every": 1, "max_steps": 13} | trainer_options
    if ckpt_path is not None:
        trainer_options["every"] = 1000  # the last step is saved all the same
    callbacks = [NetworkEMA(decay=0.9, **arguments) for _, arguments in trainer_options.pop("callbacks", [])]
    module = build(kind, **options)
    fit(folder, module, ImageData(workers=workers), ckpt_path, callbacks=callbacks, **trainer_options)
    return module


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_resume(scenario, tmp_path):
    """From each checkpoint of a short run, or each third one, which include all remainders of a division by 2 and 4."""
    unbroken = tmp_path / "unbroken"
    module = run(scenario, unbroken)
    saved = list_checkpoints(unbroken / "checkpoints")
    assert len(saved) >= 4
    metrics = (unbroken / "metrics.csv").read_bytes()
    for path in saved[1 :: 1 if len(saved) < 6 else 3]:
        folder = tmp_path / path.stem
        shutil.copytree(unbroken, folder)
        for later in list_checkpoints(folder / "checkpoints"):
            if later.name > path.name:
                later.unlink()
        resumed = run(scenario, folder, ckpt_path=folder / "checkpoints" / path.name)
        assert (folder / "metrics.csv").read_bytes() == metrics, path.name
        assert_same(load(folder / "checkpoints" / saved[0].name), load(saved[0]), path.name)
        assert_same(resumed.state_dict(), module.state_dict(), path.name)
        shutil.rmtree(folder)


@pytest.mark.parametrize("scenario", ["single optimizer", "validation within the epoch", "shared forward, EMA"])
def test_resume_from_the_best(scenario, tmp_path):
    """This checkpoint was written at the end of a validation, not at the end of a batch."""
    module = run(scenario, tmp_path)
    folder = tmp_path / "checkpoints"
    newest = list_checkpoints(folder)[0]
    metrics, state = (tmp_path / "metrics.csv").read_bytes(), load(newest)
    assert load(folder / "best.ckpt")["global_step"] < state["global_step"]
    resumed = run(scenario, tmp_path, ckpt_path=folder / "best.ckpt")
    assert (tmp_path / "metrics.csv").read_bytes() == metrics
    assert_same(load(newest), state)
    assert_same(resumed.state_dict(), module.state_dict())


@pytest.mark.parametrize("save_on_train_epoch_end", [True, False])
def test_resume_from_lightnings_own_checkpoints(save_on_train_epoch_end, tmp_path):
    folder = tmp_path / "theirs"

    def train(ckpt_path=None):
        theirs = ModelCheckpoint(
            folder,
            "{epoch}",
            save_top_k=-1,
            save_on_train_epoch_end=save_on_train_epoch_end,
            enable_version_counter=False,
        )
        module = build(Reconstruction, scheduler=steps)
        fit(tmp_path, module, ImageData(workers=1), ckpt_path, callbacks=[theirs], max_steps=15)
        return module

    module = train()
    metrics = (tmp_path / "metrics.csv").read_bytes()
    for epoch in (0, 1):
        resumed = train(folder / f"epoch={epoch}.ckpt")
        assert (tmp_path / "metrics.csv").read_bytes() == metrics
        assert_same(resumed.state_dict(), module.state_dict())
