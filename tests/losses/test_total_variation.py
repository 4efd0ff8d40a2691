"""Test total variation: closed forms, a slow implementation, recorded values."""

import pytest
import torch

from inpaint_zoo.errors import UnknownNameError, ZooError
from inpaint_zoo.losses import TotalVariation, total_variation
from tests.helpers.fill import losses_batch, read_vector, vector_image


def slow_tv(image, beta, joint, reduction, region=None):
    B, _C, H, W = image.shape
    image, inside = image.tolist(), None if region is None else region.tolist()

    def on(b, *pixels):
        return inside is None or all(inside[b][0][i][j] for i, j in pixels)

    totals, counts = [0.0, 0.0, 0.0], [0, 0, 0]  # right, down, joint
    for b in range(B):
        for plane in image[b]:
            for i in range(H):
                for j in range(W):
                    here, right, down = (i, j), (i, j + 1), (i + 1, j)
                    dx = plane[i][j + 1] - plane[i][j] if j + 1 < W else None
                    dy = plane[i + 1][j] - plane[i][j] if i + 1 < H else None
                    if dx is not None:
                        counts[0] += 1
                        totals[0] += abs(dx) ** beta * on(b, here, right)
                    if dy is not None:
                        counts[1] += 1
                        totals[1] += abs(dy) ** beta * on(b, here, down)
                    if dx is not None and dy is not None:
                        counts[2] += 1
                        totals[2] += (dx**2 + dy**2) ** (beta / 2) * on(b, here, right, down)
    values = [total / (count if reduction == "mean" else B) for total, count in zip(totals, counts, strict=True)]
    return values[2] if joint else values[0] + values[1]


@pytest.mark.parametrize("beta", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_against_a_slow_version(beta, joint, reduction):
    image = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(2, 1, 5, 7)
    mask[0, :, 1:4, 2:5] = 1
    mask[1, :, 4:, :2] = 1
    rim = torch.zeros_like(mask)
    rim[0, :, 0:5, 1:6] = 1
    rim[1, :, 3:, :3] = 1
    for region, changed, pixels in (
        ("image", image, None),
        ("masked", image * mask, None),
        ("dilated_hole", image, rim),
    ):
        got = TotalVariation(region, beta, joint, reduction)(image, mask).item()
        assert got == pytest.approx(slow_tv(changed, beta, joint, reduction, pixels), rel=1e-5), region


def test_by_hand():
    ramp = (torch.arange(4.0) * 0.1).expand(1, 3, 5, 4)  # steps of 0.1 to the right, none down
    assert total_variation(ramp).item() == pytest.approx(0.1)
    assert total_variation(ramp, beta=2).item() == pytest.approx(0.01)
    assert total_variation(ramp, reduction="sum").item() == pytest.approx(3 * 5 * 3 * 0.1)
    assert total_variation(ramp, joint=True, reduction="sum").item() == pytest.approx(3 * 4 * 3 * 0.1)
    assert total_variation(torch.full((1, 3, 4, 4), 0.3), joint=True).item() == 0


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("region", ["image", "masked", "dilated_hole"])
def test_a_batch_costs_the_mean_of_its_images(region, reduction, joint):
    image = torch.rand(3, 2, 6, 8, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(3, 1, 6, 8)
    mask[0, :, 1:3, 2:5] = mask[1, :, :, 4:] = 1
    variation = TotalVariation(region, 2, joint, reduction)
    alone = [variation(x[None], m[None]).item() for x, m in zip(image, mask, strict=True)]
    assert variation(image, mask).item() == pytest.approx(sum(alone) / 3, rel=1e-5)


@pytest.mark.parametrize("beta", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("joint", [False, True])
def test_gradients(beta, joint):
    image = torch.rand(1, 2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: total_variation(x, beta=beta, joint=joint), image)
    flat = torch.zeros(1, 1, 3, 3, requires_grad=True)  # the root's slope is infinite there
    total_variation(flat, beta=beta, joint=joint).backward()
    assert torch.equal(flat.grad, torch.zeros_like(flat))


def test_wrong_arguments():
    with pytest.raises(ZooError, match=r"`beta` must be at least 1 for a finite gradient, got 0\.5"):
        total_variation(torch.rand(1, 1, 4, 4), beta=0.5)
    with pytest.raises(UnknownNameError, match="Unknown region 'hole'"):
        TotalVariation("hole")
    with pytest.raises(UnknownNameError, match="Unknown reduction 'means'"):
        TotalVariation(reduction="means")
    with pytest.raises(ZooError, match="`mask` must be"):
        TotalVariation("masked")(torch.rand(1, 3, 4, 4), torch.zeros(1, 1, 4, 5))


def test_lgnet():
    target, pred, mask = losses_batch(64, 64, low=-1)
    merged = target * (1 - mask) + pred * mask
    recorded = read_vector("lgnet_losses_64")["values_named"]["tv"]
    assert TotalVariation("masked")(merged, mask).item() == pytest.approx(recorded, rel=1e-6)


@pytest.mark.parametrize("size", ["64x64", "256x256", "40x56"])
def test_glama(size):
    recorded = read_vector("tv_loss")["cases"][size]
    image = vector_image(*map(int, size.split("x")), phase=0.7)
    got = {
        "literal Eq.10 sum (interior)": total_variation(image, beta=2, joint=True, reduction="sum"),
        "literal Eq.10 mean over C*(H-1)*(W-1)": total_variation(image, beta=2, joint=True),
        "separable sum": total_variation(image, beta=2, reduction="sum"),
        "separable means: mean(dx^2)+mean(dy^2)": total_variation(image, beta=2),
        "beta=1 literal sum (isotropic TV)": total_variation(image, joint=True, reduction="sum"),
    }
    assert {name: value.item() for name, value in got.items()} == pytest.approx(recorded, rel=1e-5)
