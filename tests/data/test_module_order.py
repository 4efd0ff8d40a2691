"""Batches do not depend on workers, processes and resuming; they differ between seeds and epochs."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from inpaint_zoo.data import InpaintingDataModule
from inpaint_zoo.data.sampling import Draw
from inpaint_zoo.masks import create_generator
from tests.helpers.data_program import BATCH, data_module, main
from tests.helpers.programs import Forked, rank_environments

ROOT = Path(__file__).parent.parent.parent


def taken(loader, count=None):
    found = []
    for batch in loader:
        found.append(batch)
        if len(found) == count:
            break
    return found


def assert_equal(ours, theirs):
    assert len(ours) == len(theirs) > 0
    for a, b in zip(ours, theirs, strict=True):
        assert a["name"] == b["name"]
        for key in ("image", "mask", "index"):
            assert torch.equal(a[key], b[key])


def test_two_workers_give_the_batches_of_none():
    assert_equal(taken(data_module(2, BATCH).train_dataloader()), taken(data_module(0, BATCH).train_dataloader()))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resume_amid_an_epoch_goes_on_with_the_next_batch(workers):
    whole = taken(data_module(workers, 2).train_dataloader())
    loader = data_module(workers, 2).train_dataloader()
    first = taken(loader, 2)
    state = loader.state_dict()
    assert state == {"epoch": 0, "batches": 2, "samples": 4}
    resumed = data_module(workers, 2).train_dataloader()
    resumed.load_state_dict(state)
    assert_equal([*first, *taken(resumed)], whole)


def test_a_sample_is_known_by_its_place_alone():
    samples = data_module(0, 1).train_samples()
    draws = [Draw(position, position % 5) for position in (7, 1, 10**12)]
    together = samples.__getitems__(draws)
    for draw, sample in zip(draws, together, strict=True):
        alone = data_module(0, 1).train_samples()[draw]
        assert torch.equal(alone["image"], sample["image"])
        assert torch.equal(alone["mask"], sample["mask"])
        assert sample["image"].dtype == sample["mask"].dtype == torch.uint8
    # another position changes crop, colors and mask; another seed changes everything
    again = samples[Draw(8, 2)]
    assert not torch.equal(again["image"], together[0]["image"])
    assert not torch.equal(again["mask"], together[0]["mask"])


def test_epochs_and_seeds_differ():
    data = data_module(0, BATCH)
    loader = data.train_dataloader()
    first = taken(loader)
    loader.stream.set_epoch(1)
    second = taken(loader)
    assert not any(torch.equal(a["mask"], b["mask"]) for a, b in zip(first, second, strict=True))
    other = data_module(0, BATCH)
    other.seed = 5
    assert not torch.equal(taken(other.train_dataloader(), 1)[0]["mask"], first[0]["mask"])


def test_evaluation_masks_follow_the_item():
    data = data_module(0, BATCH)
    batches = taken(data.val_dataloader())
    assert torch.cat([batch["index"] for batch in batches]).tolist() == list(range(len(data.images("val"))))
    masks = create_generator("cmod", seed=data.seed, stream="val", evaluation=True).batch([0, 1, 2], (32, 40))
    np.testing.assert_array_equal(batches[0]["mask"][:, 0].numpy(), masks)


def run(out, workers, ranks):
    """Run the program and return the lines of all processes, in the order of the stream."""
    environments = rank_environments(ranks) if ranks > 1 else [{}]
    programs = [Forked(main, str(out), workers, ranks, **environment) for environment in environments]
    for program in programs:
        assert program.wait() == 0, program.stderr
    seen = [json.loads(Path(f"{out}.{rank}").read_text()) for rank in range(ranks)]
    parts = [[line for line in lines if line[0] == "train"] for lines in seen]
    train = [line for together in zip(*parts, strict=True) for line in together]
    return train, {tuple(line) for lines in seen for line in lines if line[0] == "val" and line[2] >= 0}


@pytest.mark.slow
def test_two_processes_train_on_the_batches_of_one(tmp_path):
    train, val = run(tmp_path / "one", 0, 1)
    both_train, both_val = run(tmp_path / "two", 1, 2)
    assert len(train) == 2 * 12
    assert both_train == train
    assert both_val == val
    assert len(val) == 4


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_loading_processes_are_deaf_to_signals_meant_for_the_run(number):
    data = InpaintingDataModule(
        {"name": "sample", "split": "train", "size": 32}, masks="fixed_25", batch_size=1, workers=1, epoch_samples=12
    )
    batches = iter(data.train_dataloader())
    next(batches)
    for child in multiprocessing.active_children():  # Ctrl-C and SLURM signal all processes of a run
        os.kill(child.pid, number)
    assert len(list(batches)) == 11


def test_a_program_that_ends_amid_an_epoch_ends_its_loading_processes():
    program = (
        "from tests.helpers.data_program import data_module; batches = iter(data_module(1, 2).train_dataloader()); "
    )
    program += "next(batches); print('one batch')"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "one batch\n"), done.stderr
