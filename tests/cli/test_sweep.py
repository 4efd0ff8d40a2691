"""`inpaint-zoo sweep`: the runs that suites need, checks before they start, and real trainings by submitit."""

import json
import os
import signal
import stat
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

import inpaint_zoo as iz
from inpaint_zoo.benchmark import Places, load_suite
from inpaint_zoo.cli.main import main
from inpaint_zoo.cli.sweep_check import Checked
from inpaint_zoo.cli.sweep_jobs import run_jobs, slurm_submitter
from inpaint_zoo.cli.sweep_plan import plan_runs
from inpaint_zoo.cli.training_job import TrainingJob
from inpaint_zoo.training.checkpoint_files import read_checkpoint
from inpaint_zoo.training.resume import is_finished
from inpaint_zoo.weights import load_weights, read_header, weights_origin
from tests.conftest import REPOSITORY
from tests.helpers.toy import registered_toy
from tests.helpers.toys import SignalsItself

CONFIGS, BENCHMARKS = REPOSITORY / "configs", REPOSITORY / "benchmarks"
SAMPLE = CONFIGS / "autoencoder" / "sample.yaml"
NUMBERS = {  # of runs; each is a row that is trained on a data set
    "glama/table_1.yaml": 12,
    "glama/table_2.yaml": 12,
    "glama/table_3.yaml": 3,
    "glama/table_4.yaml": 3,
    "glama/table_5.yaml": 4,
    "glcic_ca/table_2.yaml": 6,
    "grig/fig_23.yaml": 10,
    "grig/table_3.yaml": 80,
    "grig/table_5.yaml": 36,
    "grig/table_6.yaml": 20,
    "isnet/table_1.yaml": 10,
    "isnet/table_2.yaml": 7,
    "isnet/table_5.yaml": 3,
    "isnet/table_6.yaml": 2,
    "isnet/table_7.yaml": 4,
    "isnet/table_8.yaml": 4,
    "lgnet/table_1.yaml": 2,
    "lgnet/table_2.yaml": 2,
    "lgnet/table_3.yaml": 2,
    "lgnet/table_5.yaml": 3,
    "lgnet/table_6.yaml": 18,
    "lgnet/table_7.yaml": 5,
    "lgnet/table_8.yaml": 6,
}
pytestmark = [
    pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    for variable in ("INPAINT_ZOO_DATA", "INPAINT_ZOO_WEIGHTS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


# The shipped suites


def planned(file, **given):
    return plan_runs(load_suite(BENCHMARKS / file), Path("out"), Path("out/weights"), {}, given)


def test_every_suite_that_trains_is_counted():
    found = {
        path.relative_to(BENCHMARKS).as_posix() for path in BENCHMARKS.glob("*/*.yaml") if " train:" in path.read_text()
    }
    assert found == set(NUMBERS)


@pytest.fixture(scope="module")
def shipped():
    """Return the runs of all shipped suites."""
    return {file: planned(file) for file in NUMBERS}


def test_a_suite_needs_as_many_runs_as_its_table_has_trained_rows(shipped):
    assert {file: len(runs) for file, runs in shipped.items()} == NUMBERS


def test_suites_that_share_a_weight_file_train_it_alike(shipped):
    first = {}
    for run in (run for runs in shipped.values() for run in runs):
        assert first.setdefault(run.target, run).trains_like(run), run.name


def test_runs_train_on_the_training_images_of_their_dataset(shipped):
    for run in (run for runs in shipped.values() for run in runs):
        assert run.splits["train"]["split"] == "train"
        assert {spec["name"] for spec in run.splits.values() if spec} == {run.data}
        assert all(path.is_file() for path in run.configs)
    elsewhere = {run.name: run.data for run in shipped["glcic_ca/table_2.yaml"] if run.data != "animals90"}
    assert elsewhere == {"animals90/contextual_attention_imagenet_hole": "imagenet"}


def test_the_recipe_follows_from_row_and_dataset(shipped):
    runs = {run.name: run for run in shipped["grig/table_5.yaml"]}
    small, large = (runs[f"{name}/grig_ablation_c"].final_settings for name in ("chase", "celeba_hq_grig"))
    for settings, steps, augment in ((small, 400_000, ["color", "translation"]), (large, 1_000_000, [])):
        arguments = settings["model"]["init_args"]
        assert (arguments["patch_labels"], arguments["augment"]) == ("all", augment)
        assert settings["trainer"]["max_steps"] == steps
    steps = {run.name: run.recipe["model.network_options"]["steps"] for run in shipped["grig/table_6.yaml"]}
    assert steps["dog/grig_steps_1"] == 1
    assert steps["dog/grig_steps_9"] == 9
    assert not runs["chase/grig"].selects  # its validation images are the test images
    assert runs["celeba_hq_grig/grig"].selects
    few = next(run for run in shipped["grig/table_3.yaml"] if run.name == "dog/aot_gan_30_shot")
    assert few.splits["train"] == {"name": "dog", "split": "train", "select": {"few_shot": 30}}
    assert few.final_settings["data"]["init_args"]["batch_size"] == 8
    crops = {run.data: run.final_settings["data"]["init_args"]["augment"] for run in shipped["glama/table_5.yaml"]}
    assert crops == {name: ["random_crop"] for name in ("places2_glama", "imagenet_glama", "wikiart")} | {
        "ffhq_glama": ["center_crop"]
    }


def test_a_curve_scores_the_checkpoints_of_the_runs_of_its_sweep(tmp_path):
    run = next(run for run in planned("grig/fig_23.yaml") if run.name == "dog/grig_steps_5")
    assert run.target == Path.cwd() / "out" / "weights" / "dog" / "grig_steps_5.safetensors"
    assert run.changes == {"checkpoints.every": 20000, "checkpoints.keep": 20}
    for step in (20000, 40000):
        file = run.folder / "checkpoints" / f"step_{step}.ckpt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    suite = load_suite(BENCHMARKS / "grig" / "fig_23.yaml", Places(weights_root=tmp_path / "out"))
    found = [entry for entry in suite.methods if entry.family.label == "T = 5"]
    assert [entry.family.number for entry in found] == [20000, 40000]
    assert [entry.by_step["dog"] for entry in found] == sorted((run.folder / "checkpoints").iterdir())
    again = plan_runs(suite, Path("out"), Path("out/weights"), {}, {})
    assert [(each.name, each.labels) for each in again if each.name == run.name] == [(run.name, ("T = 5",))]


def test_draws_are_trained_with_different_seeds(tmp_path):
    config = BENCHMARKS.parent / "configs" / "grig" / "base.yaml"
    method = {"model": "grig", "weights": "{dataset}/grig_{draw}.safetensors", "draws": 3, "train": str(config)}
    suite = load_suite(write_suite(tmp_path, [method]))
    runs = plan_runs(suite, Path("out"), Path("out/weights"), {}, {})
    assert {run.name: run.changes["seed_everything"] for run in runs} == {f"sample/grig_{k}": k for k in (1, 2, 3)}
    assert "--seed_everything=2" in runs[1].words()


def test_each_draw_of_isnet_has_the_weights_that_its_row_prints(shipped):
    suite = load_suite(BENCHMARKS / "isnet" / "table_1.yaml")
    names = {"l1": "l1", "adv": "adversarial", "style": "style", "perc": "perceptual", "fm": "feature_matching"}
    assert len(suite.paper.rows) == 10
    trained = {run.labels[0]: run.final_settings["model"]["init_args"] for run in shipped["isnet/table_1.yaml"]}
    for row, (label,) in suite.paper.rows.items():
        printed = dict(part.split("=") for part in row.setting.removeprefix("loss search; ").split(","))
        assert {name: float(printed[short]) for short, name in names.items()} == {
            name: trained[label][name] for name in names.values()
        }


def test_methods_that_share_a_weight_file_share_a_run(shipped):
    (run,) = (run for run in shipped["isnet/table_5.yaml"] if run.name == "places2_isnet/isnet")
    assert run.labels == ("ISNet, Eq. 5", "ISNet, Eq. 5, PRA")


# Small suites


def small_recipe(folder, **trainer):
    """Write a training of `autoencoder_tiny` on the sample images that takes seconds."""
    content = yaml.safe_load(SAMPLE.read_text())
    masks = {"name": "center", "size": 32}
    content["data"]["init_args"] |= {"masks": masks, "eval_masks": masks, "workers": 0, "augment": ["hflip"]}
    content["data"]["init_args"] |= {"train": {"name": "sample", "size": 64}, "batch_size": 2, "epoch_samples": 4}
    content["trainer"] |= {"max_steps": 4, "log_every_n_steps": 1, "num_sanity_val_steps": 0, **trainer}
    content["checkpoints"] = {"every": 1, "monitor": None}
    folder.mkdir(exist_ok=True)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def tiny(label, **train):
    file = f"{{dataset}}/{label.lower()}.safetensors"
    return {"model": "autoencoder_tiny", "weights": file, "label": label, "train": train or "recipe.yaml"}


def write_suite(folder, methods, **dataset):
    datasets = [{"name": "sample", "split": "test", "size": 64, **dataset}]
    content = {"name": "small", "seed": 1, "methods": methods, "datasets": datasets}
    folder.mkdir(exist_ok=True)
    path = folder / "suite.yaml"
    path.write_text(yaml.safe_dump(content | {"masks": [{"name": "center", "size": 32}], "metrics": ["psnr"]}))
    return path


def sweep(suite, *words):
    return main(["sweep", str(suite), "--out", "out", *words])


@pytest.mark.slow
def test_trainings_that_fail_stop_and_are_resumed(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]))
    preempted = {"number": int(signal.SIGUSR2), "step": 1}  # as by submitit before the end of a job's time
    small_recipe(
        tmp_path / "suite",
        callbacks=[{"class_path": f"{SignalsItself.__module__}.SignalsItself", "init_args": preempted}],
    )
    rate = {"model.optimizer.lr": 1.0e30, "trainer.callbacks": []}
    methods = [tiny("One", config="recipe.yaml", few_shot=2), tiny("Bad", config="recipe.yaml", set=rate)]
    suite = write_suite(tmp_path / "suite", methods)
    reduced, only = ("--set", "trainer.max_steps=2"), ("--only", "method=One")
    assert sweep(suite, "--submit", "local", "--jobs", "2", *reduced) == 1
    shown = capsys.readouterr()
    assert "runs: 1 trained, 0 done before, 1 failed" in shown.out
    assert "loss" in shown.err.split("failed: sample/bad\n")[1]  # the end of its log
    logs = "".join(path.read_text() for path in Path("out/sample/one/jobs").glob("*_log.*"))
    assert "Requeued job" in logs
    assert "resuming from" in logs

    target = Path("out/weights/sample/one.safetensors")
    stated = read_header(target).training
    assert {
        key: stated[key] for key in ("steps", "steps_done", "steps_planned", "steps_of_recipe", "images", "changed")
    } == {
        "steps": 2,
        "steps_done": 2,
        "steps_planned": 2,
        "steps_of_recipe": 4,
        "images": 2,
        "changed": {},
    }
    assert stated["train"] == {"name": "sample", "split": "train", "select": {"few_shot": 2}, "size": 64}

    # what a run that was killed after its first step leaves
    good = load_weights(target)
    target.unlink()
    Path("out/sample/one/checkpoints/step_00000002.ckpt").unlink()
    assert sweep(suite, "--dry-run", *only, *reduced) == 0
    lines = [
        "sample/one resumable at step 1",
        "  One; suite/recipe.yaml; sample: 2 images (2-shot); 2 steps of 4; to out/",
    ]
    assert "\n".join(lines) in capsys.readouterr().out
    with monkeypatch.context() as patch:  # in this process, because a new one would take seconds for its imports
        patch.setattr("inpaint_zoo.cli.sweep_jobs.local_submitter", lambda *_: lambda job, *_: Ended(job()))
        assert sweep(suite, "--submit", "local", *only, *reduced) == 0
    assert "runs: 1 trained, 0 done before" in capsys.readouterr().out
    found = load_weights(target)
    assert (found.sha256, found.training) == (good.sha256, good.training)
    assert sweep(suite, "--submit", "local", *only, *reduced) == 0
    assert "runs: 0 trained, 1 done before" in capsys.readouterr().out

    words = ["--out", "scores", "--weights-root", "out/weights", "--device", "cpu", "--workers", "1"]
    assert main(["benchmark", str(suite), *words]) == 3
    assert "cells: 1 computed, 0 done before, 1 missing" in capsys.readouterr().out

    # the whole training continues the reduced one; another recipe does not replace it
    assert sweep(suite, "--dry-run", *only) == 0
    assert "sample/one resumable at step 2" in capsys.readouterr().out
    assert sweep(suite, "--dry-run", *only, "--set", "trainer.max_steps=1") == 2
    assert "was trained for 2 steps, more than the 1 that are asked for" in capsys.readouterr().err
    assert sweep(suite, "--dry-run", *only, "--set", "model.optimizer.lr=0.1") == 2
    assert "has weights of another training than suite/recipe.yaml on 'sample'" in capsys.readouterr().err
    target.unlink()
    assert sweep(suite, "--dry-run", *only, "--set", "model.optimizer.lr=0.1") == 2
    assert "has another training than suite/recipe.yaml on 'sample', which it would replace" in capsys.readouterr().err


