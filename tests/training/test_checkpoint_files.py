"""Checkpoint files: written atomically for any TMPDIR, kept if the disk is full, distinguished from other files."""

import io
import os
import pickle
import resource
import signal
import time
import warnings
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from inpaint_zoo.errors import ZooError
from inpaint_zoo.training.checkpoint_files import read_checkpoint
from inpaint_zoo.training.resume import list_checkpoints, newest_readable
from tests.helpers.programs import Forked
from tests.helpers.toys import Reconstruction, build, fit, painter_registered


def write(folder):
    """Train with many checkpoints of 2 MB."""
    warnings.simplefilter("ignore")
    with painter_registered():
        theirs = ModelCheckpoint(folder + "/theirs", save_top_k=-1, every_n_train_steps=1, save_last=True)
        module = build(Reconstruction, network_options={"width": 2_000})
        fit(folder, module, callbacks=[theirs], max_steps=4, every=1, val_check_interval=2)


@pytest.mark.slow
def test_whoever_looks_sees_whole_checkpoints_only(tmp_path):
    """Another process reads each file as soon as it has its final name; TMPDIR is on another file system."""
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system to put TMPDIR on")
    seen = {}
    program = Forked(write, str(tmp_path), TMPDIR=str(other))
    while program.poll() is None:
        for path in (*tmp_path.glob("checkpoints/[!.]*"), *tmp_path.glob("theirs/[!.]*")):
            try:
                with path.open("rb") as file:
                    status = os.fstat(file.fileno())
                    identity = (status.st_ino, status.st_mtime_ns, status.st_size)
                    if seen.get(path) == identity:
                        continue
                    content = file.read()
            except FileNotFoundError:  # replaced or removed this very moment
                continue
            assert torch.load(io.BytesIO(content), weights_only=True)["global_step"] > 0, path
            seen[path] = identity
        time.sleep(0.0005)
    assert program.wait() == 0, program.stderr
    assert {path.parent.name for path in seen} == {"checkpoints", "theirs"}
    assert {path.name for path in seen} >= {"best.ckpt", "last.ckpt", "step_00000004.ckpt"}


class Full(Callback):
    """Callback that limits the size of files from a step on, so that writing fails as on a full disk."""

    def __init__(self, step, size):
        self.step, self.size = step, size

    def on_train_batch_end(self, trainer, *args):
        if trainer.global_step == self.step:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@pytest.fixture
def limits():
    before = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before[0])
    signal.signal(signal.SIGXFSZ, before[1])


@pytest.mark.usefixtures("limits")
@pytest.mark.parametrize("size", [0, 5_000, 20_000])  # of 24 kB
def test_a_full_disk_keeps_the_checkpoints_that_there_are(size, tmp_path):
    with pytest.raises(OSError, match="File too large") as caught:
        fit(tmp_path, build(Reconstruction), callbacks=[Full(4, size)], every=2, log_every_n_steps=6)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    folder = tmp_path / "checkpoints"
    assert caught.value.filename == str(folder / "step_00000004.ckpt")
    (note,) = caught.value.__notes__
    assert note.startswith("Step 4 could not be saved ([Errno 27] File too large")
    assert note.endswith(f"The newest checkpoint is {folder}/step_00000002.ckpt.")
    assert {path.name for path in folder.iterdir()} == {"last.ckpt", "step_00000002.ckpt"}
    assert newest_readable(folder) == folder / "step_00000002.ckpt"
    fit(tmp_path, build(Reconstruction), ckpt_path=newest_readable(folder))


def test_what_is_written_last_is_gone_on_from(tmp_path):
    """After resuming from an earlier checkpoint, checkpoints of later steps remain, but they are not the newest."""
    folder = tmp_path / "checkpoints"
    fit(tmp_path, build(Reconstruction), max_steps=8, limit_val_batches=0)
    fit(tmp_path, build(Reconstruction), ckpt_path=folder / "step_00000002.ckpt", max_steps=4, limit_val_batches=0)
    assert list_checkpoints(folder)[0].name == "step_00000008.ckpt"
    assert newest_readable(folder).name == "step_00000004.ckpt"
    (folder / "step_00000004.ckpt").write_bytes(b"cut")
    with pytest.warns(UserWarning, match=r"step_00000004.ckpt is damaged"):
        assert newest_readable(folder).name == "step_00000002.ckpt"


