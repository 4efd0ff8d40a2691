"""Crop rules: properties of the geometry, and pixels against manual resizing."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from inpaint_zoo.data.crops import CROPS, cut, windows
from inpaint_zoo.errors import ZooError

sides = st.integers(20, 3000)  # thinner images give a hundred thousand crops
sources = st.tuples(sides, sides)
sizes = st.tuples(st.integers(1, 600), st.integers(1, 600))
draws = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))


def found(rule, source, size, draw=(0, 0)):
    try:
        return windows(rule, source, size, draw)
    except ZooError:
        assume(False)


@given(st.sampled_from([rule for rule in CROPS if rule != "none"]), sources, sizes, draws)
def test_every_window_lies_inside_and_has_the_size(rule, source, size, draw):
    for window in found(rule, source, size, draw):
        assert window.size == size
        assert 0 <= window.top <= window.resized[0] - size[0]
        assert 0 <= window.left <= window.resized[1] - size[1]


@given(sources, sizes)
def test_center_covers_the_size_and_nothing_more(source, size):
    (window,) = found("center", source, size)
    (H, W), (h, w) = source, window.resized
    assert h == size[0] or w == size[1]
    # the aspect ratio is kept up to half a pixel of the longer side
    assert abs(h * W - w * H) <= max(H, W) / 2
    # centered up to half a pixel
    assert abs(2 * window.top + size[0] - h) <= 1
    assert abs(2 * window.left + size[1] - w) <= 1


@given(sources, sizes)
def test_grid_crops_do_not_overlap_and_are_all_that_fit(source, size):
    crops = found("grid", source, size)
    H, W = crops[0].resized
    assert len({crop.resized for crop in crops}) == 1
    assert crops[0].resized[0] == 2 * size[0] or crops[0].resized[1] == 2 * size[1]
    assert len(crops) == (H // size[0]) * (W // size[1]) >= 4
    tops, lefts = sorted({crop.top for crop in crops}), sorted({crop.left for crop in crops})
    assert all(b - a == size[0] for a, b in pairwise(tops))
    assert all(b - a == size[1] for a, b in pairwise(lefts))
    # the number of crops does not depend on the EXIF rotation
    turned = found("grid", source[::-1], size[::-1])
    assert len(turned) == len(crops)


@given(sources, sizes, draws)
def test_random_keeps_the_resolution_of_large_images(source, size, draw):
    (window,) = found("random", source, size, draw)
    large = source[0] >= size[0] and source[1] >= size[1]
    assert window.resized == source if large else window.resized != source


def test_random_reaches_every_place_evenly():
    tops = [windows("random", (10, 9), (7, 9), (k * 2**32 // 4000, 0))[0].top for k in range(4000)]
    assert np.bincount(tops).tolist() == [1000] * 4


@pytest.mark.parametrize("rule", ["center", "resize", "grid", "random"])
def test_an_image_that_fits_is_not_touched(rule):
    rgb = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    size = (32, 32) if rule == "grid" else (64, 64)
    crops = [cut(rgb, window) for window in windows(rule, (64, 64), size)]
    whole = np.block([[[crops[0]], [crops[1]]], [[crops[2]], [crops[3]]]]) if rule == "grid" else crops[0]
    np.testing.assert_array_equal(whole, rgb)


def test_pixels_are_those_of_resizing_by_hand():
    rgb = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    by_hand = np.asarray(Image.fromarray(rgb).resize((48, 32), Image.Resampling.BICUBIC))[:, 8:40]
    np.testing.assert_array_equal(cut(rgb, windows("center", (60, 90), (32, 32))[0]), by_hand)


def test_shrinking_averages_instead_of_skipping():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    small = cut(stripes, windows("resize", (256, 256), (32, 32))[0])
    assert np.abs(small.astype(int) - 127).max() <= 5  # without antialiasing it would be all black or all white


def test_absurd_enlargement_is_refused():
    with pytest.raises(ZooError, match="5000 x 1 would have to be enlarged to 1280000 x 256 pixels"):
        windows("center", (1, 5000), (256, 256))
    assert windows("none", (1, 5000), None)[0].size == (1, 5000)
    assert windows("resize", (1, 5000), (256, 256))[0].resized == (256, 256)
