"""fit, validate, test and predict on the command line: combined configurations, run folders, and error messages."""

import csv
import importlib
import inspect
import json
import pkgutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from lightning.fabric.loggers import tensorboard

import inpaint_zoo.models
from inpaint_zoo.cli.main import main
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.images import write_image
from inpaint_zoo.training import Reconstruction, TrainingModule
from inpaint_zoo.training.dry_run import Disk, GPUMemory
from inpaint_zoo.training.hyperparameters import built_by
from tests.helpers.cli_run import CONFIG
from tests.helpers.toys import painter_registered

TRAINING_CLASSES = [
    kind
    for family in pkgutil.iter_modules(inpaint_zoo.models.__path__)
    if (Path(inpaint_zoo.models.__path__[0]) / family.name / "module.py").is_file()
    for kind in vars(importlib.import_module(f"inpaint_zoo.models.{family.name}.module")).values()
    if isinstance(kind, type)
    and issubclass(kind, TrainingModule)
    and kind.__module__.endswith(f"{family.name}.module")
    and "first_training" not in inspect.signature(kind).parameters  # has no default
] + [Reconstruction]
REPOSITORY = Path(__file__).parent.parent.parent
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),
    # LightningCLI calls jsonargparse by names that it has since given up
    pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"),
]


@pytest.fixture(autouse=True)
def painter_network():
    with painter_registered():
        yield


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(CONFIG))
    return str(path)


@pytest.fixture
def run(config, tmp_path, capsys):
    def call(command, *args):
        code = main([command, "--config", config, "--out", str(tmp_path / "run"), *args])
        captured = capsys.readouterr()
        return code, captured.out.replace("\n", ""), captured.err.strip()

    return call


def test_from_nothing_to_images(run, tmp_path):
    folder = tmp_path / "run"
    code, out, _ = run("fit")
    assert code == 0
    assert "trained for 6 steps" in out
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "config.yaml",
        "metrics.csv",
        "speed.csv",
        "images/step_00000006.png",
        *(f"checkpoints/{name}.ckpt" for name in ("best", "last", "step_00000003", "step_00000006")),
    }
    code, out, _ = run("validate")
    assert code == 0
    assert "checkpoints/best.ckpt" in out
    scores = json.loads((folder / "validate.json").read_text())
    last_row = (folder / "metrics.csv").read_text().splitlines()[-1].split(",")
    assert scores["metrics"]["val/psnr"] == pytest.approx(float(last_row[-2]), abs=1e-9)
    code, out, _ = run("fit", "--ckpt_path", "last", "--trainer.max_steps", "7")
    assert code == 0
    assert "resuming from" in out
    assert "step_00000006.ckpt" in out
    assert (folder / "checkpoints" / "step_00000007.ckpt").is_file()


@pytest.mark.parametrize("with_callback", [True, False])
def test_scoring_uses_the_average_and_says_so(with_callback, run, tmp_path):
    ema = ("--trainer.callbacks+=inpaint_zoo.training.NetworkEMA", "--trainer.callbacks.decay=0.5")
    assert run("fit", *ema)[0] == 0
    assert run("validate", *(ema if with_callback else ()))[0] == 0
    header, *_, last = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    trained = dict(zip(header.split(","), last.split(","), strict=True))
    scores = json.loads((tmp_path / "run" / "validate.json").read_text())["metrics"]
    assert scores["val/ema"] == float(trained["val/ema"]) == 1
    assert scores["val/psnr"] == pytest.approx(float(trained["val/psnr"]), abs=1e-9)


def test_a_checkpoint_of_another_training_class_is_scored(run, tmp_path):
    """An evaluation needs the weights of the network, not those of a discriminator."""
    assert run("fit", "--trainer.max_steps", "2", "--trainer.limit_val_batches", "0")[0] == 0
    checkpoint = ("--ckpt_path", str(tmp_path / "run" / "checkpoints" / "last.ckpt"))
    assert run("validate", "--ckpt_path", "last")[0] == 0
    expected = json.loads((tmp_path / "run" / "validate.json").read_text())["metrics"]
    gan = ("--model", "tests.helpers.toys.ToyGAN", "--model.init_args.metrics", "[psnr, l1]")
    assert run("validate", *gan, *checkpoint)[0] == 0
    assert json.loads((tmp_path / "run" / "validate.json").read_text())["metrics"] == expected
    # and the other way round
    other = ("--out", str(tmp_path / "gan"))
    assert run("fit", *gan, *other, "--trainer.max_steps", "2", "--trainer.limit_val_batches", "0")[0] == 0
    assert run("validate", "--ckpt_path", str(tmp_path / "gan" / "checkpoints" / "last.ckpt"))[0] == 0


