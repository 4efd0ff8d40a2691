"""Test SM-PatchGAN: soft labels, and the losses of discriminator and generator."""

import pytest
import torch

from inpaint_zoo.errors import UnknownNameError, ZooError
from inpaint_zoo.losses import SoftPatchLoss, soft_label
from tests.helpers import authors_losses as authors
from tests.helpers.fill import losses_batch, read_vector, vector_mask


def test_a_blur_by_hand():
    mask = torch.zeros(1, 1, 3, 5)
    mask[..., 1, 2] = 1
    side = 2.718281828**-0.5  # sigma 1, one pixel away
    row = [side / (1 + 2 * side), 1 / (1 + 2 * side), side / (1 + 2 * side)]
    expected = torch.tensor([[0, *(a * b for b in row), 0] for a in row])
    torch.testing.assert_close(soft_label(mask, kernel=3, sigma=1)[0, 0], expected)


def test_losses_by_hand():
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 2:6, 2:6] = 1
    real, fake = torch.full((1, 1, 2, 2), 0.3), torch.full((1, 1, 2, 2), 0.4)
    loss = SoftPatchLoss(kernel=3, sigma=1)
    label = soft_label(mask, 3, 1)
    expected = 0.3**2 + (0.4 - label).square().mean().item()
    assert loss.discriminator(real, fake, mask).item() == pytest.approx(expected)
    assert loss.generator(fake, mask).item() == pytest.approx(0.4**2)
    assert SoftPatchLoss("released").generator(fake, mask).item() == pytest.approx(0.6**2)
    assert loss.generator(fake, torch.zeros_like(mask)).item() == 0


def test_wrong_arguments():
    with pytest.raises(UnknownNameError, match="Unknown target 'fake'"):
        SoftPatchLoss("fake")
    with pytest.raises(ZooError, match=r"`mask` must be \(2, 1, 8, 8\), got \(1, 1, 8, 8\)"):
        SoftPatchLoss().generator(torch.zeros(2, 1, 2, 2), torch.zeros(1, 1, 8, 8))


@pytest.mark.parametrize("side", [64, 256])
def test_recorded_labels(side):
    vector = read_vector("aot_gan_losses")
    centre = torch.zeros(1, 1, side, side)
    centre[..., side // 4 : 3 * side // 4, side // 4 : 3 * side // 4] = 1
    masks = {"standard": vector_mask(side, side), "centre square side/2": centre, "all hole": torch.ones_like(centre)}
    for name, mask in masks.items():
        label, entry = soft_label(mask), vector["soft_labels"][str(side)][name]
        values = label.flatten()[entry["indices"]]
        assert values.tolist() == pytest.approx(entry["values"], abs=2e-6), name
        assert label.double().sum().item() == pytest.approx(entry["sum"], rel=1e-5)
    row = torch.zeros(1, 1, 1, 141)
    row[..., 70] = 1
    one_dimensional = soft_label(row)[0, 0, 0, 35:106] / soft_label(row)[0, 0, 0].sum()
    assert one_dimensional.tolist() == pytest.approx(vector["gaussian"], rel=1e-4)


@pytest.mark.parametrize("side", [64, 256])
def test_recorded_game(side):
    recorded = read_vector("aot_gan_losses")["networks"][str(side)]
    target, pred, mask = losses_batch(side, side, low=-1)
    network = authors.aot_discriminator().requires_grad_(False)
    pred.requires_grad_()
    real, fake = network(target), network(target * (1 - mask) + pred * mask)
    ours, released = SoftPatchLoss(), SoftPatchLoss("released")
    got = {
        "SM D total": ours.discriminator(real, fake, mask).item(),
        "SM D fake: mse(upsampled D(fake), soft label)": ours.fake(fake, mask).item(),
        "SM D real: mse(upsampled D(real), 0)": ours.real(real, mask).item(),
        "SM G as the code runs (scalar mse, so the mask cancels)": released.generator(fake, mask).item(),
        "SM G with the real label 0, per pixel, masked": ours.generator(fake, mask).item(),
        "L2 norm of d(SM G)/d(pred)": authors.gradient_norm(released.generator(fake, mask), pred),
    }
    assert got == pytest.approx({name: recorded[name] for name in got}, rel=1e-4)