class Ended:
    """A job that has ended with an exit code."""

    def __init__(self, code):
        self.code = code

    def done(self):
        return True

    def results(self):
        return [self.code]

    def stdout(self):
        return "one\ntwo\n"

    def stderr(self):
        return None


@pytest.mark.parametrize("code", [0, 1])
def test_a_run_waits_for_the_one_that_it_starts_from(code, shipped, tmp_path, monkeypatch):
    monkeypatch.setattr("inpaint_zoo.cli.sweep_jobs.POLL_SECONDS", 0.0)
    first, second, other = (
        "animals90/contextual_attention_imagenet_hole",
        "animals90/contextual_attention_animals_finetuned",
        "animals90/glcic",
    )
    runs = {run.name: replace(run, out=tmp_path) for run in shipped["glcic_ca/table_2.yaml"]}
    checked = [
        Checked(runs[name], 9, "0", 9, 9, "new", waits=waits)
        for name, waits in ((second, (first,)), (other, ()), (first, ()))
    ]
    begun, jobs = [], {}

    def submit(job, name, slot):
        begun.append(name)
        jobs[name] = job
        return Ended(code if name == first else 0)

    results = run_jobs(checked, submit, 1, [].append)
    if code:
        assert begun == [other, first]
        assert results[second].log == f"not started, because '{first}' failed"
        assert results[first] == (1, "one\ntwo")
    else:
        assert begun == [other, first, second]
        assert all(result.code == 0 for result in results.values())
        assert jobs[second].start == dict.fromkeys(("init_weights", "init_critics"), tmp_path / first / "checkpoints")
        assert jobs[second].limits == (14_000, None)
        assert jobs[second].selects


