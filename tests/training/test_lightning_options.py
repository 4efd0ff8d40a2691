"""Every Trainer option and every Lightning callback works or is refused with a reason, as the documentation says."""

import csv
import importlib.util
import inspect
import re
import warnings
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch import Callback, Trainer
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.loggers import Logger

from inpaint_zoo.cli.main import main
from inpaint_zoo.data import InpaintingDataModule
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.images import write_image
from inpaint_zoo.training.lightning_options import CALLBACKS, TRAINER_OPTIONS, options_page
from tests.helpers.toys import Reconstruction, ToyGAN, build, make_trainer, painter_registered

REPOSITORY = Path(__file__).parent.parent.parent
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),
    pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:When using the `ThroughputMonitor`"),
    pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled"),
    pytest.mark.filterwarnings("ignore:.*Checkpoint directory .* exists and is not empty.*"),
]
ONE_OPTIMIZER = {"class_path": "tests.helpers.toys.Reconstruction", "init_args": {"metrics": ["psnr"]}}
ADVERSARIAL = {"class_path": "tests.helpers.toys.ToyGAN", "init_args": {"metrics": ["psnr"]}}
FUNCTION = "tests.training.test_lightning_options.batch_size"

# Several options at once: they do not touch each other, and each start of a training costs a second.
WORKS = {
    "limits": {
        **{"max_steps": 3, "min_steps": 1, "min_epochs": 1, "max_epochs": 2, "max_time": "00:00:10:00"},
        **{"limit_train_batches": 2, "limit_val_batches": 1, "limit_test_batches": 1, "limit_predict_batches": 1},
        **{"check_val_every_n_epoch": 1, "num_sanity_val_steps": 1, "log_every_n_steps": 0},
    },
    "switches": {
        **{"deterministic": True, "benchmark": False, "inference_mode": False, "detect_anomaly": True},
        **{"use_distributed_sampler": False, "enable_autolog_hparams": False, "enable_model_summary": True},
        **{"reload_dataloaders_every_n_epochs": 1, "enable_checkpointing": True, "sync_batchnorm": True},
        **{"enable_progress_bar": True, "val_check_interval": 0.5, "profiler": "simple", "barebones": False},
    },
    "machine": {
        **{"accelerator": "cpu", "strategy": "auto", "devices": 1, "num_nodes": 1, "precision": "bf16-mixed"},
        **{"plugins": "lightning.pytorch.plugins.environments.LightningEnvironment", "logger": False},
        **{"check_val_every_n_epoch": None, "val_check_interval": 2, "overfit_batches": 0.0},
    },
    "double precision": {"precision": "64-true", "fast_dev_run": 1},
}
WORKS_WITH_ONE_OPTIMIZER = {
    "accumulation": {"accumulate_grad_batches": 2, "gradient_clip_val": 0.5, "gradient_clip_algorithm": "value"},
}
REFUSED = {
    "accelerator": ("tpu", "Use cpu, cuda or mps"),
    "strategy": ("fsdp", "Use auto, ddp"),
    "precision": ("16-mixed", "Use bf16-mixed"),
    "max_epochs": (0, "0 disables training"),
    "max_steps": (0, "0 disables training"),
    "limit_train_batches": (0, "0 disables training"),
    "check_val_every_n_epoch": (0, "trainer.limit_val_batches to 0"),
    "enable_checkpointing": (False, "set checkpoints.every"),
    "barebones": (True, "disables the logs and checkpoints"),
    "default_root_dir": ("elsewhere", "set by --out"),
    "model_registry": ("name", "to the folder of the run only"),
    "callbacks": (
        [{"class_path": "lightning.pytorch.callbacks.Timer", "init_args": {"duration": "00:00:01:00"}}],
        "Use trainer.max_time",
    ),
}
# what Lightning itself refuses is a mistake in the configuration too
MISTAKES = [
    ({"accelerator": "cudaa"}, "invalid accelerator name"),
    ({"devices": [0, 1]}, "should be an int > 0"),
    ({"strategy": "ddpp"}, "invalid strategy name"),
    ({"num_nodes": 0}, "`num_nodes` must be a positive integer"),
    ({"max_steps": -7}, "must be a non-negative integer or -1"),
    ({"max_time": "soon"}, "is not a valid duration"),
    ({"limit_train_batches": 7.5}, "invalid value 7.5"),
    ({"val_check_interval": 100}, "must be less than or equal to the number of the training batches"),
    ({"gradient_clip_algorithm": "none"}, "Allowed algorithms"),
    ({"profiler": "clock"}, "it can only be one of"),
]
CALLBACK_ARGUMENTS = {
    "EarlyStopping": {"monitor": "val/psnr"},
    "GradientAccumulationScheduler": {"scheduling": {0: 2}},
    "ModelCheckpoint": {"dirpath": "more"},
    "ModelPruning": {"pruning_fn": "l1_unstructured"},
    "OnExceptionCheckpoint": {"dirpath": "more"},
    "StochasticWeightAveraging": {"swa_lrs": 0.01, "swa_epoch_start": 1},
    "ThroughputMonitor": {"batch_size_fn": FUNCTION},
}
IN_PYTHON_ONLY = {"LambdaCallback", "Timer"}