def test_without_a_best_checkpoint_the_newest_is_scored(run, tmp_path):
    code, out, _ = run("test", "--data", "tests.helpers.cli_run.Held", "--ckpt_path", "random")
    assert code == 0
    assert "weights: random, as requested by --ckpt_path" in out
    (tmp_path / "run" / "test.json").unlink()  # a folder with results takes no training
    assert run("fit", "--checkpoints.monitor", "null")[0] == 0
    _, out, _ = run("test", "--data", "tests.helpers.cli_run.Held")
    assert "step_00000006.ckpt" in out
    scored = json.loads((tmp_path / "run" / "test.json").read_text())["metrics"]
    last_row = (tmp_path / "run" / "metrics.csv").read_text().splitlines()[-1].split(",")
    assert scored["test/psnr"] == pytest.approx(float(last_row[-2]), abs=1e-9)


def test_a_checkpoint_is_scored_with_the_options_that_it_states(run, tmp_path):
    plain = '--model.init_args.network_options={"plain": true}'
    assert run("fit", plain, "--trainer.max_steps=2")[0] == 0
    scores = tmp_path / "run" / "validate.json"
    assert run("validate", plain)[0] == 0
    written = scores.read_bytes()
    assert run("validate")[0] == 0  # the configuration states no option
    assert scores.read_bytes() == written
    assert run("validate", '--model.init_args.network_options={"width": 8}')[0] == 0
    assert scores.read_bytes() == written
    assert run("test", "--data.class_path=tests.helpers.cli_run.Held", "--ckpt_path=last")[0] == 0
    code, _, err = run("validate", '--model.init_args.network_options={"plain": false}')
    assert code == 2
    assert "does not fit 'painter': it was saved with plain=True, but plain=False is asked for" in err
    code, _, err = run("fit", "--ckpt_path=last", "--trainer.max_steps=4")
    assert code == 2
    assert "option plain=True, but the network to load it into has the default plain=False" in err


def test_without_a_monitor_an_older_best_checkpoint_is_left_alone(run):
    assert run("fit")[0] == 0
    assert "best.ckpt" in run("validate")[1]
    assert "step_00000006.ckpt" in run("validate", "--checkpoints.monitor", "null")[1]
    assert "best.ckpt" in run("validate", "--checkpoints.monitor", "null", "--ckpt_path", "best")[1]  # asked for


def test_a_folder_with_a_run_is_not_overwritten(run, tmp_path):
    run("fit", "--trainer.max_steps", "3", "--trainer.limit_val_batches", "0")
    before = (tmp_path / "run" / "metrics.csv").read_bytes()
    code, _, err = run("fit")
    assert code == 2
    assert "already contains a run (step_00000003.ckpt). Resume it with --ckpt_path last" in err
    assert (tmp_path / "run" / "metrics.csv").read_bytes() == before


def test_configurations_stack_from_left_to_right(run, tmp_path):
    more = tmp_path / "more.yaml"
    more.write_text("trainer: {max_steps: 2, limit_val_batches: 0}\nmodel: {init_args: {lr: 0.5}}\n")
    code, _, _ = run("fit", "--config", str(more), "--trainer.log_every_n_steps=1")
    assert code == 0
    written = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert written["trainer"]["max_steps"] == 2
    assert written["trainer"]["log_every_n_steps"] == 1
    assert written["model"]["init_args"]["lr"] == 0.5
    assert written["checkpoints"]["every"] == 3


def test_a_printed_configuration_runs(config, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["fit", "--config", config, "--out", str(tmp_path / "run"), "--trainer.max_steps", "2", "--print_config"])
    assert ended.value.code == 0
    printed = tmp_path / "printed.yaml"
    printed.write_text(capsys.readouterr().out)
    assert main(["fit", "--config", str(printed), "--trainer.limit_val_batches", "0"]) == 0
    assert (tmp_path / "run" / "checkpoints" / "step_00000002.ckpt").is_file()


