"""A run that an earlier version wrote (commit 305c3ee, in earlier_run) can be resumed, evaluated and used.

`continued.csv` is the log of that version after two further steps.
"""

import csv
import shutil
from pathlib import Path

import pytest

import inpaint_zoo as iz
from inpaint_zoo.cli.main import main
from inpaint_zoo.models import ContextualAttention

RUN = Path(__file__).parent / "earlier_run"
CHECKPOINT = RUN / "checkpoints" / "step_00000002.ckpt"
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),
    pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning"),
]


def rows(path):
    with path.open(newline="") as file:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]


def test_it_is_resumed_to_the_same_values(tmp_path):
    run = tmp_path / "run"
    shutil.copytree(RUN, run, ignore=shutil.ignore_patterns("continued.csv"))
    words = ["fit", "--config", str(run / "config.yaml"), "--out", str(run), "--ckpt_path", "last"]
    assert main([*words, "--trainer.max_steps", "4"]) == 0
    ours, theirs = rows(run / "metrics.csv"), rows(RUN / "continued.csv")
    assert len(ours) == len(theirs) == 5
    for row, expected in zip(ours, theirs, strict=True):
        if "generator/grad_norm" in row and row["step"] > 2:  # logged since a later version
            assert row.pop("balance/critics") == pytest.approx(row["critics/grad_norm"] / row["generator/grad_norm"])
        assert row == pytest.approx(expected, rel=1e-3)


def test_its_checkpoint_is_a_weight_file_and_a_module():
    net = iz.create_model("glcic", weights=CHECKPOINT)
    module = ContextualAttention.load_from_checkpoint(CHECKPOINT)
    assert module.step_batches == 2
    state = module.network.state_dict()
    assert state.keys() == net.state_dict().keys()
    assert all(value.equal(state[key]) for key, value in net.state_dict().items())
