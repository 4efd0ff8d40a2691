"""Images, masks and networks that several tests use."""

import pytest
import torch
from torch import nn

import inpaint_zoo as iz
from inpaint_zoo.errors import ZooError


def sample(size, batch=1, seed=0):
    """Return smooth images with holes: one block per image, at different positions, and scattered single pixels."""
    H, W = size
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(batch, 3, 4, 4, generator=generator)
    image = torch.nn.functional.interpolate(image, size, mode="bilinear").clamp(0, 1)
    mask = (torch.rand(batch, 1, H, W, generator=generator) > 0.97).float()
    for k in range(batch):
        mask[k, :, H // 4 : H // 2 + k, W // 4 : W // 2 + 2 * k] = 1
    return image, mask


def check_hole_fill(net):
    """Check that ``hole_fill`` replaces the hole's content for networks that use it, also in the inference form."""
    image, mask = sample((40, 48))
    hole_fill = torch.where(mask > 0, 0.9, image)
    low, high = net.value_range
    gray = torch.full_like(image, (net.hole_value - low) / (high - low))
    with torch.no_grad():
        seen = [net.predict(*net.preprocess(image, mask, found)) for found in (None, hole_fill)]
        assert net.takes_hole_fill != all(map(torch.equal, *(stages.values() for stages in seen)))
        if not net.takes_hole_fill:
            with pytest.raises(ZooError, match=r"ignores the content of the hole and takes no `hole_fill`"):
                net(image, mask, hole_fill=hole_fill)
            return
        plain, filled = net(image, mask), net(image, mask, hole_fill=hole_fill)
        assert torch.equal(net(hole_fill, mask), plain)
        assert torch.equal(net(image, mask, hole_fill=gray), plain)  # what it finds where nothing is given
        known_differs = torch.where(mask > 0, hole_fill, 7.0)
        assert torch.equal(net(image, mask, hole_fill=known_differs), filled)
        torch.testing.assert_close(iz.optimize(net)(image, mask, hole_fill=hole_fill), filled, atol=1e-4, rtol=0)
    assert not torch.equal(filled, plain)
    assert torch.equal(torch.where(mask > 0, 0, filled), torch.where(mask > 0, 0, image))


def shaken(module):
    """Give BatchNorm layers random statistics, so that wrong folding is detected."""
    generator = torch.Generator().manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            for value, low, high in (
                (part.running_mean, -0.3, 0.3),
                (part.running_var, 0.5, 1.5),
                (part.weight.data, 0.5, 1.5),
                (part.bias.data, -0.3, 0.3),
            ):
                value.uniform_(low, high, generator=generator)
    return module.eval()