def default_configuration(capsys, *words):
    """Return what ``fit --print_config`` prints."""
    with pytest.raises(SystemExit) as ended:
        main(["fit", *words, "--print_config"])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("kind", TRAINING_CLASSES, ids=lambda kind: kind.__name__)
def test_default_optimizers_and_schedules_are_printed_in_a_form_that_is_read_again(kind, tmp_path, capsys):
    given = inspect.signature(kind).parameters
    first = default_configuration(capsys, "--model", f"{kind.__module__}.{kind.__name__}", "--model.network", "lgnet")
    arguments = yaml.safe_load(first)["model"]["init_args"]
    for name in [name for name in arguments if name.endswith(("optimizer", "scheduler"))]:
        # the defaults of some classes are those of the base class
        default = built_by(given[name].default) if name in given else None
        stated = arguments[name]
        if default is None:
            assert stated is None or stated["class_path"].startswith("torch.optim.")
        else:
            assert stated["class_path"].rpartition(".")[2] == default[0].__name__
            asked = {key: list(value) if isinstance(value, tuple) else value for key, value in default[1].items()}
            assert stated["init_args"] == asked
    (tmp_path / "printed.yaml").write_text(first)
    again = default_configuration(capsys, "--config", str(tmp_path / "printed.yaml"))
    assert yaml.safe_load(again) == yaml.safe_load(first)


def test_a_run_with_default_optimizers_resumes_from_its_own_configuration(tmp_path, capsys):
    stated = {
        "model": {
            "class_path": "inpaint_zoo.models.GLaMa",
            "init_args": {"network": "glama_tiny", "perceptual": 0, "discriminator_width": 4},
        },
        "data": {
            "class_path": "inpaint_zoo.data.InpaintingDataModule",
            "init_args": {
                "train": {"name": "sample", "split": "train", "size": 32},
                "val": None,
                "masks": {"name": "center", "size": 16},
                "batch_size": 1,
                "workers": 0,
            },
        },
        "trainer": {"accelerator": "cpu", "max_steps": 1, "log_every_n_steps": 1},
    }
    (tmp_path / "stated.yaml").write_text(yaml.safe_dump(stated))
    run = tmp_path / "run"
    assert main(["fit", "--config", str(tmp_path / "stated.yaml"), "--out", str(run)]) == 0
    stored = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert stored["config"]["model.generator_optimizer.lr"] == 1e-3
    assert stored["arguments_not_stored"] == []
    words = ["fit", "--config", str(run / "config.yaml"), "--ckpt_path", "last", "--trainer.max_steps", "2"]
    assert main(words) == 0
    capsys.readouterr()
    # a schedule that the checkpoint does not have is a change, too
    schedule = "{class_path: torch.optim.lr_scheduler.StepLR, init_args: {step_size: 1}}"
    assert main([*words, "--model.generator_scheduler", schedule]) == 2
    assert "model.generator_scheduler.class_path None -> 'torch.optim.lr_scheduler.StepLR'" in capsys.readouterr().err
    assert main([*words, "--model.generator_optimizer.lr", "1e-5"]) == 2
    assert "model.generator_optimizer.lr 0.001 -> 1e-05" in capsys.readouterr().err


def test_help(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["fit", "--help"])
    assert ended.value.code == 0
    assert "--ckpt_path" in capsys.readouterr().out


