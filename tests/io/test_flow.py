"""Color-coded offsets: comparison with outputs of the authors' code, and the color key."""

import numpy as np
import pytest
import torch

from inpaint_zoo.io.flow import color_key, flow_colors
from inpaint_zoo.layers.contextual_attention import ContextualAttention
from tests.helpers.attention_cases import CASES, features, vector_masks
from tests.helpers.fill import read_vector


def test_recorded_colors():
    recorded = read_vector("ca_attention")["cases"]
    for case, (foreground, background, mask, options) in CASES.items():
        if "flow" not in recorded[case]:
            continue
        attention = ContextualAttention(**options)
        offsets = attention.offsets(features()[foreground], features()[background], vector_masks(mask))
        colors = flow_colors(offsets.numpy(), batch_running_max=True)
        shown = torch.from_numpy(colors).permute(0, 3, 1, 2).float() / 255
        shown = shown.repeat_interleave(8, 2).repeat_interleave(8, 3)
        wanted = recorded[case]["flow"]
        assert list(shown.shape) == wanted["output_shape"]
        assert shown.double().mean().item() == pytest.approx(wanted["mean"], abs=1e-6)
        assert shown.double().std().item() == pytest.approx(wanted["std"], abs=1e-6)


def test_lengths_are_relative_to_the_longest():
    offsets = np.zeros((2, 2, 1, 2), int)
    offsets[0, 0, 0, 0], offsets[1, 0, 0, 0] = 4, 2
    own, running = flow_colors(offsets), flow_colors(offsets, batch_running_max=True)
    assert (own[:, 0, 1] == 255).all()  # no offset
    np.testing.assert_array_equal(own[0], own[1])
    np.testing.assert_array_equal(own[0], running[0])
    # half the length: half way to white, down to a whole number
    np.testing.assert_array_equal(running[1, 0, 0], np.floor(255 - (255 - own[1, 0, 0].astype(float)) / 2))
    np.testing.assert_array_equal(flow_colors(offsets[::-1], batch_running_max=True), own[::-1])


def test_key_shows_the_colors_of_the_map():
    key = color_key(33)
    assert key.shape == (33, 33, 3)
    assert (key[[0, 0, -1, -1, 16], [0, -1, 0, -1, 16]] == 255).all()  # outside, and the middle
    for row, column in ((-16, 0), (16, 0), (0, 16), (0, -16), (8, 8)):
        offsets = np.zeros((1, 2, 1, 2), int)
        offsets[0, :, 0, 0] = row, column
        offsets[0, 0, 0, 1] = 16  # the longest
        np.testing.assert_allclose(flow_colors(offsets)[0, 0, 0].astype(int), key[16 + row, 16 + column], atol=1)
