"""Real processes that are killed: their runs can be resumed and give the same results as uninterrupted ones."""

import io
import os
import random
import signal
import struct
import time
import zipfile

import pytest

from inpaint_zoo.cli.train import UNFINISHED
from inpaint_zoo.training.resume import is_damaged, list_checkpoints, newest_readable
from tests.helpers.runs import STEPS, assert_same, finish, load, start, steps_logged, wait_for_step
from tests.helpers.toys import ToyGAN, build, fit


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    finish(start(folder))
    return folder


def assert_equal_runs(folder, other):
    newest, theirs = list_checkpoints(folder / "checkpoints")[0], list_checkpoints(other / "checkpoints")[0]
    assert newest.name == theirs.name == f"step_{STEPS:08d}.ckpt"
    assert_same(load(newest), load(theirs))
    assert (folder / "metrics.csv").read_bytes() == (other / "metrics.csv").read_bytes()
    images = {path.name: path.read_bytes() for path in (other / "images").iterdir()}
    assert {path.name: path.read_bytes() for path in (folder / "images").iterdir()} == images


@pytest.mark.slow
def test_killed_twice_and_resumed(unbroken, tmp_path):
    draw = random.Random(time.time_ns())
    for first, last in ((1, STEPS // 2), (STEPS // 2 + 1, STEPS - 1)):
        process = start(tmp_path, "--ckpt_path", "last", seconds=0.02)
        wait_for_step(process, tmp_path, draw.randint(first, last))
        time.sleep(draw.random() * 0.1)
        process.kill()
    finish(start(tmp_path, "--ckpt_path", "last"))
    assert_equal_runs(tmp_path, unbroken)


@pytest.mark.slow
@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["main process", "all processes"])
def test_sigterm_saves_at_the_next_step_and_ends_in_order(unbroken, tmp_path, send):
    process = start(tmp_path, seconds=0.05)
    wait_for_step(process, tmp_path, 7)
    send(process.pid, signal.SIGTERM)
    output = finish(process, code=UNFINISHED)
    newest = list_checkpoints(tmp_path / "checkpoints")[0]
    assert f"stopped by SIGTERM after step {int(newest.stem[5:])}; saved {newest}" in output.replace("\n", "")
    assert "Traceback" not in output
    assert steps_logged(tmp_path) == int(newest.stem[5:]) < STEPS
    output = finish(start(tmp_path, "--ckpt_path", "last"))
    assert f"resuming from {newest}" in output.replace("\n", "")
    assert_equal_runs(tmp_path, unbroken)


def test_a_truncated_newest_checkpoint_is_passed_over(tmp_path):
    module = build(ToyGAN)
    fit(tmp_path, module, max_steps=6)
    newest, before, *_ = list_checkpoints(tmp_path / "checkpoints")
    whole = newest.read_bytes()
    for size in (0, 100, len(whole) // 2, len(whole) - 1):
        newest.write_bytes(whole[:size])
        assert is_damaged(newest)
        with pytest.warns(UserWarning, match=f"{newest.name} is damaged.*Using the one before"):
            assert newest_readable(tmp_path / "checkpoints") == before
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        largest = max(archive.infolist(), key=lambda entry: entry.file_size)
    name, extra = struct.unpack("<HH", whole[largest.header_offset + 26 : largest.header_offset + 30])
    flipped = bytearray(whole)
    flipped[largest.header_offset + 30 + name + extra + largest.file_size // 2] ^= 1  # within the values of a tensor
    newest.write_bytes(flipped)
    assert is_damaged(newest)
    resumed = build(ToyGAN)
    fit(tmp_path, resumed, ckpt_path=before, max_steps=6)
    assert newest.read_bytes() == whole or not is_damaged(newest)
    assert_same(resumed.state_dict(), module.state_dict())
    for path in list_checkpoints(tmp_path / "checkpoints"):
        path.write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(ValueError, match=r"All checkpoints in .* are damaged"),
    ):
        newest_readable(tmp_path / "checkpoints")
    assert newest_readable(tmp_path / "nowhere") is None