def batch_size(batch):
    """Return the batch size; a function that a configuration refers to."""
    return len(batch["image"])


@pytest.fixture(autouse=True)
def painter_network():
    with painter_registered():
        yield
    torch.use_deterministic_algorithms(False)  # Lightning leaves these switches as the last Trainer set them
    torch.autograd.set_detect_anomaly(False)


@pytest.fixture
def fit(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(model, trainer, *words, **more):
        path = tmp_path / "config.yaml"
        settings = {"accelerator": "cpu", "max_steps": 2, "num_sanity_val_steps": 0, **trainer}
        data = {"class_path": "tests.helpers.toys.ImageData", "init_args": {"batches": 2, "workers": 0}}
        path.write_text(yaml.safe_dump({"model": model, "data": data, "trainer": settings, **more}))
        code = main(["fit", "--config", str(path), "--out", str(tmp_path / "run"), *words])
        error = capsys.readouterr().err.strip()
        assert "fault of inpaint-zoo" not in error
        return code, error

    return call


def test_the_tables_are_complete():
    options = set(inspect.signature(Trainer.__init__).parameters) - {"self"}
    assert set(TRAINER_OPTIONS) == options
    assert set(CALLBACKS) == set(lightning_callbacks.__all__)
    tried = {name for settings in (*WORKS.values(), *WORKS_WITH_ONE_OPTIMIZER.values()) for name in settings}
    assert tried | set(REFUSED) == options
    assert set(REFUSED) == {name for name, verdict in TRAINER_OPTIONS.items() if verdict.refuses}


def test_the_page_is_the_one_that_the_tables_print():
    assert (REPOSITORY / "docs" / "lightning.md").read_text() == options_page()


@pytest.mark.parametrize("settings", [*WORKS.values(), *WORKS_WITH_ONE_OPTIMIZER.values()], ids=str)
def test_options_that_work_with_one_optimizer(settings, fit):
    assert fit(ONE_OPTIMIZER, settings)[0] == 0


@pytest.mark.parametrize("settings", WORKS.values(), ids=WORKS)
def test_options_that_work_with_adversarial_training(settings, fit):
    assert fit(ADVERSARIAL, settings)[0] == 0


@pytest.mark.parametrize("name", REFUSED)
def test_options_that_are_refused(name, fit, tmp_path):
    value, reason = REFUSED[name]
    on_the_command_line = name == "default_root_dir"  # --out replaces what a file says
    words = [f"--trainer.{name}={value}"] if on_the_command_line else []
    code, error = fit(ONE_OPTIMIZER, {} if on_the_command_line else {name: value}, *words)
    assert code == 2
    assert f"trainer.{name}" in error.splitlines()[-1]
    assert reason in error.splitlines()[-1]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("settings", WORKS_WITH_ONE_OPTIMIZER.values(), ids=WORKS_WITH_ONE_OPTIMIZER)
def test_adversarial_training_refuses_accumulation_by_the_trainer(settings, fit):
    code, error = fit(ADVERSARIAL, settings)
    assert code == 2
    assert "is not supported for manual optimization" in error


@pytest.mark.parametrize(("settings", "reason"), MISTAKES)
def test_a_mistake_is_not_called_a_fault_of_the_program(settings, reason, fit):
    code, error = fit(ONE_OPTIMIZER, settings)
    assert code == 2
    assert reason in error.splitlines()[-1]


class Kept(Logger):
    """A user's logger."""

    name = version = "kept"
    rows: ClassVar[list] = []
    configs: ClassVar[list] = []

    def log_metrics(self, metrics, step=None):
        self.rows.append((step, dict(metrics)))

    def log_hyperparams(self, params, *args, **kwargs):
        self.configs.append(params)


class Counting(Callback):
    """A user's callback."""

    def __init__(self, by: int) -> None:
        self.by = by

    def on_train_batch_end(self, trainer, module, *args):
        module.log("counted", float(self.by * trainer.global_step), prog_bar=True)


def test_a_users_own_logger_and_callback(fit):
    Kept.rows.clear()
    own = {name: f"tests.training.test_lightning_options.{name}" for name in ("Kept", "Counting")}
    callbacks = [{"class_path": own["Counting"], "init_args": {"by": 3}}]
    trainer = {"logger": {"class_path": own["Kept"]}, "callbacks": callbacks, "log_every_n_steps": 1}
    assert fit(ONE_OPTIMIZER, trainer)[0] == 0
    named = {name: value for _, row in Kept.rows for name, value in row.items()}
    assert {"train/loss", "train/grad_norm", "lr/train", "val/psnr", "speed/steps_per_s", "counted"} <= set(named)
    assert named["counted"] == 6
    assert Kept.configs[-1]["model"]["init_args"]["metrics"] == ["psnr"]


def test_the_same_batches_are_repeated_to_overfit_them(tmp_path):
    images = {"name": "sample", "split": "train", "size": 16, "keep_mib": 64}
    options = {"masks": {"name": "center", "size": 8}, "batch_size": 1, "workers": 0}
    data = InpaintingDataModule(train=images, val={**images, "crop": "center"}, **options)
    seen = []
    watch = LambdaCallback(on_train_batch_start=lambda trainer, module, batch, number: seen.append(batch))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* images are .* images too")
        make_trainer(tmp_path, callbacks=[watch], max_steps=6, overfit_batches=2).fit(build(Reconstruction), data)
    names = [batch["name"] for batch in seen]
    assert names == names[:2] * 3
    assert names[0] != names[1]
    for first, again in zip(seen[:2], seen[4:], strict=True):
        assert torch.equal(first["image"], again["image"])
        assert torch.equal(first["mask"], again["mask"])


def works(name, adversarial):
    verdict = CALLBACKS[name]
    return verdict.refuses is None or (verdict.note == "Works with one optimizer." and not adversarial)


def entry(name):
    return {"class_path": f"lightning.pytorch.callbacks.{name}", "init_args": CALLBACK_ARGUMENTS.get(name, {})}


@pytest.mark.parametrize("bar", ["RichProgressBar", "TQDMProgressBar"])
@pytest.mark.parametrize("model", [ONE_OPTIMIZER, ADVERSARIAL], ids=["one optimizer", "adversarial"])
def test_callbacks_that_work(model, bar, fit):
    """All of them at once, except that a run has one progress bar and counts batches only if it accumulates none."""
    others = {"RichProgressBar": {"TQDMProgressBar", "GradientAccumulationScheduler", "RichModelSummary"}}
    without = others.get(bar, {"RichProgressBar", "ThroughputMonitor", "ModelSummary"})
    names = {name for name in CALLBACKS if works(name, model is ADVERSARIAL)} - IN_PYTHON_ONLY - without
    if importlib.util.find_spec("psutil") is None:
        names -= {"DeviceStatsMonitor"}  # needs this package on a CPU
    code, error = fit(model, {"callbacks": [entry(name) for name in sorted(names)], "log_every_n_steps": 1})
    assert code == 0, error


@pytest.mark.parametrize("name", sorted(CALLBACKS))
@pytest.mark.parametrize("kind", [Reconstruction, ToyGAN], ids=["one optimizer", "adversarial"])
def test_callbacks_that_are_refused(kind, name, tmp_path):
    if works(name, kind is ToyGAN):
        return
    arguments = {key: batch_size if value == FUNCTION else value for key, value in entry(name)["init_args"].items()}
    callback = getattr(lightning_callbacks, name)(**arguments)
    trainer = Trainer(accelerator="cpu", logger=False, callbacks=[callback], default_root_dir=tmp_path)
    with pytest.raises(ZooError, match=f"^{re.escape(f'The callback {name} is not supported here. ')}") as refused:
        build(kind).check_trainer(trainer)
    assert CALLBACKS[name].reason in str(refused.value)


@pytest.mark.parametrize("model", [ONE_OPTIMIZER, ADVERSARIAL], ids=["one optimizer", "adversarial"])
def test_a_refused_callback_is_a_mistake(model, fit):
    code, error = fit(model, {"callbacks": [entry("StochasticWeightAveraging")]})
    assert code == 2
    assert CALLBACKS["StochasticWeightAveraging"].reason in error.splitlines()[-1]


def test_device_statistics_without_their_package_are_a_mistake(fit, monkeypatch):
    monkeypatch.setattr("lightning.pytorch.callbacks.device_stats_monitor._PSUTIL_AVAILABLE", False)
    code, error = fit(ONE_OPTIMIZER, {"callbacks": [entry("DeviceStatsMonitor")]})
    assert code == 2
    assert "psutil" in error.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"workers": -1}, "`workers` must be at least 0, got -1."),
        ({"epoch_samples": 0}, "`epoch_samples` must be at least 1, got 0."),
        ({"batch_size": 0}, "`batch_size` must be at least 1, got 0."),
        ({"seed": -3}, "`seed` must be at least 0, got -3."),
    ],
)
def test_wrong_numbers_of_the_data_are_mistakes(arguments, message, fit):
    data = {
        "class_path": "inpaint_zoo.data.InpaintingDataModule",
        "init_args": {"train": {"name": "sample"}, **arguments},
    }
    code, error = fit(ONE_OPTIMIZER, {}, data=data)
    assert code == 2
    assert message in error