GLAMA = ("--model", "inpaint_zoo.models.GLaMa", "--model.network", "glama_tiny")
CALLBACK = ("--trainer.callbacks+=lightning.pytorch.callbacks.EarlyStopping", "--trainer.callbacks.monitor", "val/psnr")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ("--model.init_args.lrr", "1"),
            "Unknown argument of tests.helpers.toys.Reconstruction: 'lrr'. Did you mean 'lr'",
        ),
        (("--data.batch_sise", "1"), "Unknown argument of tests.helpers.toys.ImageData: 'batch_sise'. Did you mean"),
        (("--trainer.mx_steps", "1"), "unrecognized arguments: --trainer.mx_steps"),
        (("--model.init_args.network_options", "{widht: 3}"), "Did you mean 'width'?"),
        (("--ckpt_path", "nowhere.ckpt"), "No checkpoint nowhere.ckpt."),
        (("--checkpoints.monitor", "val/psn", "--trainer.num_sanity_val_steps", "1"), "Did you mean 'val/psnr'"),
        (
            (*CALLBACK, "--trainer.callbacks.monitor", "val/psn", "--trainer.num_sanity_val_steps", "1"),
            "Unknown metric that EarlyStopping monitors: 'val/psn'. Did you mean 'val/psnr'",
        ),
        (("--images.count", "-1"), "`count` of `images` must be at least 0, got -1."),
        (("--checkpoints.folder", __file__), "test_train.py is a file, but checkpoints.folder must be a folder."),
        (("--out", f"{__file__}/run"), "test_train.py is a file, but --out must be a folder."),
        (("--checkpoints.every", "0"), "`every` must be at least 1, got 0."),
        (("--data.batch_size", "many"), "data.batch_size must be int, got many."),
        (("--checkpoints.mode", "up"), "checkpoints.mode must be one of 'max', 'min', got up."),
        (("--trainer.limit_val_batches", "few"), "trainer.limit_val_batches must be float or int or null, got few."),
        (("--model.init_args.network_options", "3"), "model.network_options must be dict or null, got 3."),
        (("--model", "tests.helpers.toys.Nothing"), "model: module 'tests.helpers.toys' has no attribute 'Nothing'."),
        (("--trainer.logger", "nowhere.Logger"), "trainer.logger: No module named 'nowhere'."),
        ((*CALLBACK, "--trainer.callbacks.patience", "x"), "trainer.callbacks.patience must be int, got x."),
        (
            (*CALLBACK, "--trainer.callbacks.patienc", "3"),
            "Unknown argument of lightning.pytorch.callbacks.EarlyStopping: 'patienc'. Did you mean 'patience'?",
        ),
        ((*GLAMA, "--model.generator_optimizer", "torch.optim.Adamm"), "'torch.optim' has no attribute 'Adamm'."),
        ((*GLAMA, "--model.generator_optimizer.lr", "x"), "generator_optimizer has no class that takes 'lr'. State"),
        (
            (*GLAMA, "--model.generator_optimizer", "torch.optim.Adam", "--model.generator_optimizer.lr", "x"),
            "model.generator_optimizer.lr must be a class path or float, got x.",
        ),
        (
            (*GLAMA, "--model.generator_scheduler", "torch.optim.lr_scheduler.StepLR"),
            "model.generator_scheduler: the following arguments are required: step_size.",
        ),
    ],
)
def test_mistakes_are_named_in_one_line(args, message, run):
    code, _, err = run("fit", *args)
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1 or err.splitlines()[-1].startswith("error:")


def test_a_quiet_training_prints_its_result_only(config, tmp_path, capfd):
    """The configuration of the run does not depend on what is printed."""
    texts = {}
    for options in ([], ["-q"]):
        out = tmp_path / f"run{''.join(options)}"
        assert main([*options, "fit", "--config", config, "--out", str(out)]) == 0
        printed, errors = capfd.readouterr()
        texts[len(options)] = (out / "config.yaml").read_text().replace(str(out), "OUT")
        assert "Seed set" not in errors
        lines = printed.splitlines()
        assert any(line.startswith("step 2/6: ") for line in lines) == (not options)
        assert any("Trainable params" in line for line in lines) == (not options)
    assert lines[0].startswith("trained for 6 steps: ")
    assert errors == ""
    assert texts[0] == texts[1]


def test_a_logger_whose_package_is_missing_is_named_in_one_line(run, monkeypatch):
    monkeypatch.setattr(tensorboard, "_TENSORBOARD_AVAILABLE", False)
    monkeypatch.setattr(tensorboard, "_TENSORBOARDX_AVAILABLE", False)
    code, _, err = run("fit", "--config", str(REPOSITORY / "configs" / "logger" / "tensorboard.yaml"))
    assert code == 2
    assert "a package that is not installed (pip install 'inpaint-zoo[tensorboard]')" in err.splitlines()[-1]


