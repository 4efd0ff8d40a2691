"""Batch norm over the samples of several processes is that of one process with all samples, with all derivatives."""

import copy

import pytest
import torch
from torch import nn

from inpaint_zoo.layers.synced_norm import own_norms, sync_norms
from tests.helpers.ranks import on_threads, shard

SHAPES = {nn.BatchNorm1d: (8, 3), nn.BatchNorm2d: (8, 3, 4, 5), nn.BatchNorm3d: (8, 3, 2, 4, 3)}


def measure(norm, x):
    """Return the output, and the gradients of a loss and of a penalty on the loss's gradient."""
    x = x.clone().requires_grad_()
    y = norm(x)
    (slope,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
    over = [x, *norm.parameters()]
    first = torch.autograd.grad(y.sin().sum(), over, retain_graph=True)
    second = torch.autograd.grad(slope.square().sum(), over, allow_unused=True)
    return y.detach(), first, second


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("kind", SHAPES)
def test_two_processes_normalize_like_one(kind, momentum):
    torch.manual_seed(0)
    x = torch.randn(SHAPES[kind], dtype=torch.float64) * 3 + 1
    plain = kind(3, momentum=momentum).double()
    nn.init.normal_(plain.weight)
    twins = [copy.deepcopy(plain) for _ in range(2)]
    for twin in twins:
        sync_norms(twin)
        assert isinstance(twin, kind)
    y, first, second = measure(plain, x)
    shards = on_threads(2, lambda rank: measure(twins[rank], shard(x, rank, 2)))
    for rank, (own, *_) in enumerate(shards):
        torch.testing.assert_close(own, shard(y, rank, 2))
    for order, whole in enumerate((first, second), start=1):
        found = [part[order] for part in shards]
        for rank in (0, 1):
            torch.testing.assert_close(found[rank][0], shard(whole[0], rank, 2))
        for number, gradient in enumerate(whole[1:], start=1):
            if gradient is None:
                assert [part[number] for part in found] == [None, None]
            else:
                torch.testing.assert_close(found[0][number] + found[1][number], gradient)
    for twin in twins:
        for name, value in plain.state_dict().items():
            torch.testing.assert_close(twin.state_dict()[name], value)


def test_layers_become_what_they_were_and_eval_mode_is_unchanged():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, affine=False, track_running_stats=False))
    x = torch.randn(2, 3, 5, 5)
    before, names = net(x), list(net.state_dict())
    sync_norms(net)
    assert type(net[1]) is not nn.BatchNorm2d
    assert torch.equal(net(x), before)  # in a single process
    assert torch.equal(net.eval()(x), before)
    assert list(net.state_dict()) == names
    own_norms(net)
    assert type(net[1]) is nn.BatchNorm2d
