"""Test that killed and resumed trainings of the families are bit-identical to uninterrupted ones."""

import pytest
import torch

from inpaint_zoo.cli.main import main
from inpaint_zoo.training.resume import list_checkpoints
from tests.helpers.programs import Program
from tests.helpers.runs import assert_same, load, wait_for_step
from tests.helpers.small_runs import REPOSITORY, TINY

# the families whose steps differ from the default recipe; tests/training/test_resume.py has all forms of a step
FAMILIES = {
    # several rounds in a step, EMA
    "grig": ["--model.init_args.augment=[color,translation]", "--model.init_args.network_options.steps=2"],
    "lgnet": [],  # a shared forward pass, several optimizers in a phase
}
STEPS = 3


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*")
@pytest.mark.filterwarnings("ignore::jsonargparse._deprecated.JsonargparseDeprecationWarning")
@pytest.mark.parametrize("family", FAMILIES)
def test_killed_and_resumed(family, tmp_path):
    """Only the run that is killed needs a process of its own; the others run in this one, which saves its start."""

    def words(out, *args):
        config = str(REPOSITORY / "configs" / family / "sample.yaml")
        more = [*FAMILIES[family], *args, f"--trainer.max_steps={STEPS}", "--checkpoints.every=1"]
        return ["fit", "--config", config, "--out", str(tmp_path / out), *TINY, *more]

    assert main(words("unbroken")) == 0
    process = Program(*words("killed"), joined=True, OMP_NUM_THREADS=str(torch.get_num_threads()))
    wait_for_step(process, tmp_path / "killed", 2)  # so that there is a checkpoint of the first step
    process.kill()
    assert main(words("killed", "--ckpt_path", "last")) == 0
    ours, theirs = (list_checkpoints(tmp_path / name / "checkpoints")[0] for name in ("killed", "unbroken"))
    assert ours.name == theirs.name == f"step_{STEPS:08d}.ckpt"
    assert_same(load(ours), load(theirs))
    assert (tmp_path / "killed" / "metrics.csv").read_bytes() == (tmp_path / "unbroken" / "metrics.csv").read_bytes()
