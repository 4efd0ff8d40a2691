"""Test the focal frequency loss: a value by hand, options against a slow implementation, the authors' values."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inpaint_zoo.errors import UnknownNameError, ZooError
from inpaint_zoo.losses import FocalFrequencyLoss, focal_frequency
from tests.helpers.fill import read_vector, vector_image

OPTIONS = {
    "default alpha=1": {},
    "alpha=2": {"alpha": 2},
    "log_matrix": {"log_matrix": True},
    "batch_matrix": {"batch_matrix": True},
    "patch_factor=2": {"patch_factor": 2},
    "ave_spectrum (batch 2)": {"average_spectrum": True},
    "default alpha=1 (batch 2)": {},
}


def slow(
    pred,
    target,
    alpha=1.0,
    patch_factor=1,
    average_spectrum=False,
    log_matrix=False,
    batch_matrix=False,
    normalize=True,
    reduction="mean",
):
    """Compute the loss patch by patch and channel by channel, in float64."""
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
    if normalize and batch_matrix:
        weight = weight / weight.max()
    elif normalize:
        for b in range(len(weight)):
            for p in range(patch_factor**2):
                for c in range(C):
                    weight[b, p, c] /= weight[b, p, c].max()
    values = [(image * d[b] ** 2) for b, image in enumerate(weight)]
    return sum(value.mean() if reduction == "mean" else value.sum() for value in values) / len(values)


@pytest.mark.parametrize("size", [64, 256, (40, 56)], ids=str)
@pytest.mark.parametrize("case", OPTIONS)
def test_recorded(size, case):
    H, W = size if isinstance(size, tuple) else (size, size)
    recorded = read_vector("focal_frequency_loss")["cases"][f"{H}x{W} {case}"]
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
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    reduction=st.sampled_from(["mean", "sum"]),
    seed=st.integers(0, 99),
)
def test_against_a_slow_version(alpha, patch_factor, flags, reduction, seed):
    generator = torch.Generator().manual_seed(seed)
    pred, target = torch.rand(2, 2, 3, 12, 18, generator=generator)
    options = dict(zip(("average_spectrum", "log_matrix", "batch_matrix", "normalize"), flags, strict=True))
    options["reduction"] = reduction
    got = focal_frequency(pred, target, alpha=alpha, patch_factor=patch_factor, **options)
    expected = slow(pred, target, alpha=alpha, patch_factor=patch_factor, **options)
    assert got.item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("size", [64, 256, (40, 56)], ids=str)
def test_equations_of_glama_taken_literally(size):
    """Eq. 8 and 9 do not normalize the weight; with the unnormalized DFT, the mean is (H W)^1.5 times as large."""
    H, W = size if isinstance(size, tuple) else (size, size)
    recorded = read_vector("focal_frequency_loss")["cases"]
    name = f"{H}x{W} literal Eq.8-9"
    loss = FocalFrequencyLoss(normalize=False)(vector_image(H, W, 0.7), vector_image(H, W)).item()
    (orthonormal,) = (case["loss"] for key, case in recorded.items() if key.startswith(f"{name}, orthonormal"))
    (unnormalized,) = (case["loss"] for key, case in recorded.items() if key.startswith(f"{name} of the paper"))
    assert loss == pytest.approx(orthonormal, rel=1e-5)
    assert loss * (H * W) ** 1.5 == pytest.approx(unnormalized, rel=1e-5)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("normalize", [True, False])
def test_a_batch_costs_the_mean_of_its_images(reduction, normalize):
    pred, target = torch.rand(2, 4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    pred[0] *= 0.1  # images of different errors
    loss = FocalFrequencyLoss(normalize=normalize, reduction=reduction)
    alone = [loss(x[None], y[None]).item() for x, y in zip(pred, target, strict=True)]
    assert loss(pred, target).item() == pytest.approx(sum(alone) / 4, rel=1e-5)
    assert FocalFrequencyLoss(reduction="sum")(pred, target).item() == pytest.approx(
        FocalFrequencyLoss()(pred, target).item() * 3 * 16 * 16, rel=1e-5
    )
    for option in ("average_spectrum", "batch_matrix"):
        mixing = FocalFrequencyLoss(**{option: True})
        alone = [mixing(x[None], y[None]).item() for x, y in zip(pred, target, strict=True)]
        assert mixing(pred, target).item() != pytest.approx(sum(alone) / 4, rel=1e-2)


def test_the_same_images_cost_nothing_and_give_no_nan():
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
    with pytest.raises(ZooError, match="`patch_factor` must divide height and width of 10 x 12, got 4"):
        FocalFrequencyLoss(patch_factor=4)(torch.rand(1, 3, 10, 12), torch.rand(1, 3, 10, 12))
    with pytest.raises(ZooError, match="`patch_factor` must be at least 1, got 0"):
        FocalFrequencyLoss(patch_factor=0)


def test_wrong_arguments():
    with pytest.raises(UnknownNameError, match=r"Unknown reduction 'summ'\. Did you mean 'sum'"):
        FocalFrequencyLoss(reduction="summ")
    with pytest.raises(ZooError, match="`batch_matrix` needs `normalize=True`"):
        FocalFrequencyLoss(batch_matrix=True, normalize=False)
