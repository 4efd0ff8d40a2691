"""Test the hole share of cells and receptive fields: by hand, by brute force, and on grids finer than the cells."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import inpaint_zoo as iz
from inpaint_zoo.losses import SoftPatchLoss, mask_to_logits, soft_label
from inpaint_zoo.ops import area_coverage, field_coverage

GRIDS = [*(("nearest_neighbor", {"scale": n}, 1 - 1 / n**2, n) for n in (2, 3, 4))]
GRIDS += [("every_n_lines", {"n": n, "direction": "vertical"}, 1 / n, n) for n in (2, 3, 4)]


def random_mask(H, W, share=0.3, count=2):
    return (torch.rand(count, 1, H, W, generator=torch.Generator().manual_seed(1)) < share).float()


def grid(name, args, side=256):
    return torch.from_numpy(iz.create_mask(name, size=(side, side), **args)).float()[None, None]


def convolutions(network):
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]


def test_cells_by_hand():
    mask = torch.tensor([[1.0, 1, 0, 0, 0], [1, 0, 0, 0, 1]])[None, None]
    shares = area_coverage(mask, (1, 2))  # cells of 2 x 2.5 pixels
    torch.testing.assert_close(shares, torch.tensor([[[[3 / 5, 1 / 5]]]]))
    assert torch.equal(area_coverage(mask, (2, 5)), mask)
    torch.testing.assert_close(area_coverage(mask, (4, 10)), mask.repeat_interleave(2, 2).repeat_interleave(2, 3))


@pytest.mark.parametrize(("H", "W", "size"), [(256, 256, (19, 19)), (37, 64, (7, 30)), (9, 8, (13, 5))])
def test_cells_against_finer_pixels(H, W, size):
    """Split every pixel into h x w parts, so that cells contain no fractions of a pixel."""
    mask = random_mask(H, W)
    fine = mask.repeat_interleave(size[0], 2).repeat_interleave(size[1], 3)
    shares = area_coverage(mask, size)
    torch.testing.assert_close(shares, F.avg_pool2d(fine, (H, W)), atol=1e-6, rtol=0)
    torch.testing.assert_close(shares.mean((2, 3)), mask.mean((2, 3)), atol=1e-6, rtol=0)


def test_no_share_exceeds_one():
    for H in range(60, 68):
        full = torch.ones(1, 1, H, 61)
        assert area_coverage(full, (7, 19)).max() <= 1
        assert area_coverage(full, (7, 19)).min() > 1 - 1e-6


@pytest.mark.parametrize(("name", "side"), [("lama", 40), ("patchgan70", 48)])
def test_fields_against_gradients(name, side):
    """By brute force: a pixel belongs to a receptive field if the logit's gradient reaches it."""
    network = iz.create_discriminator(name, width=1)
    layers = convolutions(network)
    mask = random_mask(side, side, count=1)
    image = torch.zeros(1, 1, side, side, requires_grad=True)
    x = image
    for layer in layers:  # of ones, so that no gradient cancels
        x = F.conv2d(x, torch.ones(1, 1, *layer.kernel_size), None, layer.stride, layer.padding)
    shares = field_coverage(mask, layers)
    assert shares.shape[2:] == x.shape[2:] == network(torch.zeros(1, 3, side, side)).shape[2:]
    for share, logit in zip(shares.flatten(), x.flatten(), strict=True):
        (gradient,) = torch.autograd.grad(logit, image, retain_graph=True)
        assert share.item() == pytest.approx(mask[gradient > 0].mean().item(), abs=1e-6)


def test_fields_outside_the_image_have_no_hole():
    layer = nn.Conv2d(1, 1, 1, padding=2)
    shares = field_coverage(torch.ones(1, 1, 3, 3), [layer])[0, 0]
    assert torch.equal(shares, F.pad(torch.ones(3, 3), (2, 2, 2, 2)))


@pytest.mark.parametrize(("name", "args", "share", "period"), GRIDS)
def test_grids_keep_their_share(name, args, share, period):
    """LaMa's 19 x 19 logits at 256 px: cells of 13.5 px, receptive fields of up to 142 px."""
    mask, logits = grid(name, args), torch.zeros(1, 1, 19, 19)
    critic = iz.create_discriminator("lama", width=1)
    # a window of L pixels holds L / period lines, and one line more or less at most
    line = (1 - 1 / period) / (256 / 19)
    bound = line if name == "every_n_lines" else 2 * line / period + line**2
    area = mask_to_logits(mask, logits, "area")
    assert (area - share).abs().max() <= bound + 1 / 256
    assert area.mean().item() == pytest.approx(mask.mean().item(), abs=1e-6)
    field = mask_to_logits(mask, logits, "coverage", critic)
    assert (field - share).abs().max() < 0.025
    assert mask_to_logits(mask, logits, "max").all()  # a hole in every cell


def test_the_nearest_pixel_of_a_grid_is_a_matter_of_its_phase():
    """A third of the columns are holes, but 1, 10 or 9 of 19 sampled columns are, depending on the grid's offset."""
    lines = grid("every_n_lines", {"n": 3, "direction": "vertical"})
    logits = torch.zeros(1, 1, 19, 19)
    means = [mask_to_logits(lines.roll(shift, -1), logits, "nearest").mean().item() for shift in range(3)]
    assert means == pytest.approx([1 / 19, 10 / 19, 9 / 19])
    shares = [mask_to_logits(lines.roll(shift, -1), logits, "area") for shift in range(3)]
    assert max((share - 1 / 3).abs().max().item() for share in shares) < 19 / 256  # a line in a cell


def test_soft_labels_of_grids_need_no_other_kind():
    """AOT-GAN's label keeps full resolution; its blur of 10 px makes a grid uniform, except near the border."""
    for name, args, _, _ in GRIDS:
        mask = grid(name, args, 128)
        assert (soft_label(mask)[..., 36:-36, 36:-36] - mask.mean()).abs().max() < 0.02, name
    assert SoftPatchLoss().kernel == 71


def test_shares_in_half_precision_are_those_of_full_precision():
    mask = random_mask(64, 64)
    layers = convolutions(iz.create_discriminator("lama", width=1))
    for function, argument in ((area_coverage, (7, 7)), (field_coverage, layers)):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(function(mask, argument), function(mask.half(), argument))
        assert torch.equal(function(mask, argument), function(mask.half(), argument))
