"""Images, holes and a small fixed feature extractor for the tests of metrics."""

import pytest
import torch
from skimage import data
from torch import nn


@pytest.fixture(scope="session")
def images():
    """Return two 8-bit images of 96 x 120 and a degraded copy of each: (pred, target, mask), float32 k/255."""
    target = torch.stack(
        [
            torch.from_numpy(image[60:156, 100:220].copy()).permute(2, 0, 1)
            for image in (data.chelsea(), data.astronaut())
        ]
    )
    noise = torch.randint(-40, 41, target.shape, generator=torch.Generator().manual_seed(3))
    pred = (target.int() + noise).clamp(0, 255)
    mask = torch.zeros(2, 1, 96, 120)
    mask[0, :, 20:60, 30:90] = 1
    mask[1, :, 50:, :40] = 1
    return pred.float() / 255, target.float() / 255, mask


@pytest.fixture
def random_batch():
    """Return a function that creates random 8-bit (pred, target, mask), equal for equal arguments."""

    def make(count, height=32, width=32, seed=0):
        generator = torch.Generator().manual_seed(seed)
        pred, target = (torch.randint(0, 256, (count, 3, height, width), generator=generator) / 255 for _ in range(2))
        mask = (torch.rand(count, 1, height, width, generator=generator) > 0.6).float()
        return pred, target, mask

    return make


class SmallExtractor(nn.Module):
    """Feature extractor with six features: a fixed random convolution, pooled."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 5, stride=2)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))

    def forward(self, images):
        return self.conv(images).relu().mean((2, 3))


@pytest.fixture
def extractor():
    return SmallExtractor()
