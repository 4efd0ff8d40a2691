"""Test spectral norm against PyTorch's hook, and features that the hook lacks."""

import copy

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from inpaint_zoo.inference.fusion import FusedConv2d, fuse, without_spectral_norm
from inpaint_zoo.layers.init import init_normal
from inpaint_zoo.layers.spectral import SpectralConv2d


def pair(bias=True):
    """Return the layer and PyTorch's hook with equal weights and singular vectors."""
    torch.manual_seed(0)
    ours = SpectralConv2d(5, 7, 3, stride=2, padding=2, dilation=2, bias=bias)
    theirs = nn.utils.spectral_norm(nn.Conv2d(5, 7, 3, 2, 2, 2, bias=bias))
    theirs.load_state_dict(ours.state_dict(), strict=True)
    return ours, theirs


def test_training_and_eval_are_those_of_torch():
    layers = pair()
    x = torch.randn(2, 5, 12, 9)
    for _ in range(3):
        outputs = [layer.train()(x) + layer(x + 1) for layer in layers]  # two passes before one gradient
        torch.testing.assert_close(*outputs)
        gradients = [
            torch.autograd.grad(out.square().sum(), layer.parameters())
            for out, layer in zip(outputs, layers, strict=True)
        ]
        ours, theirs = (
            dict(zip(dict(layer.named_parameters()), g, strict=True))
            for layer, g in zip(layers, gradients, strict=True)
        )
        for key, value in ours.items():
            torch.testing.assert_close(value, theirs[key], rtol=1e-4, atol=1e-4)
        with torch.no_grad():
            for layer in layers:
                layer.weight_orig += 0.1 * torch.ones_like(layer.weight_orig)
    for key, value in layers[0].state_dict().items():
        torch.testing.assert_close(value, layers[1].state_dict()[key])
    torch.testing.assert_close(*(layer.eval()(x) for layer in layers))


def test_gradients_of_the_normalized_weight():
    torch.manual_seed(1)
    layer = SpectralConv2d(2, 3, 3).double().eval()
    values = layer.weight_orig.detach().clone().requires_grad_()

    def normalized(weight):
        return torch.func.functional_call(layer, {"weight_orig": weight}, torch.ones(1, 2, 3, 3).double())

    assert torch.autograd.gradcheck(normalized, values)
    assert torch.autograd.gradgradcheck(normalized, values)


def test_eval_leaves_u_and_v_and_training_moves_them_once():
    layer, _ = pair()
    with torch.no_grad():
        layer.weight_orig.normal_()
    before = copy.deepcopy(layer.state_dict())
    x = torch.randn(1, 5, 8, 8)
    layer.eval()(x)
    assert all(torch.equal(value, before[key]) for key, value in layer.state_dict().items())
    matrix = layer.weight_orig.detach().flatten(1)
    v = nn.functional.normalize(matrix.T @ before["weight_u"], dim=0)
    layer.train()(x)
    torch.testing.assert_close(layer.weight_v, v)
    torch.testing.assert_close(layer.weight_u, nn.functional.normalize(matrix @ v, dim=0))


def test_a_fresh_layer_has_norm_one():
    torch.manual_seed(0)
    layer = SpectralConv2d(8, 16, 3).eval()
    assert torch.linalg.matrix_norm(layer.normalized_weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)
    init_normal(layer, 0.001)
    assert torch.linalg.matrix_norm(layer.normalized_weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)


def test_copies_and_averages_after_training():
    layer, _ = pair()
    x = torch.randn(1, 5, 8, 8)
    average = AveragedModel(layer, multi_avg_fn=get_ema_multi_avg_fn(0.5), use_buffers=True)
    optimizer = torch.optim.SGD(layer.parameters(), 0.5)
    for _ in range(5):
        optimizer.zero_grad()
        layer.train()(x).square().mean().backward()
        optimizer.step()
        average.update_parameters(layer)
    twin = copy.deepcopy(layer).eval()
    assert torch.equal(twin(x), layer.eval()(x))
    # a mean of unit vectors is shorter than one; the norm is one all the same
    weight = average.module.eval().normalized_weight.flatten(1)
    assert average.module.weight_u.norm() < 1
    assert torch.linalg.matrix_norm(weight, 2).item() == pytest.approx(1, abs=0.02)


def test_autocast_leaves_the_norm_in_full_precision():
    layer, _ = pair()
    twin = copy.deepcopy(layer)
    x = torch.randn(1, 5, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        out = layer.train()(x)
        weight = layer.normalized_weight
    twin.train()(x)
    assert out.dtype == torch.bfloat16
    assert weight.dtype == torch.float32
    assert torch.equal(weight, twin.normalized_weight)
    assert torch.equal(layer.weight_u, twin.weight_u)


@pytest.mark.parametrize("bias", [True, False])
def test_folding(bias):
    layer, _ = pair(bias)
    x = torch.randn(2, 5, 12, 9)
    with torch.no_grad():
        expected = layer.eval()(x)
        assert torch.equal(without_spectral_norm(layer)(x), expected)
        fast = fuse(copy.deepcopy(layer))
        assert isinstance(fast, FusedConv2d)
        torch.testing.assert_close(fast(x), expected)
        # also of a layer in training, which stays as it was
        assert torch.equal(without_spectral_norm(layer.train())(x), expected)
        assert layer.training
