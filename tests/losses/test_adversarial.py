"""Test GAN losses: formulas, label maps, and the authors' values."""

import math

import pytest
import torch
from torch.nn import functional as F

import inpaint_zoo as iz
from inpaint_zoo.errors import UnknownNameError, ZooError
from inpaint_zoo.losses import AdversarialLoss, mask_to_logits
from tests.helpers import authors_losses as authors
from tests.helpers.fill import losses_batch, read_vector

NAMES = ("hinge", "lsgan", "lsgan_sigmoid", "non_saturating", "wgan")


def slow_side(name, side, d):
    """Compute the loss of one logit by its definition."""
    p = 1 / (1 + math.exp(-d))
    return {
        "hinge": {"real": max(0, 1 - d), "fake": max(0, 1 + d), "generator": -d},
        "lsgan": {"real": (d - 1) ** 2, "fake": d**2, "generator": (d - 1) ** 2},
        "lsgan_sigmoid": {"real": (p - 1) ** 2, "fake": p**2, "generator": (p - 1) ** 2},
        "non_saturating": {"real": -math.log(p), "fake": -math.log(1 - p), "generator": -math.log(p)},
        "wgan": {"real": -d, "fake": d, "generator": -d},
    }[name][side]


def logits(*shape, seed=0):
    return 2 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", NAMES)
def test_both_sides(name):
    loss = AdversarialLoss(name)
    real, fake = logits(2, 1, 3, 3), logits(2, 1, 3, 3, seed=1)

    def mean(side, x):
        return sum(slow_side(name, side, d) for d in x.flatten().tolist()) / x.numel()

    assert loss.real(real).item() == pytest.approx(mean("real", real), rel=1e-5)
    assert loss.fake(fake).item() == pytest.approx(mean("fake", fake), rel=1e-5)
    assert loss.generator(fake).item() == pytest.approx(mean("generator", fake), rel=1e-5)
    both = mean("real", real) + mean("fake", fake)
    assert loss.discriminator(real, fake).item() == pytest.approx(both, rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_hole_maps(name):
    loss = AdversarialLoss(name)
    fake = logits(2, 1, 3, 3)
    hole_map = (logits(2, 1, 3, 3, seed=2) > 0).float()
    cells = list(zip(fake.flatten().tolist(), hole_map.flatten().tolist(), strict=True))
    paid = sum(slow_side(name, "fake" if hole else "real", d) for d, hole in cells) / len(cells)
    assert loss.fake(fake, hole_map).item() == pytest.approx(paid, rel=1e-5)
    hoped = sum(slow_side(name, "generator", d) for d, hole in cells if hole) / len(cells)
    assert loss.generator(fake, hole_map).item() == pytest.approx(hoped, rel=1e-5)
    assert loss.fake(fake, torch.ones_like(fake)).item() == pytest.approx(loss.fake(fake).item())
    assert loss.fake(fake, torch.zeros_like(fake)).item() == pytest.approx(loss.real(fake).item())


@pytest.mark.parametrize("name", NAMES)
def test_gradients(name):
    x = logits(1, 1, 2, 3).double().requires_grad_()
    loss = AdversarialLoss(name)
    for side in (loss.real, loss.fake, loss.generator):
        assert torch.autograd.gradcheck(side, x)


def test_non_saturating_is_cross_entropy_with_labels():
    loss, d = AdversarialLoss("non_saturating"), logits(2, 1, 4, 4)
    ones, zeros = torch.ones_like(d), torch.zeros_like(d)
    torch.testing.assert_close(loss.real(d), F.binary_cross_entropy_with_logits(d, ones))
    torch.testing.assert_close(loss.fake(d), F.binary_cross_entropy_with_logits(d, zeros))
    assert loss.fake(torch.tensor([1e4])).item() == 1e4  # no logarithm of 0
    assert loss.real(logits(4).half()).dtype == torch.float32


def test_masks_at_the_logits_size():
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 3, 5] = 1  # between the pixels that nearest looks at: 0, 2, 4, 6
    d = torch.zeros(1, 1, 4, 4)
    assert mask_to_logits(mask, d).sum() == 0
    assert mask_to_logits(mask, d, "max").nonzero().tolist() == [[0, 0, 1, 2]]
    assert torch.equal(mask_to_logits(mask, torch.zeros(1, 1, 8, 8)), mask)
    uneven = torch.arange(10.0).view(1, 1, 1, 10)
    assert mask_to_logits(uneven, torch.zeros(1, 1, 1, 4)).flatten().tolist() == [0, 2, 5, 7]  # floor(i 10 / 4)