def test_what_is_missing_is_named(tmp_path, capsys):
    recipe = small_recipe(tmp_path / "suite")
    methods = [tiny("One"), tiny("Two", config="recipe.yaml", start={"init_weights": "One"})]
    suite = write_suite(tmp_path / "suite", methods, name="shell")
    root = ("--weights-root", "weights")
    assert sweep(suite, "--dry-run", *root) == 3
    shown = capsys.readouterr()
    assert "2 runs: 2 missing something" in shown.out
    assert "missing: dataset 'shell' (2 runs): give --data shell=DIR, or put it into the folder shell" in shown.err
    for split, count in (("train", 12), ("test", 3)):
        (tmp_path / "shells" / split).mkdir(parents=True)
        for number in range(count):
            (tmp_path / "shells" / split / f"{number}.jpg").touch()
    assert sweep(suite, "--dry-run", "--data", "shell=shells", *root) == 0
    shown = capsys.readouterr().out
    assert "shell/one not started" in shown
    assert "shell: 12 images (12 of 48 images in train); 4 steps" in shown
    assert "shell/two not started; waits for shell/one" in shown
    assert f"inpaint-zoo fit --config {recipe.relative_to(tmp_path)} " in shown
    assert "'--model.init_args.init_weights=<the newest checkpoint of shell/one>'" in shown
    assert "--data.init_args.root=" in shown
    assert not Path("out").exists()
    assert not Path("weights").exists()
    assert sweep(suite, "--dry-run", "--data", "shell=shells", "--only", "method=Two", *root) == 3
    assert "missing: checkpoints of 'shell/one' (1 run): train it first" in capsys.readouterr().err
    # weights from elsewhere are not replaced
    net = iz.create_model("autoencoder_tiny")
    iz.save_weights(net, "weights/shell/one.safetensors", training={"converted_from": ["theirs.pth"]})
    assert sweep(suite, "--dry-run", "--data", "shell=shells", "--only", "method=One", *root) == 0
    assert "shell/one kept: converted from theirs.pth" in capsys.readouterr().out


