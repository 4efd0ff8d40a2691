"""Test inference forms against the layers that they replace, and the fallback where oneDNN's operators are missing."""

import copy
import importlib
import pickle
import platform
from pathlib import Path

import pytest
import torch
from torch import nn

import inpaint_zoo as iz
from inpaint_zoo.errors import ZooError
from inpaint_zoo.inference.fusion import FusedConv2d, fold, fold_affine, fuse, onednn
from inpaint_zoo.layers.ffc import FFC, FFCNormAct
from inpaint_zoo.models.glama import LaMaGenerator, fused
from inpaint_zoo.models.glama.fused import FusedHead
from tests.helpers.images import sample, shaken


def check_fused_conv():
    torch.manual_seed(0)
    plain = nn.Conv2d(6, 10, 3, stride=2, padding=1, groups=2)
    fast = FusedConv2d(plain)
    x, into = torch.randn(2, 6, 13, 9), torch.randn(2, 10, 7, 5)
    with torch.no_grad():
        expected = plain(x)
        torch.testing.assert_close(fast(x), expected)
        torch.testing.assert_close(fast(x, relu=True), expected.relu())
        torch.testing.assert_close(fast(x, into=into.clone()), into + expected)
        target = into.clone()
        torch.testing.assert_close(fast(x, relu=True, into=target), (into + expected).relu())
        torch.testing.assert_close(target, (into + expected).relu())
        # weights laid out for one shape serve others
        torch.testing.assert_close(fast(x[:1, ..., 2:]), plain(x[:1, ..., 2:]))


def test_fused_convolution():
    check_fused_conv()


@pytest.mark.filterwarnings("ignore:TF32 acceleration")  # torch's own, on restoring its flags
def test_fused_convolution_elsewhere():
    with torch.backends.mkldnn.flags(enabled=False):
        check_fused_conv()


def test_without_private_operators(monkeypatch):
    """Another version of PyTorch may lack them."""
    a, b = torch.randn(2, 5, 7), torch.randn(2, 7, 4)
    expected = onednn.matrix_products(a, b)
    assert onednn.uses_onednn(a)
    monkeypatch.setattr(onednn, "HAS_OPERATORS", False)
    assert not onednn.uses_onednn(a)
    torch.testing.assert_close(onednn.matrix_products(a, b), expected)
    check_fused_conv()
    check_joined_activations()


def test_a_fused_convolution_is_copied_and_pickled_after_use():
    fast = FusedConv2d(nn.Conv2d(3, 4, 3))
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        expected = fast(x)
        for twin in (copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))):
            assert torch.equal(twin(x), expected)


def check_joined_activations():
    torch.manual_seed(0)
    x, into = torch.randn(2, 6, 9, 12), torch.randn(2, 8, 9, 12)
    for activation in (nn.ReLU(), nn.Tanh(), nn.LeakyReLU(0.3)):
        for convolution in (nn.Conv2d(6, 8, 3, padding=1), nn.ConvTranspose2d(6, 8, 3, padding=1)):
            pair = nn.Sequential(convolution, activation)
            fast = fuse(copy.deepcopy(pair))
            assert isinstance(fast[1], nn.Identity)
            with torch.no_grad():
                torch.testing.assert_close(fast(x), pair(x))
                if isinstance(convolution, nn.Conv2d):
                    torch.testing.assert_close(fast[0](x, into=into.clone()), activation(into + convolution(x)))


def test_activations_are_joined():
    check_joined_activations()


@pytest.mark.filterwarnings("ignore:TF32 acceleration")  # torch's own, on restoring its flags
def test_activations_are_joined_elsewhere():
    with torch.backends.mkldnn.flags(enabled=False):
        check_joined_activations()


def test_only_the_first_activation_is_joined():
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.ReLU())
    x = torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(fuse(copy.deepcopy(layers))(x), layers(x))


