"""Test spreading known colors into the hole: closed forms for lines and grids, and bounds for any mask."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inpaint_zoo.masks import create_mask
from inpaint_zoo.ops import spread_known


def scene(H, W, seed=0):
    return torch.rand(1, 3, H, W, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("every", [2, 3, 4, 5])
def test_a_line_becomes_the_mean_of_both_sides(every):
    image, mask = scene(24, 31), torch.zeros(1, 1, 24, 31)
    mask[..., every:-1:every] = 1
    filled = spread_known(image, mask)
    for column in range(every, 30, every):
        sides = (image[..., column - 1] + image[..., column + 1]) / 2
        torch.testing.assert_close(filled[..., column], sides, atol=1e-6, rtol=0)


def test_every_second_pixel_becomes_the_bilinear_interpolation():
    coarse = scene(9, 9)
    mask = torch.ones(1, 1, 17, 17)
    mask[..., ::2, ::2] = 0
    image = torch.zeros(1, 3, 17, 17)
    image[..., ::2, ::2] = coarse
    expected = torch.nn.functional.interpolate(coarse, (17, 17), mode="bilinear", align_corners=True)
    torch.testing.assert_close(spread_known(image, mask), expected, atol=1e-6, rtol=0)


@given(H=st.integers(16, 70), W=st.integers(16, 70), share=st.floats(0, 1), seed=st.integers(0, 99))
def test_any_hole_stays_within_the_known_colors(H, W, share, seed):
    image = scene(H, W, seed)
    mask = (torch.rand(1, 1, H, W, generator=torch.Generator().manual_seed(seed + 1)) < share).float()
    mask[..., : H // 2, : W // 2] = 1
    mask[..., -1, -1] = 0
    filled = spread_known(image, mask)
    known = (mask == 0).expand_as(image)
    assert torch.equal(filled[known], image[known])
    low, high = image[known].reshape(3, -1).amin(1), image[known].reshape(3, -1).amax(1)
    assert (filled.amin((0, 2, 3)) >= low - 1e-5).all()
    assert (filled.amax((0, 2, 3)) <= high + 1e-5).all()


def test_without_known_pixels_gray_and_each_image_alone():
    image = torch.cat([scene(40, 20), scene(40, 20, 1)])
    mask = torch.stack([torch.ones(1, 40, 20), torch.from_numpy(create_mask("cmod", (40, 20), seed=1))[None].float()])
    filled = spread_known(image, mask)
    assert (filled[0] == 0.5).all()
    torch.testing.assert_close(filled[1:], spread_known(image[1:], mask[1:]), atol=1e-6, rtol=0)