def test_backbones_of_the_losses_are_checked(tmp_path, capsys):
    config = CONFIGS / "partial_conv" / "sample.yaml"
    set_ = {"model.perceptual": 0.05}
    entry = {"model": "partial_conv_tiny", "weights": "a.safetensors", "train": {"config": str(config), "set": set_}}
    suite = write_suite(tmp_path / "suite", [entry, {"model": "grig", "weights": "b.safetensors", "train": GRIG}])
    assert sweep(suite, "--dry-run") == 3
    shown = capsys.readouterr().err
    assert "missing: backbone 'vgg16' (2 runs): put vgg16-397923af.pth from https://" in shown
    assert "missing: backbone 'tf_efficientnet_lite0' (1 run): put " in shown
    dropped = ("--set", "model.on_missing=drop", "--only", "method=partial_conv_tiny")
    assert sweep(suite, "--dry-run", *dropped) == 0


TINY = "autoencoder_tiny"
GRIG = str(CONFIGS / "grig" / "base.yaml")


@pytest.mark.parametrize(
    ("method", "dataset", "words", "message"),
    [
        ({"train": "none.yaml"}, {}, (), "none.yaml does not exist"),
        ({"train": {"config": "recipe.yaml", "shots": 5}}, {}, (), "Unknown key of `train`: 'shots'. Did you mean"),
        ({"train": "{data}.yaml"}, {}, (), "'train' may contain {dataset}, the name of the dataset, but not {data}"),
        ({"weights": "shipped"}, {}, (), "'train' needs the weight file to write, 'weights: NAME.safetensors'"),
        ({"train": {"config": "recipe.yaml", "data": "ffqh"}}, {}, (), "Unknown data set 'ffqh'. Did you mean 'ffhq'"),
        ({}, {"name": "kodak18"}, (), "the data set 'kodak18' has no training images"),
        ({}, {"name": "mine", "root": "."}, (), "only registered data sets have a training split"),
        (
            {"model": "grig_tiny"},
            {},
            (),
            "needs weights of 'grig_tiny', but suite/recipe.yaml trains 'autoencoder_tiny'",
        ),
        (
            {"model": "grig", "options": {"core": "convolution"}, "train": GRIG},
            {},
            (),
            "is used with core='convolution', but configs/grig/base.yaml trains with core='transformer'",
        ),
        (
            {"train": {"config": "recipe.yaml", "start": {"init_weights": "Al"}}},
            {},
            (),
            "with the key `train` is called 'Al'",
        ),
        ({}, {}, ("--only", "method=Z*"), "no method matches; available: A"),
        ({}, {}, ("--only", "mask=center"), "a training is selected by method= or dataset="),
        ({}, {}, ("--set", "data.init_args.train=x"), "--set data.init_args.train: the sweep sets it itself"),
        ({}, {}, ("--set", "trainer.max_step=2"), "option 'trainer.max_step': 'max_step'. Did you mean 'max_steps'"),
        ({}, {}, ("--set", "model.metrisc=[psnr]"), "sample/a (suite/recipe.yaml): Unknown argument"),
        ({}, {"split": "train"}, (), "sample/a would be trained on images that the suite tests: 5 of the 5"),
        ({}, {}, ("--jobs", "2"), "--slurm and --jobs apply only to --submit"),
    ],
)
def test_mistakes_stop_everything(method, dataset, words, message, tmp_path, capsys):
    small_recipe(tmp_path / "suite")
    entry = {"model": TINY, "weights": "{dataset}/a.safetensors", "label": "A", "train": "recipe.yaml", **method}
    if dataset.get("name") == "mine":
        dataset = {**dataset, "split": None}
    suite = write_suite(tmp_path / "suite", [entry], **dataset)
    assert sweep(suite, "--dry-run", *words) == 2
    assert message in capsys.readouterr().err