@pytest.mark.parametrize("name", NAMES)
def test_shares_in_the_hole_map(name):
    """A label between 0 and 1 mixes both losses per logit; gradients agree with finite differences."""
    loss, fake = AdversarialLoss(name), logits(1, 1, 3, 4)
    share = torch.rand(1, 1, 3, 4, generator=torch.Generator().manual_seed(3))
    cells = list(zip(fake.flatten().tolist(), share.flatten().tolist(), strict=True))
    paid = sum(p * slow_side(name, "fake", d) + (1 - p) * slow_side(name, "real", d) for d, p in cells) / len(cells)
    assert loss.fake(fake, share).item() == pytest.approx(paid, rel=1e-5)
    hoped = sum(p * slow_side(name, "generator", d) for d, p in cells) / len(cells)
    assert loss.generator(fake, share).item() == pytest.approx(hoped, rel=1e-5)
    x, share = fake.double().requires_grad_(), share.double()
    assert torch.autograd.gradcheck(lambda d: loss.fake(d, share), x)
    assert torch.autograd.gradcheck(lambda d: loss.generator(d, share), x)


def test_a_share_is_the_probability_that_the_discriminator_learns():
    """The gradient of cross entropy, (sigmoid(D) - (1 - share)) / number of logits, is 0 if sigmoid(D) = 1 - share."""
    share = torch.tensor([[0.25, 0.5, 0.9]], dtype=torch.float64)
    loss = AdversarialLoss("non_saturating")
    at_odds = torch.log((1 - share) / share).requires_grad_()
    (gradient,) = torch.autograd.grad(loss.fake(at_odds, share), at_odds)
    assert gradient.abs().max() < 1e-12
    d = torch.tensor([[0.3, -1.0, 2.0]], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss.fake(d, share), d)
    torch.testing.assert_close(gradient, (torch.sigmoid(d.detach()) - (1 - share)) / 3)


def test_modes_of_the_label_map_are_checked():
    mask, d = torch.ones(1, 1, 64, 64), torch.zeros(1, 1, 7, 7)
    with pytest.raises(UnknownNameError, match=r"Unknown mode 'areas'\. Did you mean 'area'"):
        mask_to_logits(mask, d, "areas")
    with pytest.raises(ZooError, match=r'`mode="coverage"` needs the discriminator'):
        mask_to_logits(mask, d, "coverage")
    with pytest.raises(ZooError, match=r"receptive fields must be \(1, 1, 7, 7\) to match .*, got \(1, 1, 6, 6\)"):
        mask_to_logits(mask, d, "coverage", iz.create_discriminator("patchgan70", width=1))


def test_wrong_arguments():
    with pytest.raises(UnknownNameError, match=r"Unknown adversarial loss 'nsgan'.*nsgan and vanilla are 'non_sat"):
        AdversarialLoss("nsgan")
    with pytest.raises(
        ZooError, match=r"`hole_map` must be \(1, 1, 3, 3\) to match the prediction, got \(1, 1, 9, 9\)"
    ):
        AdversarialLoss("hinge").fake(logits(1, 1, 3, 3), torch.ones(1, 1, 9, 9))


