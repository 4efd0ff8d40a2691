"""Focal frequency loss: a value by hand, its options by a slow second version, and the authors' values."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inpaint_zoo.errors import ZooError
from inpaint_zoo.losses import FocalFrequencyLoss, focal_frequency
from tests.fill import read_vector, vector_image

OPTIONS = {
    "default alpha=1": {},
    "alpha=2": {"alpha": 2},
    "log_matrix": {"log_matrix": True},
    "batch_matrix": {"batch_matrix": True},
    "patch_factor=2": {"patch_factor": 2},
    "ave_spectrum (batch 2)": {"average_spectrum": True},
    "default alpha=1 (batch 2)": {},
}


def slow(pred, target, alpha=1.0, patch_factor=1, average_spectrum=False, log_matrix=False, batch_matrix=False):
    """Patch by patch and channel by channel, in float64."""
    B, C, H, W = pred.shape
    h, w = H // patch_factor, W // patch_factor
    spectra = torch.zeros(2, B, patch_factor**2, C, h, w, dtype=torch.complex128)
    for which, image in enumerate((pred, target)):
        for b in range(B):
            for p in range(patch_factor**2):
                y, x = divmod(p, patch_factor)
                for c in range(C):
                    patch = image[b, c, y * h : (y + 1) * h, x * w : (x + 1) * w].double()
                    spectra[which, b, p, c] = torch.fft.fft2(patch) / (h * w) ** 0.5
    if average_spectrum:
        spectra = spectra.mean(1, keepdim=True)
    d = (spectra[0] - spectra[1]).abs()
    weight = d**alpha
    if log_matrix:
        weight = torch.log(weight + 1)
    if batch_matrix:
        weight = weight / weight.max()
    else:
        for b in range(len(weight)):
            for p in range(patch_factor**2):
                for c in range(C):
                    weight[b, p, c] /= weight[b, p, c].max()
    return (weight * d**2).mean()


@pytest.mark.parametrize("size", [64, 256, (40, 56)], ids=str)
@pytest.mark.parametrize("case", OPTIONS)
def test_recorded(shared, size, case):
    H, W = size if isinstance(size, tuple) else (size, size)
    recorded = read_vector(shared, "focal_frequency_loss")["cases"][f"{H}x{W} {case}"]
    pred, target = vector_image(H, W, 0.7), vector_image(H, W)
    if "batch 2" in case:
        pred, target = (torch.cat([x, x.flip(3)]) for x in (pred, target))
    pred.requires_grad_()
    loss = FocalFrequencyLoss(**OPTIONS[case])(pred, target)
    loss.backward()
    assert loss.item() == pytest.approx(recorded["loss"], rel=1e-5)
    assert pred.grad.double().norm().item() == pytest.approx(recorded["grad_l2"], rel=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    alpha=st.sampled_from([0.5, 1.0, 2.0]),
    patch_factor=st.sampled_from([1, 2, 3]),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    seed=st.integers(0, 99),
)
def test_against_a_slow_version(alpha, patch_factor, flags, seed):
    generator = torch.Generator().manual_seed(seed)
    pred, target = torch.rand(2, 2, 3, 12, 18, generator=generator)
    options = dict(zip(("average_spectrum", "log_matrix", "batch_matrix"), flags, strict=True))
    got = focal_frequency(pred, target, alpha=alpha, patch_factor=patch_factor, **options)
    expected = slow(pred, target, alpha=alpha, patch_factor=patch_factor, **options)
    assert got.item() == pytest.approx(expected.item(), rel=1e-4)


def test_the_same_pictures_cost_nothing_and_give_no_nan():
    image = torch.rand(1, 3, 16, 16).requires_grad_()
    loss = FocalFrequencyLoss()(image, image.detach())
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(image.grad, torch.zeros_like(image))


def test_full_precision_under_autocast():
    pred, target = vector_image(40, 56, 0.7), vector_image(40, 56)
    with torch.autocast("cpu", torch.bfloat16):
        half = FocalFrequencyLoss()(pred, target)
    assert half.dtype == torch.float32
    assert half.item() == FocalFrequencyLoss()(pred, target).item()


def test_patches_must_fit():
    with pytest.raises(ZooError, match="`patch_factor` must divide both sides of 10 x 12, got 4"):
        FocalFrequencyLoss(patch_factor=4)(torch.rand(1, 3, 10, 12), torch.rand(1, 3, 10, 12))
    with pytest.raises(ZooError, match="`patch_factor` must be 1 or more, got 0"):
        FocalFrequencyLoss(patch_factor=0)