def test_the_processes_of_a_job_divide_its_batches(tmp_path, capsys):
    small_recipe(tmp_path / "suite")
    suite = write_suite(tmp_path / "suite", [tiny("A")])
    words = ("--submit", "slurm", "--slurm", "time=5", "--slurm", "tasks_per_node=3")
    assert sweep(suite, *words) == 2
    message = "sample/a, --slurm tasks_per_node and nodes: 3 processes cannot divide a batch of 2"
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_one_weight_file_has_one_training(tmp_path, capsys):
    small_recipe(tmp_path / "suite")
    other = {**tiny("Two", config="recipe.yaml", few_shot=2), "weights": "{dataset}/one.safetensors"}
    assert sweep(write_suite(tmp_path / "suite", [tiny("One"), other]), "--dry-run") == 2
    assert "'One' and 'Two' are trained in different ways" in capsys.readouterr().err
    assert sweep(write_suite(tmp_path / "suite", ["telea"]), "--dry-run") == 2
    assert "no method has the key `train`" in capsys.readouterr().err


def test_a_training_ends_by_steps_or_epochs(tmp_path):
    recipe = small_recipe(tmp_path / "suite", max_steps=-1, max_epochs=2)
    splits = ['--data.train={"name": "sample", "split": "train", "size": 64}', "--data.val=null", "--data.test=null"]
    assert main(["fit", "--config", str(recipe), *splits, "--out", "run", "--checkpoints.keep", "9"]) == 0
    first, *_, last = (read_checkpoint(path) for path in sorted(Path("run/checkpoints").glob("step_*.ckpt")))
    assert is_finished(last, None, 2)
    assert is_finished(last, 4, None)
    for checkpoint, limits in ((last, (-1, 3)), (last, (5, None)), (first, (4, 2))):
        assert not is_finished(checkpoint, *limits)


