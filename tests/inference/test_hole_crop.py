"""Boxes around separate holes: what fast forms compute, and what they leave out."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

import inpaint_zoo as iz
from inpaint_zoo.inference.fusion import Box, hole_boxes
from tests.helpers.images import shaken


def mask_of(size, *corners):
    mask = torch.zeros(1, 1, *size)
    for top, left, bottom, right in corners:
        mask[..., top:bottom, left:right] = 1
    return mask


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(0, 9), st.sampled_from([1, 4, 8]))
def test_every_pixel_within_reach_is_in_one_box(data, reach, multiple):
    height, width = (multiple * data.draw(st.integers(1, 96 // multiple)) for _ in range(2))
    count, seed = data.draw(st.integers(0, 60)), data.draw(st.integers(0, 2**16))
    places = torch.randint(height * width, (count,), generator=torch.Generator().manual_seed(seed))
    mask = torch.zeros(height * width).index_fill(0, places, 1).view(1, 1, height, width)
    boxes = hole_boxes(mask, reach, multiple)
    times = torch.zeros(height, width)
    for box in boxes:
        assert all(side % multiple == 0 for side in box)
        assert 0 <= box.top < box.bottom <= height
        assert 0 <= box.left < box.right <= width
        times[box.scaled(1)] += 1
    assert times.max() <= 1
    grown = F.max_pool2d(mask, 2 * reach + 1, 1, reach)[0, 0]
    assert times[grown > 0].eq(1).all()


def test_distant_holes_get_boxes_of_their_own_and_near_ones_a_common_one():
    far = mask_of((96, 128), (0, 0, 10, 10), (80, 100, 90, 110))
    assert sorted(hole_boxes(far, 3)) == [Box(0, 0, 16, 16), Box(76, 96, 96, 116)]
    assert hole_boxes(mask_of((96, 128), (8, 8, 40, 40), (8, 56, 40, 88)), 3) == [Box(4, 4, 44, 92)]
    assert hole_boxes(mask_of((96, 128)), 3) == []
    assert hole_boxes(torch.ones(1, 1, 64, 64), 3) == [Box(0, 0, 64, 64)]


@pytest.mark.parametrize("name", ["contextual_attention_tiny", "glcic_tiny", "lgnet_tiny"])
def test_fast_forms_with_scattered_holes(name):
    torch.manual_seed(0)
    net = shaken(iz.create_model(name))
    image = torch.rand(2, 3, 192, 192)
    corners = (0, 0, 20, 24), (90, 96, 100, 110), (170, 10, 192, 31), (20, 160, 61, 192)
    mask = mask_of((192, 192), *corners).repeat(2, 1, 1, 1)
    mask[1, 0, 140:150, 150:170] = 1
    assert len(hole_boxes(mask, 15)) > 1
    fast = iz.optimize(net)
    with torch.no_grad():
        for hole in (mask, torch.zeros_like(mask)):
            expected = net.stages(image, hole)
            for stage, found in fast.stages(image, hole).items():
                torch.testing.assert_close(found * hole, expected[stage] * hole, atol=1e-5, rtol=0)