def test_grig_on_given_logits():
    recorded = read_vector("grig_losses")["given_logits"]
    i = torch.arange(72.0).view(2, 1, 6, 6)
    real, fake = 1.5 * torch.sin(0.7 * i + 0.3), (1.5 * torch.sin(0.4 * i - 0.2)).requires_grad_()
    label = torch.tensor([[[[float(x) for x in row] for row in rows]] for rows in recorded["X rows"]])
    loss = AdversarialLoss("hinge")
    total = loss.discriminator(real, fake, label)
    got = {
        "D real term mean relu(1-D)": loss.real(real).item(),
        "D forged-patch term": loss.fake(fake, label).item(),
        "D total": total.item(),
        "L2 norm of d(D total)/d(fake logits)": authors.gradient_norm(total, fake),
        "G patch term, paper Eq.5: -mean(D*X)": loss.generator(fake, label).item(),
        "G patch term, authors code: -mean(D)": loss.generator(fake).item(),
        "E real": loss.real(real).item(),
        "E fake": loss.fake(fake).item(),
        "E total": loss.discriminator(real, fake).item(),
        "G adv -mean(E)": loss.generator(fake).item(),
    }
    assert got == pytest.approx({name: recorded[name] for name in got}, abs=1e-6)


@pytest.mark.parametrize("case", ["64", "64_corner", "256_corner"])
def test_grig_with_its_patch_discriminator(case):
    recorded = read_vector("grig_losses")["networks"][case]
    side = int(case.split("_")[0])
    target, pred, mask = losses_batch(side, side, low=-1)
    if case.endswith("corner"):
        corner = torch.zeros(1, 1, side, side)
        corner[..., :16, :16] = 1
        mask = torch.cat([corner, corner.roll(11, 3)])
    label = authors.grig_label_map(mask)
    assert label.sum() == recorded["label sum"]
    network, loss = authors.grig_patch_discriminator(), AdversarialLoss("hinge")
    with torch.no_grad():
        real, fake = network(target), network(target * (1 - mask) + pred * mask)
    got = {
        "D real": loss.real(real),
        "D forged-patch (known + forged)": loss.fake(fake, label),
        "D total": loss.discriminator(real, fake, label),
        "G patch, paper Eq.5": loss.generator(fake, label),
        "G patch, authors code (logged)": loss.generator(fake),
    }
    assert {name: value.item() for name, value in got.items()} == pytest.approx(
        {name: recorded[name] for name in got}, abs=1e-5
    )


def test_isnet():
    named = read_vector("isnet_losses_64")["values_named"]
    target, pred, _ = losses_batch(64, 64, low=0)
    network = authors.isnet_discriminator()
    with torch.no_grad():
        real, fake = network(target)[0], network(pred)[0]
    hinge, bce = AdversarialLoss("hinge"), AdversarialLoss("non_saturating")
    got = {
        "hinge_D_real_textbook": hinge.real(real),
        "hinge_D_fake": hinge.fake(fake),
        "hinge_G": hinge.generator(fake),
        "nsgan_G": bce.generator(fake),
        "nsgan_D_real": bce.real(real),
        "nsgan_D_fake": bce.fake(fake),
        "lsgan_G_sigmoid": AdversarialLoss("lsgan_sigmoid").generator(fake),
    }
    assert {name: value.item() for name, value in got.items()} == pytest.approx(
        {name: named[name] for name in got}, abs=2e-6
    )


def test_aot_gan_nsgan():
    recorded = read_vector("aot_gan_losses")["networks"]["64"]
    target, pred, mask = losses_batch(64, 64, low=-1)
    network, loss = authors.aot_discriminator(), AdversarialLoss("non_saturating")
    with torch.no_grad():
        real, fake = network(target), network(target * (1 - mask) + pred * mask)
    assert loss.discriminator(real, fake).item() == pytest.approx(recorded["nsgan D"], abs=1e-5)
    assert loss.generator(fake).item() == pytest.approx(recorded["nsgan G"], abs=1e-5)