def test_the_best_is_gone_on_from_where_it_is_newer(tmp_path):
    """A run may be killed after its first validation and before its first regular checkpoint."""
    folder = tmp_path / "checkpoints"
    fit(tmp_path, build(Reconstruction), max_steps=7, every=1000)
    (folder / "step_00000007.ckpt").unlink()
    assert newest_readable(folder) == folder / "best.ckpt"
    fit(tmp_path, build(Reconstruction), ckpt_path=folder / "best.ckpt", max_steps=8)
    assert newest_readable(folder) == folder / "step_00000008.ckpt"


def test_other_files_are_told_apart(tmp_path):
    fit(tmp_path, build(Reconstruction), max_steps=2, limit_val_batches=0)
    checkpoint = list_checkpoints(tmp_path / "checkpoints")[0]
    whole = read_checkpoint(checkpoint)
    state = {key: value.clone() for key, value in whole["state_dict"].items()}
    tensors = {"state_dict": state, "epoch": 3}
    torch.save(state, tmp_path / "bare.pth")
    torch.save(state, tmp_path / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(tensors, tmp_path / "theirs.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save(nn.Linear(2, 2), tmp_path / "module.pth")
    torch.save({**whole, "pytorch-lightning_version": "2.6"}, tmp_path / "copy.ckpt")
    torch.save({key: whole[key] for key in ("pytorch-lightning_version", "state_dict")}, tmp_path / "weights.ckpt")
    save_file(state, tmp_path / "a.safetensors")
    save_file(state, tmp_path / "named.ckpt")
    (tmp_path / "pickle.ckpt").write_bytes(pickle.dumps({"a": Path()}))
    (tmp_path / "cut.ckpt").write_bytes(checkpoint.read_bytes()[:-100])
    (tmp_path / "text.ckpt").write_text("hello")
    Image.new("RGB", (4, 4)).save(tmp_path / "image.ckpt", format="PNG")
    weights = r"To start from its weights, replace --ckpt_path by --model.init_args.init_weights .*"
    expected = {
        "bare.pth": rf"is a bare state dict \(\d+ tensors\), not a training checkpoint. {weights}bare.pth",
        "legacy.pth": rf"is a bare state dict \(\d+ tensors\), not a training checkpoint. {weights}legacy.pth",
        "theirs.pth": "is a dictionary with the keys state_dict, epoch, not a training checkpoint",
        "list.pth": "holds a list, not a training checkpoint",
        "module.pth": "is not a training checkpoint: reading it would run code stored in the file",
        "weights.ckpt": rf"It lacks loops, optimizer_states, lr_schedulers, as .*{weights}",
        "a.safetensors": rf"is a weight file \(safetensors\), not a training checkpoint. {weights}",
        "named.ckpt": r"is a weight file \(safetensors\), not a training checkpoint",
        "pickle.ckpt": "reading it would run code stored in the file",
        "cut.ckpt": "is damaged. --ckpt_path last selects the newest undamaged one",
        "text.ckpt": "does not begin like a file of PyTorch, not a training checkpoint",
        "image.ckpt": "is a PNG image, not a training checkpoint",
        "none.ckpt": r"No checkpoint .*none.ckpt. --ckpt_path takes last, best or a checkpoint file",
        "checkpoints": "is a folder; --ckpt_path takes last, best or a checkpoint file",
    }
    for name, message in expected.items():
        with pytest.raises(ZooError, match=message):
            read_checkpoint(tmp_path / name)
    assert read_checkpoint(tmp_path / "copy.ckpt")["global_step"] == 2
    assert read_checkpoint(tmp_path / "weights.ckpt", training=False)["state_dict"].keys() == state.keys()


def test_fast_dev_run_leaves_nothing(tmp_path):
    theirs = ModelCheckpoint(tmp_path / "theirs", every_n_train_steps=1)
    fit(tmp_path / "run", build(Reconstruction), callbacks=[theirs], every=1, fast_dev_run=3)
    assert list(tmp_path.iterdir()) == []