def test_a_reduced_training_says_so(tmp_path):
    stated = {"config": "configs/x.yaml", "train": {"name": "dog"}, "steps_of_recipe": 400_000, "changed": {}}
    with registered_toy():
        torch.manual_seed(0)
        net = iz.create_model("toy")
        for done, changed, kind, detail in (
            (200, {}, "reduced", "200 of 400,000 steps"),
            (200, {"model.l1": 2}, "reduced", "200 of 400,000 steps; changed: model.l1=2"),
            (400_000, {"model.l1": 2}, "reduced", "changed: model.l1=2"),
            (400_000, {}, "trained", "390,000 steps, configs/x.yaml"),
        ):
            training = {**stated, "steps": min(done, 390_000), "steps_planned": done, "changed": changed}
            path = iz.save_weights(net, tmp_path / "w.safetensors", training=training)
            assert weights_origin("toy", path) == (kind, detail)
        training = {**stated, "steps": 400_000, "other_images": "12 of 309 images in train"}
        path = iz.save_weights(net, tmp_path / "w.safetensors", training=training)
        assert weights_origin("toy", path) == ("reduced", "12 of 309 images in train")


def test_a_run_without_processes_is_refused(tmp_path, capsys):
    small_recipe(tmp_path / "suite")
    suite = write_suite(tmp_path / "suite", [tiny("One")])
    assert sweep(suite, "--submit", "slurm", "--slurm", "time=5", "--slurm", "tasks_per_node=0") == 2
    assert "tasks_per_node" in capsys.readouterr().err


def test_jobs_of_slurm_are_submitted_once(tmp_path, monkeypatch):
    """The programs of SLURM are stand-ins: `sbatch` keeps the script, and `sacct` says that the job waits."""
    programs = {
        "srun": "",
        "sbatch": f'cp "$1" {tmp_path}/script; echo "Submitted batch job 1"',
        "sacct": 'echo "JobID|State|NodeList"; echo "1|PENDING|"',
    }
    (tmp_path / "bin").mkdir()
    for name, text in programs.items():
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    options = {"partition": "gpu", "time": 600, "gpus_per_node": 1}
    submit = slurm_submitter({"dog/a": tmp_path / "run"}, options)
    folder = tmp_path / "run"
    job = TrainingJob((), {}, "toy", folder, folder, False, (1, None), folder / "w.safetensors", {})
    first = submit(job, "dog/a", 0)
    script = (tmp_path / "script").read_text()
    for line in ("--partition=gpu", "--time=600", "--gpus-per-node=1", "--job-name=dog-a", "--signal=USR2@90"):
        assert f"#SBATCH {line}" in script
    assert first.job_id == json.loads((folder / "jobs" / "slurm.json").read_text())["job"]
    (tmp_path / "script").unlink()
    assert submit(job, "dog/a", 0).job_id == first.job_id
    assert not (tmp_path / "script").exists()  # the job of the earlier call still waits
    with pytest.raises(iz.ZooError, match=r"Unknown option of --slurm: 'partion'. Did you mean 'partition'"):
        slurm_submitter({}, {"partion": "gpu"})


def test_a_job_is_submitted_again_as_it_is(tmp_path):
    job = TrainingJob(("--x",), {}, "toy", tmp_path, tmp_path, False, (1, None), tmp_path / "w.safetensors", {})
    assert job.checkpoint().function is job
