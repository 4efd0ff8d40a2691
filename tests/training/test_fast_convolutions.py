"""Convolutions of training steps by Winograd's filtering: values, gradients, and when they are used."""

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch import nn
from torch.nn import functional as F

from inpaint_zoo.models import LGNet
from inpaint_zoo.ops import winograd
from inpaint_zoo.training import FastConvolutions
from inpaint_zoo.training.fast_convolutions import WinogradMode
from tests.helpers.toys import ImageData

ROUNDING = 3e-5  # of the standard deviation


@pytest.fixture
def calls(monkeypatch):
    """Shapes of the inputs of all convolutions by Winograd's filtering."""
    found = []
    convolve = winograd.convolve
    monkeypatch.setattr(winograd, "convolve", lambda x, *rest: found.append(tuple(x.shape)) or convolve(x, *rest))
    return found


def leaves(*shapes, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).to(dtype).requires_grad_() for shape in shapes]


@pytest.mark.parametrize(("dilation", "side"), [(1, 24), (2, 24), (1, 48)])
def test_values_gradients_and_gradients_of_gradients(dilation, side, calls):
    inputs = leaves((2, 128, side, side), (128, 128, 3, 3), (128,))

    def everything(x, weight, bias):
        out = F.conv2d(x, weight, bias, (1, 1), (dilation, dilation), (dilation, dilation), 1)
        loss = out.square().sum()
        first = torch.autograd.grad(loss, (x, weight, bias), retain_graph=True)
        penalty = torch.autograd.grad(loss, x, create_graph=True)[0].square().mean()
        return out.detach(), *first, *torch.autograd.grad(penalty, (x, weight))

    expected = everything(*(each.detach().double().requires_grad_() for each in inputs))
    assert not calls
    with WinogradMode([]):
        got = everything(*inputs)
    assert calls
    for own, exact in zip(got, expected, strict=True):
        assert (own - exact).abs().max() < ROUNDING * exact.std()


def test_constant_kernels_are_transformed_once_and_trained_ones_each_time(monkeypatch):
    """A fused optimizer changes weights without a trace in their version."""
    x = torch.randn(2, 96, 16, 16)
    constant, trained = (nn.Conv2d(96, 96, 3, padding=1).requires_grad_(False) for _ in range(2))
    count = []
    transform = winograd.transform_kernels
    monkeypatch.setattr(winograd, "transform_kernels", lambda *args: count.append(1) or transform(*args))
    mode = WinogradMode(trained.parameters())
    for _ in range(2):
        with mode, torch.no_grad():
            constant(x)
    assert len(count) == 1
    with torch.no_grad():
        for _ in range(2):
            with mode:
                got = trained(x)
            torch.testing.assert_close(got, trained(x), atol=1e-4, rtol=1e-4)
            trained.weight.data.mul_(3)
    assert len(count) == 3


def test_other_convolutions_stay_direct(calls):
    wide, x = nn.Conv2d(96, 96, 3, padding=1), torch.randn(2, 96, 16, 16)
    with WinogradMode([]):
        nn.Conv2d(16, 16, 3, padding=1)(x[:, :16])
        nn.Conv2d(96, 96, 3, stride=2, padding=1)(x)
        nn.Conv2d(96, 96, 3, padding="same")(x)
        wide(x[:1])  # too few positions for weights that change
        wide.double()(x.double())
        with torch.autocast("cpu", torch.bfloat16):
            wide.float()(x)
    wide(x)
    assert not calls


class Watcher(Callback):
    """Counts the calls in each part of a run."""

    def __init__(self, calls):
        self.calls, self.counts = calls, []

    def on_train_batch_end(self, *args):
        self.counts.append(("step", len(self.calls)))

    def on_validation_start(self, *args):
        self.calls.clear()

    def on_validation_end(self, *args):
        self.counts.append(("validation", len(self.calls)))


def run(tmp_path, *callbacks):
    torch.manual_seed(0)
    module = LGNet(network="lgnet_tiny", vgg_weights="random", discriminator_width=8)
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        val_check_interval=1,
        num_sanity_val_steps=0,
        callbacks=list(callbacks),
    )
    trainer.fit(module, ImageData(side=64))
    return {name: float(value) for name, value in module.values.items()}


def test_a_training_uses_them_in_its_steps_only_and_has_the_same_losses(tmp_path, calls):
    plain = run(tmp_path)
    assert not calls
    watcher = Watcher(calls)
    fast = run(tmp_path, FastConvolutions(), watcher)
    assert all((count > 0) == (part == "step") for part, count in watcher.counts)
    assert {part for part, _ in watcher.counts} == {"step", "validation"}
    assert fast == pytest.approx(plain, rel=1e-3, abs=1e-5)


def test_an_interrupted_training_leaves_no_trace(tmp_path, calls):
    class Fails(Callback):
        def on_train_batch_start(self, *args):
            raise RuntimeError("at the start of a step")

    with pytest.raises(RuntimeError, match="at the start"):
        run(tmp_path, FastConvolutions(), Fails())
    calls.clear()
    nn.Conv2d(96, 96, 3, padding=1)(torch.randn(2, 96, 16, 16))
    assert not calls
