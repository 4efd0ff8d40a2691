"""Test that a killed and resumed training of each family is bit-identical to an uninterrupted one."""

import os
import signal
import subprocess
import sys
import time

import pytest

from inpaint_zoo.training.resume import list_checkpoints
from tests.models.test_glama_training import TINY
from tests.training.test_kill import REPOSITORY, assert_same, finish, load, wait_for_step

CRITICS = [  # of pictures of 64 px, two batches a step
    "--model.init_args.size=64",
    "--model.init_args.window=32",
    "--model.init_args.num_critics=2",
    '--data.init_args.masks={"name": "ca_box", "mask_shape": [32, 32], "max_delta": [8, 8]}',
    '--data.init_args.eval_masks={"name": "center", "size": 32}',
]
OF_FAMILY = {
    "contextual_attention": CRITICS,
    "glcic": CRITICS,
    "grig": ["--model.init_args.augment=[color,translation]"],
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "family", ["aot_gan", "contextual_attention", "gated_conv", "glama", "glcic", "grig", "isnet", "lgnet"]
)
def test_killed_and_resumed(family, tmp_path):
    def start(out, *args):
        words = [
            "fit",
            "--config",
            str(REPOSITORY / "configs" / family / "sample.yaml"),
            "--out",
            str(tmp_path / out),
            *TINY,
            *OF_FAMILY.get(family, []),
            *args,
        ]
        words += ["--trainer.max_steps=12", "--checkpoints.every=2"]
        return subprocess.Popen(
            [sys.executable, "-m", "inpaint_zoo.cli.main", *words],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    finish(start("unbroken"))
    process = start("killed")
    wait_for_step(process, tmp_path / "killed", 5)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    time.sleep(0.1)
    finish(start("killed", "--ckpt_path", "last"))
    ours, theirs = (list_checkpoints(tmp_path / name / "checkpoints")[0] for name in ("killed", "unbroken"))
    assert ours.name == theirs.name == "step_00000012.ckpt"
    assert_same(load(ours), load(theirs))
    assert (tmp_path / "killed" / "metrics.csv").read_bytes() == (tmp_path / "unbroken" / "metrics.csv").read_bytes()
