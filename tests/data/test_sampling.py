"""The stream: the position of a sample determines it, independently of the reader and of where reading started."""

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from inpaint_zoo.data.order import shuffled
from inpaint_zoo.data.sampling import Draw, EvalSampler, ResumableLoader, StreamSampler, divided
from inpaint_zoo.errors import ZooError


class Echo(Dataset):
    """Dataset that returns the index it is given."""

    def __getitem__(self, draw):
        return {"position": draw.position, "item": draw.item}


def epoch_of(sampler, epoch):
    sampler.set_epoch(epoch)
    return list(sampler)


def test_each_pass_is_a_permutation_of_its_own():
    orders = [tuple(shuffled(7, 50, number)) for number in range(4)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len(set(orders)) == 4
    assert tuple(shuffled(8, 50, 0)) != orders[0]


def test_places_are_even():
    """Over many passes, each item is equally often at each place: chi-squared test of 10 x 10 counts, 99.9 %."""
    counts = np.zeros((10, 10))
    for number in range(2000):
        counts[np.arange(10), shuffled(1, 10, number)] += 1
    assert ((counts - 200) ** 2 / 200).sum() < 126  # 81 degrees of freedom


@pytest.mark.parametrize("length", [None, 5, 23])
def test_epochs_are_stretches_of_one_stream(length):
    sampler = StreamSampler(7, length=length)
    stream = [draw for epoch in range(5) for draw in epoch_of(sampler, epoch)]
    assert [draw.position for draw in stream] == list(range(len(stream)))
    for start in range(0, len(stream) - 6, 7):
        assert sorted(draw.item for draw in stream[start : start + 7]) == list(range(7))


@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize("ranks", [2, 3])
def test_the_ranks_batches_together_are_those_of_one_process(ranks, drop_last):
    one = StreamSampler(40, length=31, batch_size=6, drop_last=drop_last)
    many = [
        StreamSampler(40, length=31, batch_size=6 // ranks, rank=rank, ranks=ranks, drop_last=drop_last)
        for rank in range(ranks)
    ]
    assert len({len(sampler) for sampler in many}) == 1
    ours = epoch_of(one, 2)
    parts = [epoch_of(sampler, 2) for sampler in many]
    for start in range(0, len(ours), 6):
        batch = ours[start : start + 6]
        first = start // ranks
        theirs = [draw for part in parts for draw in part[first : first + 6 // ranks]]
        assert set(batch) <= set(theirs)
        assert len(theirs) - len(batch) < ranks


def test_a_last_batch_is_dropped_or_kept():
    assert len(StreamSampler(10, batch_size=4)) == 8
    assert len(StreamSampler(10, batch_size=4, drop_last=False)) == 10
    assert len(StreamSampler(10, batch_size=4, ranks=3, drop_last=False)) == 4
    assert len(StreamSampler(3, batch_size=4)) == 0


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_begins_where_another_stood(workers):
    def loader():
        sampler = StreamSampler(9, length=12, batch_size=2, seed=3)
        sampler.set_epoch(1)
        return ResumableLoader(Echo(), sampler, num_workers=workers)

    whole = [batch["position"].tolist() for batch in loader()]
    first = loader()
    for number, batch in enumerate(first):
        if number == 3:
            state = first.state_dict()
            break
        assert batch["position"].tolist() == whole[number]
    assert state == {"epoch": 1, "batches": 4, "samples": 8}
    second = loader()
    second.load_state_dict(state)
    assert [batch["position"].tolist() for batch in second] == whole[4:]
    assert len(second) == len(whole)
    second.stream.set_epoch(2)  # the next epoch is complete again
    assert len(list(second)) == len(whole)


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_evaluation_sees_everything_once(ranks):
    parts = [list(EvalSampler(10, rank=rank, ranks=ranks)) for rank in range(ranks)]
    assert len({len(part) for part in parts}) == 1
    items = [draw.item for part in parts for draw in part]
    assert sorted(item for item in items if item >= 0) == list(range(10))
    assert items.count(-1) == -10 % ranks


def test_two_workers_give_what_none_gives():
    batches = []
    for workers in (0, 2):
        sampler = StreamSampler(20, batch_size=3, seed=5)
        batches.append(list(ResumableLoader(Echo(), sampler, num_workers=workers)))
    for ours, theirs in zip(*batches, strict=True):
        assert torch.equal(ours["position"], theirs["position"])
        assert torch.equal(ours["item"], theirs["item"])


def test_a_draw_is_plain():
    assert Draw(3, 1) == (3, 1)


def test_processes_divide_a_batch_equally_or_not_at_all():
    assert [divided(20, count) for count in (1, 4, 10)] == [20, 5, 2]
    with pytest.raises(ZooError, match=r"8 processes cannot divide .* 20 .* to 16 or 24; or use 1, 2, 4, 5, 10, 20 p"):
        divided(20, 8)
    with pytest.raises(ZooError, match=r"to 16; or use 1, 2, 4 processes"):
        divided(4, 16)
