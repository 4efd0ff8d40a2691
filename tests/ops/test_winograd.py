"""Test Winograd's convolution against PyTorch's direct one in float64."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import inpaint_zoo as iz
from inpaint_zoo.inference.fusion import FusedConv2d, onednn
from inpaint_zoo.inference.strategy.memory import fast_form_bytes, weight_bytes
from inpaint_zoo.ops import winograd

ROUNDING = 2e-5  # of the output's standard deviation


def layer(source, target, height, width, batch=1, dilation=1, padding=None, bias=True):
    torch.manual_seed(0)
    pad = dilation if padding is None else padding
    convolution = nn.Conv2d(source, target, 3, padding=pad, dilation=dilation, bias=bias)
    return convolution, torch.randn(batch, source, height, width)


def exact(convolution, x):
    bias = None if convolution.bias is None else convolution.bias.double()
    padding, dilation = convolution.padding, convolution.dilation
    return F.conv2d(x.double(), convolution.weight.double(), bias, padding=padding, dilation=dilation)


def by_winograd(convolution, x, **options):
    kernels = winograd.transform_kernels(convolution.weight)
    with torch.no_grad():
        return winograd.convolve(x, kernels, convolution.bias, convolution.padding, convolution.dilation[0], **options)


SHAPES = {
    "height": st.integers(1, 19),
    "width": st.integers(1, 19),
    "batch": st.integers(1, 2),
    "dilation": st.integers(1, 3),
    "padding": st.integers(0, 3),
}


@settings(max_examples=25, deadline=None)
@given(**SHAPES, bias=st.booleans(), relu=st.booleans(), added=st.booleans())
def test_equals_the_direct_convolution(height, width, batch, dilation, padding, bias, relu, added):
    extra = 2 * max(0, dilation - padding)  # at least one output
    convolution, x = layer(5, 7, height + extra, width + extra, batch, dilation, padding, bias)
    with torch.no_grad():
        expected = exact(convolution, x)
    into = torch.randn(expected.shape).to(memory_format=torch.channels_last) if added else None
    expected = expected if into is None else expected + into
    got = by_winograd(convolution, x, relu=relu, into=into)
    torch.testing.assert_close(got, (expected.relu() if relu else expected).float(), atol=ROUNDING, rtol=0)
    assert into is None or got is into


@settings(max_examples=25, deadline=None)
@given(**SHAPES, band=st.sampled_from([1, winograd.BAND]))
def test_gradients_equal_those_of_the_direct_convolution(height, width, batch, dilation, padding, band):
    extra = 2 * max(0, dilation - padding)  # at least one output
    convolution, x = layer(5, 7, height + extra, width + extra, batch, dilation, padding, bias=False)
    x.requires_grad_()
    out = exact(convolution, x)
    grad = torch.randn(out.shape)
    expected = torch.autograd.grad(out, (x, convolution.weight), grad.double())
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(winograd, "BAND", band)
        kernels = winograd.transform_kernels(convolution.weight)
        got = winograd.gradients(grad, x, kernels, (padding, padding), dilation)
        (alone, _), (_, other) = (
            winograd.gradients(grad, x, kernels, (padding, padding), dilation, *needed)
            for needed in ((True, False), (False, True))
        )
    for own, single, right in zip(got, (alone, other), expected, strict=True):
        torch.testing.assert_close(own, right, atol=1e-4, rtol=1e-4)
        assert torch.equal(own, single)


def test_bands_do_not_show(monkeypatch):
    convolution, x = layer(6, 4, 37, 22)
    whole = by_winograd(convolution, x)
    monkeypatch.setattr(winograd, "BAND", 1)
    torch.testing.assert_close(by_winograd(convolution, x), whole, atol=ROUNDING, rtol=0)


def test_rounding_errors_with_many_channels():
    convolution, x = layer(512, 32, 16, 16)
    with torch.no_grad():
        expected = exact(convolution, x)
    assert (by_winograd(convolution, x) - expected).abs().max() < ROUNDING * expected.std()


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("activation", [nn.ReLU(), nn.Tanh(), nn.LeakyReLU(0.2), None])
def test_fused_convolutions_use_it(dilation, activation, monkeypatch):
    convolution, x = layer(128, 128, 16, 24, dilation=dilation)
    fast = FusedConv2d(copy.deepcopy(convolution))
    fast.activation = onednn.Activation.of(activation)
    calls = []
    convolve = winograd.convolve
    monkeypatch.setattr(winograd, "convolve", lambda *args: calls.append(len(args)) or convolve(*args))
    with torch.no_grad():
        expected = exact(convolution, x).float()
        expected = expected if activation is None else activation(expected)
        torch.testing.assert_close(fast(x), expected, atol=ROUNDING, rtol=0)
        assert calls
        torch.testing.assert_close(copy.deepcopy(fast)(x), expected, atol=ROUNDING, rtol=0)


def test_other_convolutions_stay_direct(monkeypatch):
    def fail(*args):
        raise AssertionError("not worthwhile")

    monkeypatch.setattr(winograd, "convolve", fail)
    wide = torch.randn(1, 128, 16, 16)
    with torch.no_grad():
        for convolution, x in (
            (nn.Conv2d(16, 16, 3, padding=1), torch.randn(1, 16, 64, 64)),  # few channels
            (nn.Conv2d(128, 128, 3, padding=1), wide[..., :8, :8]),  # few tiles
            (nn.Conv2d(128, 128, 3, stride=2, padding=1), wide),
            (nn.Conv2d(128, 128, 5, padding=2), wide),
            (nn.Conv2d(128, 128, 3, padding=1, groups=2), wide),
            (nn.Conv2d(128, 128, 3, padding=2, dilation=(1, 2)), wide),
        ):
            torch.testing.assert_close(FusedConv2d(convolution)(x), convolution(x), atol=1e-5, rtol=1e-5)


def test_batches_of_large_images_are_divided(monkeypatch):
    """The results are those of single images, and errors still state the shape of the whole batch."""
    net = iz.optimize(iz.create_model("autoencoder_tiny"))
    image, mask = torch.rand(3, 3, 256, 256), torch.zeros(3, 1, 256, 256)
    mask[:, :, 40:90, 100:200] = 1
    sizes = []
    predict = net.network.predict
    monkeypatch.setattr(net.network, "predict", lambda *pair: sizes.append(len(pair[0])) or predict(*pair))
    whole = net(image, mask)
    assert sizes == [1, 1, 1]
    for k in range(3):
        assert torch.equal(whole[k : k + 1], net(image[k : k + 1], mask[k : k + 1]))
    with pytest.raises(iz.ZooError, match=r"got .*\(3, 2, 256, 256\)"):
        net(image, torch.cat([mask, mask], 1))


def test_the_memory_of_transformed_kernels_is_expected():
    """The estimate of the strategies counts all weights that a fast form holds after its first call."""
    torch.manual_seed(0)
    net = iz.create_model("aot_gan", blocks=1)
    fast = iz.optimize(net)
    fast(torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64))
    held = weight_bytes(fast)
    for module in fast.modules():
        kernels = getattr(module, "_kernels", None)
        held += 0 if kernels is None else kernels.nbytes
    assert weight_bytes(net) < held <= fast_form_bytes(net)
