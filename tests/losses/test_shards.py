"""Test all losses on a batch that several processes share: the mean over the processes equals the whole batch."""

import functools

import pytest
import torch

from inpaint_zoo import losses
from inpaint_zoo.losses import SoftPatchLoss, masked_l1
from tests.helpers.every_loss import cases, measure, samples
from tests.helpers.ranks import on_processes, on_threads, shard

CLASSES = [name for name in losses.__all__ if isinstance(getattr(losses, name), type)]
whole = functools.cache(measure)


def compare(parts, count):
    """Compare values and gradients averaged over the processes, as the training strategy does, with the whole batch."""
    for name, (value, gradient) in whole().items():
        values, gradients = zip(*(part[name] for part in parts), strict=True)
        torch.testing.assert_close(torch.stack(values).mean(), value, rtol=1e-10, atol=1e-12, msg=name)
        for rank, own in enumerate(gradients):
            expected = shard(gradient, rank, count)
            torch.testing.assert_close(own / count, expected, rtol=1e-9, atol=1e-12, msg=f"{name}, rank {rank}")


def test_every_loss_is_there():
    names = {name.split()[0] for name in cases()}
    missing = {name for name in CLASSES if not issubclass(getattr(losses, name), Warning)} - names
    assert not missing


@pytest.mark.parametrize("count", [2, 4])
def test_the_mean_over_processes_is_the_whole_batch(count):
    compare(on_threads(count, lambda rank: measure(rank, count)), count)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_real_processes_do_as_well(count, tmp_path):
    compare(on_processes(count, measure, str(tmp_path)), count)


def test_what_accumulated_batches_do_not_share():
    """Accumulated batches cannot share divisors; only these options differ."""
    parts = [shard(samples(), rank, 2) for rank in (0, 1)]
    means = {name: sum(case(part) for part in parts) / 2 for name, case in cases().items()}
    differ = {name for name, (value, _) in whole().items() if not torch.isclose(means[name], value, rtol=1e-9)}
    options = {name: name.split() for name in means}  # of FocalFrequencyLoss: ..., average_spectrum, log, batch_matrix
    of_the_batch = {
        name
        for name, (loss, *rest) in options.items()
        if name.startswith(("MaskedL1 area ", "MaskedL1 hole_fraction", "LPIPSLoss sum"))
        or (loss == "FocalFrequencyLoss" and "True" in rest[2::2])
    }
    assert differ == of_the_batch | {"wgan_gradient_penalty", "diff_augment"}  # the last two draw other numbers


def test_by_hand():
    """Two images on two processes, with one and three hole pixels of four, and an error of 1 everywhere."""
    mask = torch.tensor([[[[1.0, 0, 0, 0]]], [[[1.0, 1, 1, 0]]]])
    pred, target = torch.ones(2, 3, 1, 4), torch.zeros(2, 3, 1, 4)

    def values(rank):
        own = [shard(x, rank, 2) for x in (pred, target, mask)]
        return [masked_l1(*own, 1, 1, "hole_fraction").item(), masked_l1(*own, 0, 1, "area").item()]

    first, second = on_threads(2, values)
    assert first == pytest.approx([1 / 0.5, 1 / 2])  # the hole's share of both together; 1 of 2 pixels on average
    assert second == pytest.approx([1 / 0.5, 3 / 2])


def test_soft_labels_count_each_image_alike():
    mask = torch.zeros(2, 1, 4, 4)
    mask[0, 0, 0, 0] = mask[1, 0, :3] = 1
    logits = torch.tensor([0.2, 0.6]).view(2, 1, 1, 1).expand(2, 1, 4, 4)
    assert SoftPatchLoss().generator(logits, mask).item() == pytest.approx((0.04 + 0.36) / 2)
    mask[1] = 0
    assert SoftPatchLoss().generator(logits, mask).item() == pytest.approx(0.04 / 2)
