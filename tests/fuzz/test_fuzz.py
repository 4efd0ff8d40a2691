"""500 generated files (valid, unusual and damaged) in four commands: no crash; each file is processed or reported."""

import re

import pandas as pd
import pytest
import yaml

from inpaint_zoo.io.formats import OTHER_SUFFIXES
from inpaint_zoo.io.names import plain_name
from tests.helpers.fuzz_files import write_files
from tests.helpers.programs import Program
from tests.helpers.suites import write_images

FILES, SEED = 500, 2026
FAULT = re.compile(r"Traceback \(most recent call last\)|this is a fault of inpaint-zoo")
LEFT_OUT = re.compile(r"files of formats that are not read left out \((\d+)\)")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def kinds(place):
    """Return the expected outcome of each listed file, by its path in ``images``."""
    kinds = write_files(place / "images", FILES, SEED)
    return {name: kind for name, kind in kinds.items() if name[name.rindex(".") :] not in OTHER_SUFFIXES}


@pytest.fixture(scope="module")
def command(place):
    """Run one command in a separate process, because a decoder could crash the process."""

    def call(*words):
        program = Program(*words, cwd=place, COLUMNS="1000")
        code = program.wait(600)
        text = program.stdout + program.stderr
        assert not FAULT.search(text), text[-3000:]
        return code, text

    return call


def named_in(text, kinds):
    """Return the files that a text names, literally or as `plain_name`, except in the warning about unread formats."""
    rest = "\n".join(line for line in text.splitlines() if not LEFT_OUT.search(line))
    return {name for name in kinds if name in rest or plain_name(name) in rest}


@pytest.fixture(scope="module")
def unreadable(command, kinds):
    """Return the files that `data check` reports as unreadable."""
    code, text = command("data", "check", "--root", "images")
    assert code == 1
    named = named_in(text, kinds)
    assert {name for name, kind in kinds.items() if kind == "broken"} <= named
    assert not {name for name, kind in kinds.items() if kind == "valid"} & named
    assert f"{len(kinds) - len(named)} of {len(kinds)} " in text
    assert int(LEFT_OUT.search(text).group(1)) == FILES - len(kinds)
    return named


def test_inpaint_fills_what_can_be_read_and_names_the_rest(command, kinds, unreadable, place):
    words = ("inpaint", "images", "--mask", "random_block", "--model", "mean_fill", "--device", "cpu", "--out", "out")
    code, text = command(*words)
    assert code == 1
    written = {path.relative_to(place / "out").with_suffix("").as_posix() for path in (place / "out").rglob("*.*")}
    done = {name for name in kinds if name[: name.rindex(".")] in written}
    table = text[text.index("not inpainted") :]
    failed = named_in(table, kinds)
    assert done | failed == set(kinds)
    assert not done & failed
    assert unreadable <= failed
    without_mask = failed - unreadable  # too narrow for a block with known pixels beside it
    lines = [line for line in table.splitlines() if named_in(line, without_mask)]
    assert len(lines) == len(without_mask)
    assert all(re.search(r"random_block at size (1 x \d+|\d+ x 1): no mask", line) for line in lines)
    assert f"{len(done)} inpainted, {len(failed)} failed" in text


def test_benchmark_scores_what_can_be_read_and_names_the_rest(command, kinds, unreadable, place):
    suite = {
        "name": "fuzz",
        "seed": 1,
        "methods": ["mean_fill", "telea"],
        "datasets": [{"name": "odd", "root": "images", "size": 32}],
        "masks": ["random_block"],
        "metrics": ["psnr"],
    }
    (place / "suite.yaml").write_text(yaml.safe_dump(suite))
    words = ("benchmark", "suite.yaml", "--out", "scores", "--workers", "1")
    code, text = command(*words)
    assert code == 2
    assert named_in(text, kinds) == unreadable
    assert f"{len(unreadable)} of the suite's" in text
    assert "--allow-missing" in text
    code, text = command(*words, "--allow-missing")
    assert code == 0
    assert named_in(text, kinds) == unreadable
    values = pd.read_parquet(place / "scores" / "results.parquet")
    expected = {plain_name(name[: name.rindex(".")]) for name in set(kinds) - unreadable}
    for _, of_one in values.groupby("method"):
        assert set(of_one["image"]) == expected


def test_fit_trains_on_what_can_be_read_and_counts_the_rest(command, kinds, unreadable, place):
    readable = {"name": "held out", "root": "good", "size": 32}
    write_images(place / "good", count=4)
    config = {
        "model": {
            "class_path": "inpaint_zoo.models.Autoencoder",
            "init_args": {
                "network": "autoencoder_tiny",
                "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 1.0e-3}},
                "metrics": ["psnr"],
            },
        },
        "data": {
            "class_path": "inpaint_zoo.data.InpaintingDataModule",
            "init_args": {
                "train": {"name": "odd", "root": "images", "size": 32},
                "val": readable,
                "test": readable,
                "masks": "random_block",
                "eval_masks": "random_block",
                "batch_size": 32,
                "workers": 0,
            },
        },
        "trainer": {"accelerator": "cpu", "max_epochs": 1, "log_every_n_steps": 1, "enable_progress_bar": False},
        "checkpoints": {"monitor": None},  # the same images validate and test
    }
    (place / "fit.yaml").write_text(yaml.safe_dump(config))
    code, text = command("fit", "--config", "fit.yaml", "--out", "run")
    assert code == 0, text[-3000:]
    steps = len(kinds) // 32
    assert f"trained for {steps} steps" in text
    table = pd.read_csv(place / "run" / "metrics.csv")
    assert table["data/replaced"].max() > 0
    assert named_in(text, kinds) <= unreadable
