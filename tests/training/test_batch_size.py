"""A run resumed with another batch size continues at the next sample, and validates at the end of the epoch."""

import pytest

from inpaint_zoo.training.resume import list_checkpoints
from tests.helpers.toys import ImageData, Reconstruction, build, fit


class Seen(Reconstruction):
    """Module that records the items of each batch."""

    def __init__(self, **base):
        super().__init__(**base)
        self.seen = []

    def training_step(self, batch, batch_idx):
        self.seen.append(batch["index"].tolist())
        return super().training_step(batch, batch_idx)


def data(batch_size, samples=12):
    return ImageData(batches=samples // batch_size, batch_size=batch_size)


def validations(folder):
    lines = (folder / "metrics.csv").read_text().splitlines()[1:]
    return [int(line.split(",")[0]) for line in lines if line.split(",")[-1]]


@pytest.mark.parametrize(
    ("before", "stop", "after", "left", "lost"),
    [
        (2, 4, 3, 1, 1),  # 8 of 12 samples are done: one batch of 3, one sample is left out
        (2, 4, 4, 1, 0),
        (2, 5, 6, 1, -4),  # two samples are left: the last batch begins before them, so that the epoch has an end
        (4, 1, 2, 4, 0),
        (3, 1, 1, 9, 0),
    ],
)
def test_in_mid_epoch(before, stop, after, left, lost, tmp_path):
    samples = 12
    whole = build(Seen)
    fit(tmp_path / "whole", whole, data(1), max_steps=24, log_every_n_steps=6)
    order = [item for batch in whole.seen for item in batch]
    fit(tmp_path / "run", build(Seen), data(before), max_steps=stop)
    resumed = build(Seen)
    steps = stop + left + samples // after  # to the end of the next epoch
    with pytest.warns(UserWarning, match=rf"Of the 12 samples of epoch 0, {stop * before} are done. {left} batch"):
        fit(
            tmp_path / "run",
            resumed,
            data(after),
            list_checkpoints(tmp_path / "run" / "checkpoints")[0],
            max_steps=steps,
        )
    seen = [item for batch in resumed.seen for item in batch]
    first = min(stop * before, stop * before + lost)
    assert {len(batch) for batch in resumed.seen} == {after}
    assert seen[: left * after] == order[first : first + left * after]
    assert seen[left * after :] == order[samples : 2 * samples]  # the next epoch begins where it always does
    assert validations(tmp_path / "run") == [stop + left, steps]


def test_at_the_end_of_an_epoch_nothing_needs_saying(tmp_path):
    fit(tmp_path, build(Seen), data(2), max_steps=6, limit_val_batches=0)
    resumed = build(Seen)
    fit(tmp_path, resumed, data(3), list_checkpoints(tmp_path / "checkpoints")[0], max_steps=10)
    assert [len(batch) for batch in resumed.seen] == [3, 3, 3, 3]
    assert validations(tmp_path) == [10]


def test_a_validation_that_was_due_is_not_dropped(tmp_path):
    """The checkpoint was written after the epoch's last batch, and the run was killed before the validation."""
    fit(tmp_path, build(Seen), data(2), max_steps=12, every=1)
    for later in list_checkpoints(tmp_path / "checkpoints")[:6]:
        later.unlink()
    (tmp_path / "checkpoints" / "best.ckpt").unlink()
    newest = list_checkpoints(tmp_path / "checkpoints")[0]
    assert newest.name == "step_00000006.ckpt"
    fit(tmp_path, build(Seen), data(3), newest, max_steps=10)
    assert validations(tmp_path) == [6, 10]