def test_a_folder_with_broken_files(tmp_path, capfd):
    """Two of six images are damaged: they are reported, counted in metrics.csv (also after resuming), not validated."""
    for n in range(6):
        write_image(tmp_path / "images" / f"{n}.png", np.full((20, 20, 3), 40 * n, np.uint8))
    (tmp_path / "images" / "1.png").write_bytes(b"")
    (tmp_path / "images" / "4.png").write_bytes((tmp_path / "images" / "4.png").read_bytes()[:50])
    data = {
        "train": {"name": "mine", "root": str(tmp_path / "images"), "size": 16},
        "val": None,
        "masks": {"name": "center", "size": 8},
        "batch_size": 2,
        "workers": 0,
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(CONFIG | {"data": data}))
    for name, steps in (("whole", ["9"]), ("parted", ["5", "9"])):
        words = ["fit", "--config", str(path), "--out", str(tmp_path / name), "--trainer.log_every_n_steps", "1"]
        with warnings.catch_warnings(record=True) as told:
            warnings.filterwarnings("always", message=".*(could not be read|takes its place)")  # all else is an error
            for last in steps:
                assert main([*words, "--ckpt_path", "last", "--trainer.max_steps", last]) == 0
        texts = [str(entry.message) for entry in told]
        assert len(texts) == 3 * len(steps)  # each image once, and how many at the end
        assert sum("1.png: is empty (0 bytes) (another takes its place in training" in text for text in texts) == len(
            steps
        )
    whole = (tmp_path / "whole" / "metrics.csv").read_text()
    assert (tmp_path / "parted" / "metrics.csv").read_text() == whole
    rows = list(csv.DictReader(whole.splitlines()))
    assert [int(row["data/replaced"]) for row in rows][2::3] == [2, 4, 6]  # two in each epoch of three steps
    assert main(["validate", "--config", str(path), "--out", str(tmp_path / "whole")]) == 2
    assert capfd.readouterr().err.strip().endswith("error: The data have no `val` set.")


def test_commands_without_a_configuration_say_what_they_need(capsys):
    assert main(["fit"]) == 2
    assert "fit needs a configuration" in capsys.readouterr().err
    assert main(["test", "--dry-run"]) == 2
    assert "--dry-run is only valid for fit" in capsys.readouterr().err


def test_dry_run_writes_nothing(run, tmp_path):
    code, out, _ = run("fit", "--dry-run")
    assert code == 0
    assert not (tmp_path / "run").exists()
    texts = ("parameters, network", "696", "steps per epoch", "first loss, train", "memory, activations", "none")
    for text in (*texts, "checkpoints, at most", "4 x 0.000 GiB", "free disk space"):
        assert text in out


def test_a_disk_without_space_for_the_checkpoints_is_refused(tmp_path):
    Disk(tmp_path, 4, 0.5, 2.0).check()
    with pytest.raises(ZooError, match=r"up to 4 checkpoints of about 0\.5 GiB, but .* has 1\.9 GiB left"):
        Disk(tmp_path, 4, 0.5, 1.9).check()


def test_a_gpu_without_memory_for_a_step_is_refused():
    GPUMemory("cuda:0", 7.5, 7.5, 8.0).check()
    with pytest.raises(ZooError, match=r"needs about 7\.5 GiB of memory, but cuda:0 has 7\.4 of 8 GiB left"):
        GPUMemory("cuda:0", 7.5, 7.4, 8.0).check()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_dry_run_compares_its_estimate_with_the_gpu(run):
    code, out, err = run("fit", "--dry-run", "--trainer.accelerator=gpu")
    assert code == 0, err
    assert "memory of cuda:0" in out


def test_a_loss_that_breaks_ends_with_one_line(run, tmp_path):
    code, _, err = run(
        "fit", "--model", "tests.training.test_module.Breaks", "--model.metrics", "[psnr]", "--model.at", "4"
    )
    assert code == 1
    last = err.splitlines()[-1]
    assert last.startswith("error: The loss is not finite after step 4: train/fine = nan")
    assert last.endswith("step_00000003.ckpt.")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_a_mistake_that_a_loading_process_finds_is_one_line(workers, tmp_path, capfd):
    settings = {
        "model": {
            "class_path": "inpaint_zoo.models.Autoencoder",
            "init_args": {
                "network": "autoencoder_tiny",
                "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.001}},
            },
        },
        "data": {
            "class_path": "inpaint_zoo.data.InpaintingDataModule",
            "init_args": {
                "train": {"name": "sample", "split": "train", "size": 32},
                "val": None,
                "test": None,
                "masks": "lama_box",
                "batch_size": 1,
                "workers": workers,
            },
        },
        "trainer": CONFIG["trainer"],
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    assert main(["fit", "--config", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "run")]) == 2
    last = capfd.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("error: lama_box: no box of bbox_min_size 30 fits into size 32 x 32")
    assert "Traceback" not in last
