"""Fused updates are used where the user has not chosen an implementation, and equal the others except for rounding."""

import pytest
import torch
from torch import nn

from inpaint_zoo.training.fused import use_fused_updates


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_updates_are_the_same(kind):
    plain, fused = (nn.Parameter(torch.linspace(-1, 1, 50)) for _ in range(2))
    optimizers = kind([plain], lr=0.1, betas=(0.5, 0.9)), kind([fused], lr=0.1, betas=(0.5, 0.9))
    use_fused_updates(optimizers[1])
    assert optimizers[1].param_groups[0]["fused"]
    for step in range(3):
        for parameter, optimizer in zip((plain, fused), optimizers, strict=True):
            parameter.grad = (torch.arange(50.0) - 20 - step).square()
            optimizer.step()
    torch.testing.assert_close(plain, fused, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("options", [{"foreach": False}, {"fused": False}, {"differentiable": True}])
def test_what_the_user_chose_stays(options):
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], **options)
    before = [dict(group) for group in optimizer.param_groups]
    use_fused_updates(optimizer)
    assert [dict(group) for group in optimizer.param_groups] == before
    other = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    use_fused_updates(other)
    assert other.param_groups[0]["fused"] is None