def test_other_paddings_are_refused():
    with pytest.raises(ZooError, match="FusedConv2d supports only zero padding given as integers"):
        FusedConv2d(nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"))


@pytest.mark.parametrize("width", [20, 21, 22, 23])
@pytest.mark.parametrize("bias", [True, False])
def test_fused_head(width, bias):
    plain = nn.Conv2d(5, 3, (7, 5), bias=bias)
    x = torch.randn(2, 5, 11, width)
    with torch.no_grad():
        torch.testing.assert_close(FusedHead(plain)(x), plain(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("convolution", [nn.Conv2d(4, 6, 3, bias=False), nn.ConvTranspose2d(4, 6, 3, 2)])
def test_fold(convolution):
    pair = shaken(nn.Sequential(convolution, nn.BatchNorm2d(6)))
    x = torch.randn(2, 4, 9, 9)
    with torch.no_grad():
        expected = pair(x)
        torch.testing.assert_close(fold(*pair)(x), expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(fuse(copy.deepcopy(pair))(x), expected, atol=1e-5, rtol=1e-5)


def test_fold_affine():
    convolution, scale, bias = nn.Conv2d(4, 6, 3, bias=False), torch.rand(6), torch.rand(6)
    x = torch.randn(1, 4, 9, 9)
    with torch.no_grad():
        expected = convolution(x) * scale.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)
        torch.testing.assert_close(fold_affine(convolution, scale, bias)(x), expected)


@pytest.mark.parametrize(
    ("ratios", "stride", "local_fourier"),
    [((0.0, 0.0), 1, False), ((0.0, 0.5), 2, False), ((0.75, 0.75), 1, True), ((0.5, 0.0), 1, False)],
)
def test_ffc_with_every_path(ratios, stride, local_fourier):
    torch.manual_seed(0)
    layer = shaken(FFCNormAct(FFC(16, 32, 3, *ratios, stride, 1, local_fourier=local_fourier)))
    context = int(16 * ratios[0])
    x = tuple(torch.randn(2, n, 12, 12) if n else None for n in (16 - context, context))
    with torch.no_grad():
        expected, got = layer(x), fuse(layer)(tuple(None if b is None else b.clone() for b in x))
    for a, b in zip(expected, got, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(b, a, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("size", [(16, 16), (45, 64), (130, 97), (200, 312)])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("band", [1, 2**20])
@pytest.mark.parametrize("downsamplings", [1, 3])
def test_the_generator_in_bands(size, batch, band, downsamplings, monkeypatch):
    """Bands from sixteen rows up to the whole image."""
    monkeypatch.setattr(fused, "BAND", band)
    torch.manual_seed(0)
    net = shaken(LaMaGenerator(blocks=2, width=8, downsamplings=downsamplings))
    image, mask = sample(size, batch=batch)
    with torch.no_grad():
        plain, fast = net.stages(image, mask), iz.optimize(net).stages(image, mask)
    torch.testing.assert_close(fast["prediction"], plain["prediction"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["contextual_attention_tiny", "glama_tiny", "grig_tiny", "isnet_tiny", "lgnet_tiny"])
def test_fusing_again_changes_nothing(name):
    """Also for a network that occurs in several places of another one."""
    fast = iz.optimize(iz.create_model(name, weights="shipped"))
    image, mask = sample((40, 56))
    with torch.no_grad():
        expected = fast(image, mask)
        assert torch.equal(iz.optimize(fast)(image, mask), expected)
        net = iz.create_model(name, weights="shipped")
        shared, apart = (iz.two_stage(net, second, coarse_size=32) for second in (net, copy.deepcopy(net)))
        assert torch.equal(iz.optimize(shared)(image, mask), iz.optimize(apart)(image, mask))


def test_bfloat16_leaves_spectra_alone():
    net = iz.optimize(shaken(LaMaGenerator(blocks=1, width=8)), "bf16")
    types = {name: value.dtype for name, value in net.network.named_parameters()}
    assert types["model.3.conv1.g2g.fu.convolution.weight"] == torch.float32
    assert types["model.3.conv1.l2l.weight"] == types["model.0.first.weight"] == torch.bfloat16


def test_inpaint_uses_the_fast_form_and_notices_new_weights(monkeypatch):
    """Unless the caller passes an optimized network or switches it off."""
    module = importlib.import_module("inpaint_zoo.inference.optimize")  # the package has a function of that name
    made = []
    original = module.optimize
    monkeypatch.setattr(module, "optimize", lambda net: made.append(net) or original(net))
    net = shaken(LaMaGenerator(blocks=1, width=4))
    image, mask = sample((24, 24))
    first = iz.inpaint(net, image, mask)
    assert torch.equal(iz.inpaint(net, image, mask), first)
    assert made == [net]
    with torch.no_grad():
        torch.testing.assert_close(first, net(image, mask), atol=1e-5, rtol=0)
        net.model[-2].bias += 1
    second = iz.inpaint(net, image, mask)
    assert made == [net, net]
    assert not torch.equal(first, second)
    own = original(net)
    assert torch.equal(iz.inpaint(own, image, mask), second)
    with torch.no_grad():
        assert torch.equal(iz.inpaint(net, image, mask, fast=False), net(image, mask))
    iz.inpaint(net.train(), image, mask)
    assert made == [net, net]
    assert net.training


def test_bfloat16_without_its_instructions(monkeypatch):
    net = iz.create_model("autoencoder_tiny")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert iz.optimize(net, "auto").precision == "fp32"
    with pytest.warns(UserWarning, match="This CPU has no bfloat16 instructions, so precision 'bf16' is about ten"):
        assert iz.optimize(net, "bf16").precision == "bf16"
    with pytest.raises(iz.UnknownNameError, match="'fp16'"):
        iz.optimize(net, "fp16")


def test_bfloat16_with_its_instructions(monkeypatch, recwarn):
    """The processor's flags, as Linux lists them, decide if nothing limits oneDNN."""
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    listed = Path("/proc/cpuinfo")
    if not listed.is_file() or platform.machine() != "x86_64":
        pytest.skip("needs the processor's flags")
    flags = next(line for line in listed.read_text().splitlines() if line.startswith("flags")).split()
    expected = "bf16" if {"avx512_bf16", "amx_tile"} & set(flags) else "fp32"
    assert iz.optimize(iz.create_model("autoencoder_tiny"), "auto").precision == expected
    assert not recwarn
