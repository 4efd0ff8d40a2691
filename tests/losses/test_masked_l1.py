"""Test the masked L1 loss: closed forms, a slow implementation, the authors' values."""

import pytest
import torch

from inpaint_zoo.errors import UnknownNameError, ZooError
from inpaint_zoo.losses import MaskedL1, masked_l1, spatial_discount, weighted_l1
from tests.helpers.fill import losses_batch, read_vector, vector_image, vector_mask

DIVISORS = ("pixels", "area_per_image", "area", "hole_fraction")


def images(B=3, side=6, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    pred, target = torch.rand(2, B, 3, side, side, generator=generator, dtype=dtype)
    mask = (torch.rand(B, 1, side, side, generator=generator) < 0.3).to(dtype)
    return pred, target, mask


def slow_l1(pred, target, mask, known, hole, divisor):
    """Compute the loss pixel by pixel, by the papers' formulas."""
    B, C, H, W = pred.shape
    per_image, areas = [], []
    for b in range(B):
        sums, counts = [0.0, 0.0], [0, 0]
        for i in range(H):
            for j in range(W):
                region = int(mask[b, 0, i, j])
                counts[region] += 1
                sums[region] += sum(abs(pred[b, c, i, j].item() - target[b, c, i, j].item()) for c in range(C))
        per_image.append(sums)
        areas.append(counts)
    weights = (known, hole)
    if divisor == "area_per_image":
        terms = [w * s / (C * a) for sums, counts in zip(per_image, areas, strict=True)
                 for w, s, a in zip(weights, sums, counts, strict=True) if a]  # fmt: skip
        return sum(terms) / B
    total = [sum(sums[r] for sums in per_image) for r in (0, 1)]
    area = [sum(counts[r] for counts in areas) for r in (0, 1)]
    if divisor == "area":
        return sum(w * t / (C * a) for w, t, a in zip(weights, total, area, strict=True) if a)
    mean = (known * total[0] + hole * total[1]) / (B * C * H * W)
    return mean if divisor == "pixels" else mean / (area[1] / sum(area))


@pytest.mark.parametrize("divisor", DIVISORS)
@pytest.mark.parametrize(("known", "hole"), [(1, 6), (10, 0), (0, 1)])
def test_against_a_slow_version(divisor, known, hole):
    pred, target, mask = images()
    mask[1] = 0  # one image without a hole
    got = MaskedL1(known, hole, divisor)(pred, target, mask).item()
    assert got == pytest.approx(slow_l1(pred, target, mask, known, hole, divisor), rel=1e-5)


def test_by_hand():
    mask = torch.tensor([[[[1.0, 0, 0, 0]]], [[[1.0, 1, 1, 0]]]])
    pred, target = torch.zeros(2, 3, 1, 4), torch.zeros(2, 3, 1, 4)
    pred[0, :, :, 0] = 0.6  # the only hole pixel of the first image: 0.6 over its own area
    pred[1, :, :, 3] = 0.2  # the only known pixel of the second
    value = {d: masked_l1(pred, target, mask, 1, 10, d).item() for d in DIVISORS}
    assert value["area_per_image"] == pytest.approx((0.6 * 10 + 0.2) / 2)
    assert value["area"] == pytest.approx(0.6 * 10 / 4 + 0.2 / 4)
    assert value["pixels"] == pytest.approx((0.6 * 10 + 0.2) / 8)
    assert value["hole_fraction"] == pytest.approx((0.6 * 10 + 0.2) / 8 / 0.5)


@pytest.mark.parametrize("divisor", DIVISORS)
def test_empty_regions_add_nothing_and_give_finite_gradients(divisor):
    pred, target, mask = images()
    pred.requires_grad_()
    for region, known, hole in ((torch.zeros_like(mask), 0, 1), (torch.ones_like(mask), 1, 0)):
        value = masked_l1(pred, target, region, known, hole, divisor)
        assert value.item() == 0
        value.backward()
        assert pred.grad.abs().sum() == 0
    assert masked_l1(pred, target, torch.zeros_like(mask), divisor="hole_fraction").item() == 0


@pytest.mark.parametrize("divisor", DIVISORS)
def test_gradients(divisor):
    pred, target, mask = images(2, 3, torch.float64)
    loss = MaskedL1(1, 6, divisor)
    assert torch.autograd.gradcheck(lambda x: loss(x, target, mask), pred.requires_grad_())


def test_half_precision_is_summed_in_float32():
    pred, target, mask = images(2, 128)
    exact = masked_l1(pred.half(), target.half(), mask, 1, 6, "area_per_image")
    assert exact.dtype == torch.float32
    assert exact.item() == pytest.approx(masked_l1(pred, target, mask, 1, 6, "area_per_image").item(), rel=1e-3)


def test_wrong_arguments():
    pred, target, mask = images()
    with pytest.raises(UnknownNameError, match=r"Unknown L1 divisor 'pixel'\. Did you mean 'pixels'"):
        MaskedL1(divisor="pixel")
    with pytest.raises(ZooError, match=r"`target` must be \(3, 3, 6, 6\) to match the prediction, got \(1, 3, 6, 6\)"):
        masked_l1(pred, target[:1], mask)
    with pytest.raises(ZooError, match=r"`mask` must be \(3, 1, 6, 6\), got \(3, 3, 6, 6\)"):
        masked_l1(pred, target, mask.expand(-1, 3, -1, -1))
    with pytest.raises(ZooError, match=r"`weight` must be \(3, 1, 6, 6\), got \(2, 1, 6, 6\)"):
        weighted_l1(pred, target, mask[:2])


def test_lgnet():
    named = read_vector("lgnet_losses_64")["values_named"]
    target, pred, mask = losses_batch(64, 64, low=-1)
    assert masked_l1(pred, target, mask, 1, 0, "area_per_image").item() == pytest.approx(named["valid"], rel=1e-6)
    assert masked_l1(pred, target, mask, 0, 1, "area_per_image").item() == pytest.approx(named["hole"], rel=1e-6)
    both = MaskedL1(1, 6, "area_per_image")(pred, target, mask).item()
    assert both == pytest.approx(named["valid"] + 6 * named["hole"], rel=1e-6)


def test_isnet_and_aot_gan():
    named = read_vector("isnet_losses_64")["values_named"]
    target, pred, mask = losses_batch(64, 64, low=0)
    assert MaskedL1(divisor="hole_fraction")(pred, target, mask).item() == pytest.approx(named["l1_weight1"], rel=1e-6)
    assert MaskedL1()(pred, target, mask).item() == pytest.approx(named["l1_plain"], rel=1e-6)
    for side in (64, 256):
        target, pred, mask = losses_batch(side, side, low=-1)
        recorded = read_vector("aot_gan_losses")["networks"][str(side)]["L1(pred, gt)"]
        assert MaskedL1()(pred, target, mask).item() == pytest.approx(recorded, rel=1e-6)


@pytest.mark.parametrize("side", [64, 256])
def test_lama(side):
    recorded = read_vector("lama_losses")["cases"][f"{side}_eval"]["l1 (known 10, missing 0)"]
    real, fake, mask = vector_image(side, side), vector_image(side, side, 0.7), vector_mask(side, side)
    real, fake, mask = (torch.cat([x, x.flip(3)]) for x in (real, fake, mask))
    assert MaskedL1(10, 0)(fake, real, mask).item() == pytest.approx(recorded, rel=1e-6)


def contextual_case():
    """Return ground truth, both predictions, mask and the crop of the box from `ca_losses`."""
    target, flipped, mask = losses_batch(256, 256, low=-1)
    mask = torch.zeros_like(mask)
    mask[:, :, 67:181, 81:187] = 1
    return target, flipped, 1.6 * flipped + 0.1, mask, (..., slice(60, 188), slice(70, 198))


def test_contextual_attention():
    recorded = read_vector("ca_losses")
    target, coarse, fine, mask, box = contextual_case()
    discount = spatial_discount(128, 128)
    crops = [(x * mask + target * (1 - mask))[box] for x in (coarse, fine)]
    l1 = [weighted_l1(x, target[box], discount).item() for x in crops]
    ae = [masked_l1(x, target, mask, 1, 0).item() for x in (coarse, fine)]
    named = recorded["synthetic"]["values_named"]
    expected = [
        named["l1_coarse_without_factor"],
        named["l1_fine"],
        named["ae_coarse_without_factor"],
        named["ae_fine"],
    ]
    assert [*l1, *ae] == pytest.approx(expected, rel=2e-6)
    assert [1.2 * l1[0] + l1[1], 1.2 * ae[0] + ae[1]] == pytest.approx([named["l1"], named["ae"]], rel=2e-6)
    tensorflow = [masked_l1(x, target, mask, 1, 0, "area").item() for x in (coarse, fine)]
    raw = [weighted_l1(x[box], target[box], discount).item() for x in (coarse, fine)]
    variants = recorded["synthetic_variants"]
    assert 1.2 * tensorflow[0] + tensorflow[1] == pytest.approx(variants["ae_tf"], rel=2e-6)
    assert 1.2 * raw[0] + raw[1] == pytest.approx(variants["l1_tf"], rel=2e-6)


def test_spatial_discount():
    recorded = read_vector("ca_losses")["spatial_discount_mask"]
    discount = spatial_discount(128, 128)
    assert list(discount.shape) == recorded["shape"]
    assert discount.double().sum().item() == pytest.approx(recorded["sum"], rel=1e-7)
    rows = discount[0, 0]
    for row in (0, 1, 64):
        assert rows[row, :4].tolist() == pytest.approx(recorded[f"row{row}_first4"], rel=1e-6)
    assert rows[-1, -4:].tolist() == pytest.approx(recorded["last_row_last4"], rel=1e-6)
    assert rows[:4].double().sum(1).tolist() == pytest.approx(recorded["row_sums_first4"], rel=1e-6)
    assert rows[64, 64].item() == pytest.approx(recorded["centre_[64,64]"], rel=1e-6)


def test_discount_of_an_oblong_box():
    discount = spatial_discount(4, 6, gamma=0.5)[0, 0]
    by_hand = [[max(0.5 ** min(i, 4 - i), 0.5 ** min(j, 6 - j)) for j in range(6)] for i in range(4)]
    assert discount.tolist() == by_hand