def test_a_wrong_learning_rate_is_a_mistake(fit):
    code, error = fit({**ONE_OPTIMIZER, "init_args": {"lr": -1.0}}, {})
    assert code == 2
    assert "Invalid learning rate: -1.0" in error


@pytest.mark.usefixtures("wandb")
def test_weights_and_biases_without_a_key_is_a_mistake(fit, monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("HOME", str(tmp_path))  # no key of the user's
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    wandb_logger = {
        "class_path": "lightning.pytorch.loggers.WandbLogger",
        "init_args": {"project": "p", "save_dir": "wandb"},
    }
    code, error = fit(ONE_OPTIMIZER, {"logger": [wandb_logger]})
    assert code == 2
    assert "WANDB_MODE=offline" in error.splitlines()[-1]


def test_images_of_files_have_the_precision_of_the_weights(fit, tmp_path):
    """The toy images above are float, and Lightning converts them; images of files are uint8 when it does."""
    train, val = (
        {"name": "sample", "split": "train", "select": rule, "size": 32} for rule in ({"first": 2}, {"after": 4})
    )
    arguments = {"train": train, "val": val, "masks": {"name": "center", "size": 16}, "workers": 0}
    data = {
        "class_path": "inpaint_zoo.data.InpaintingDataModule",
        "init_args": {**arguments, "batch_size": 2, "test": None},
    }
    model = {"class_path": "inpaint_zoo.training.Reconstruction", "init_args": {"network": "partial_conv_tiny"}}
    trainer = {"precision": "64-true", "log_every_n_steps": 1, "num_sanity_val_steps": 1}
    code, error = fit(model, trainer, data=data, checkpoints={"monitor": None})
    assert code == 0, error
    state = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert {value.dtype for value in state.values() if value.is_floating_point()} == {torch.float64}
    assert main(["validate", "--config", "config.yaml", "--out", "run"]) == 0


@pytest.mark.parametrize("without", ["data.val=null", "trainer.limit_val_batches=0"])
def test_a_monitor_without_validations_is_refused_at_the_start(without, fit, tmp_path):
    train, val = (
        {"name": "sample", "split": "train", "select": rule, "size": 32} for rule in ({"first": 2}, {"after": 4})
    )
    arguments = {"train": train, "val": val, "masks": {"name": "center", "size": 16}, "batch_size": 2, "workers": 0}
    data = {"class_path": "inpaint_zoo.data.InpaintingDataModule", "init_args": arguments}
    monitor = {"class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": {"monitor": "val/psnr"}}
    code, error = fit(ONE_OPTIMIZER, {"callbacks": [monitor]}, f"--{without}", data=data)
    assert code == 2
    assert "ModelCheckpoint monitors 'val/psnr', but this training has no validations" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("precision", ["bf16-true", "16-mixed"])
def test_weights_and_losses_of_low_precision_are_refused(precision, fit):
    code, error = fit({"class_path": "tests.helpers.toys.Reconstruction"}, {"precision": precision})
    assert code == 2
    assert f"trainer.precision={precision} is not supported" in error


def plateau_config(tmp_path, scheduler):
    for number in range(8):
        part = "train" if number < 4 else "val"
        write_image(tmp_path / part / f"{number}.png", np.full((32, 32, 3), 30 * number, np.uint8))
    train, val = ({"name": "mine", "root": str(tmp_path / part), "size": 32} for part in ("train", "val"))
    data = {"train": train, "val": val, "masks": {"name": "center", "size": 8}, "batch_size": 2, "workers": 0}
    model = {
        "class_path": "inpaint_zoo.models.Autoencoder",
        "init_args": {
            "network": "autoencoder_tiny",
            "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.1}},
            "scheduler": scheduler,
        },
    }
    return model, {"class_path": "inpaint_zoo.data.InpaintingDataModule", "init_args": data}


def test_a_plateau_schedule_follows_a_validation_metric(fit, tmp_path):
    arguments = {"monitor": "val/psnr", "mode": "max", "patience": 0, "threshold": 100.0, "factor": 0.5}
    scheduler = {"class_path": "lightning.pytorch.cli.ReduceLROnPlateau", "init_args": arguments}
    model, data = plateau_config(tmp_path, scheduler)
    code, error = fit(model, {"max_steps": 8, "log_every_n_steps": 2}, data=data)
    assert code == 0, error
    rows = list(csv.DictReader((tmp_path / "run" / "metrics.csv").read_text().splitlines()))
    rates = [float(row["lr/train"]) for row in rows if row["lr/train"]]
    # two steps an epoch; the first validation sets the best, and no later one improves on it by the threshold
    assert rates == [0.1, 0.1, 0.05, 0.025]


@pytest.mark.parametrize("dry", [False, True])
def test_a_plateau_schedule_that_follows_test_images_is_refused(fit, tmp_path, dry):
    arguments = {"monitor": "val/psnr", "mode": "max"}
    scheduler = {"class_path": "lightning.pytorch.cli.ReduceLROnPlateau", "init_args": arguments}
    model, data = plateau_config(tmp_path, scheduler)
    data["init_args"]["test"] = data["init_args"]["val"]
    words = ["--checkpoints.monitor=null", *(["--dry-run"] if dry else [])]
    code, error = fit(model, {}, *words, data=data)
    assert code == 2
    assert "4 of the 4 validation images are test images too" in error
    assert "`val/psnr` would select checkpoints, stop the training or set its learning rate by them" in error


def test_a_plateau_schedule_without_a_metric_is_refused_with_the_yaml_that_works(fit, tmp_path):
    model, data = plateau_config(tmp_path, {"class_path": "torch.optim.lr_scheduler.ReduceLROnPlateau"})
    code, error = fit(model, {}, data=data)
    assert code == 2
    assert "lightning.pytorch.cli.ReduceLROnPlateau" in error
