"""Test weight initialization."""

import pytest
import torch
from torch import nn

from inpaint_zoo.layers.init import init_scaled
from inpaint_zoo.training import Reconstruction


def test_maps_keep_their_scale_through_many_layers():
    """Twenty ELU layers keep the activations' scale within a factor of two; PyTorch's initialization does not."""
    torch.manual_seed(0)
    layers = [
        layer for _ in range(20) for layer in (nn.Conv2d(32, 32, 3, padding=1, padding_mode="circular"), nn.ELU())
    ]
    net = nn.Sequential(*layers)
    for conv in net[::2]:
        nn.init.zeros_(conv.bias)
    x = torch.randn(4, 32, 16, 16)
    with torch.no_grad():
        assert net(x).std() < 0.01 * x.std()
        init_scaled(net, 1.24)
        assert 0.5 < net(x).std() / x.std() < 2
    assert all(not layer.bias.any() for layer in net[::2])


def test_transposed_convolutions_count_what_meets_in_an_output():
    layer = nn.ConvTranspose2d(64, 8, 4, 2, 1)
    init_scaled(layer, 2.0)
    assert layer.weight.std().item() == pytest.approx(2 / (64 * 16) ** 0.5, rel=0.05)


@pytest.mark.parametrize("difference", [False, True])
def test_networks_that_predict_differences_start_with_small_ones(difference):
    options = {"difference": difference}
    net = Reconstruction("glcic_tiny", network_options=options, init_gain=1.2, metrics=[]).network
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            scale = 0.1 if difference and layer.out_channels == 3 else 1.0
            expected = scale * 1.2 / layer.weight[0].numel() ** 0.5
            assert layer.weight.std().item() == pytest.approx(expected, rel=0.2)
