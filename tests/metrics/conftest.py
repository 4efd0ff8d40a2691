"""Images, holes, feature extractors, and the packages' own networks for the tests of metrics."""

import warnings

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


@pytest.fixture(scope="session")
def inception(tmp_path_factory):
    """Return torch-fidelity's network with random weights, and a file with its weights."""
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")

    class Untrained(fidelity.FeatureExtractorInceptionV3):
        def load_state_dict(self, *_, **__):  # the constructor must not load a file
            return None

    folder = tmp_path_factory.mktemp("inception")
    torch.save({}, folder / "nothing.pth")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Untrained("inception-v3-compat", ["2048"], feature_extractor_weights_path=folder / "nothing.pth")
    path = folder / "weights-inception-2015-12-05-6726825d.pth"
    torch.save(net.state_dict(), path)
    return net, path


@pytest.fixture
def official_lpips(shared_weights, tmp_path, monkeypatch):
    """Return lpips.LPIPS as its authors load it, with the backbone from the torch hub cache; by ``spatial``."""
    import lpips

    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    weights = shared_weights / "squeezenet1_1_imagenet_fp16.pth"
    (cache / "squeezenet1_1-b8a52dc0.pth").write_bytes(weights.read_bytes())
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lpips calls torchvision in its old way
        return {spatial: lpips.LPIPS(net="squeeze", spatial=spatial, verbose=False).eval() for spatial in (False, True)}
