"""Test DiffAugment against a slow implementation per image, and its invariants."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inpaint_zoo.errors import UnknownNameError
from inpaint_zoo.ops.diff_augment import (
    Colors,
    change_colors,
    check_augment_steps,
    diff_augment,
    draw_colors,
    draw_shifts,
    translate,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(B=3, H=9, W=12, dtype=torch.float32, seed=1):
    return 2 * torch.rand(B, 3, H, W, generator=seeded(seed), dtype=dtype) - 1


def slow(image, brightness, saturation, contrast, down, right):
    """Augment one image, pixel by pixel for the translation."""
    x = image + brightness
    x = torch.stack([saturation * (channel - x.mean(0)) + x.mean(0) for channel in x])
    x = contrast * (x - x.mean()) + x.mean()
    _, H, W = x.shape
    out = torch.zeros_like(x)
    for row in range(H):
        for column in range(W):
            if 0 <= row - down < H and 0 <= column - right < W:
                out[:, row, column] = x[:, row - down, column - right]
    return out


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 20), st.integers(2, 20))
def test_batches_equal_the_slow_version_image_by_image(seed, H, W):
    x = images(3, H, W, torch.float64, seed)
    colors, shifts = draw_colors(3, generator=seeded(seed)), draw_shifts(3, (H, W), generator=seeded(seed))
    fast = translate(change_colors(x, colors), shifts)
    by_hand = [
        slow(x[n], *(value[n].double() for value in colors), *(int(value) for value in shifts[n])) for n in range(3)
    ]
    assert torch.allclose(fast, torch.stack(by_hand), atol=1e-12)


def test_draws_lie_where_the_policy_says():
    colors, shifts = draw_colors(4000, generator=seeded()), draw_shifts(4000, (256, 64), generator=seeded())
    for value, low, high in zip(colors, (-0.5, 0, 0.5), (0.5, 2, 1.5), strict=True):
        assert low <= value.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < value.max() <= high
        assert value.mean() == pytest.approx((low + high) / 2, abs=0.03)
    assert [(int(x.min()), int(x.max())) for x in shifts.unbind(1)] == [(-32, 32), (-8, 8)]
    assert len(shifts[:, 0].unique()) == 65
    assert int(draw_shifts(500, (12, 12), generator=seeded()).max()) == 2  # 1.5, rounded half up


def test_no_strength_changes_nothing():
    x = images()
    assert torch.allclose(change_colors(x, draw_colors(3, 0.0)), x, atol=1e-6)
    assert torch.equal(translate(x, draw_shifts(3, (9, 12), 0.0)), x)
    assert torch.equal(diff_augment([x], [])[0], x)


def test_each_image_has_numbers_of_its_own_and_a_seed_repeats_them():
    x = images(1).expand(4, -1, -1, -1)
    one, again, other = (diff_augment([x], ["color", "translation"], generator=seeded(n))[0] for n in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert all(not torch.equal(one[0], one[n]) for n in range(1, 4))


def test_what_belongs_together_moves_together_in_colors_of_its_own():
    x, mask = images(4, 16, 16), (torch.rand(4, 1, 16, 16, generator=seeded()) > 0.5).float()
    real, fake, hole = diff_augment([x, x], ["color", "translation"], moved=[mask], generator=seeded())
    only_moved = diff_augment([x, x], ["translation"], moved=[mask], generator=seeded(3))
    assert torch.equal(only_moved[0], only_moved[1])
    assert not torch.equal(real, fake)
    assert set(hole.unique().tolist()) == {0.0, 1.0}
    shifts = draw_shifts(4, (16, 16), generator=seeded(3))
    assert torch.equal(only_moved[2], translate(mask, shifts))
    came_in = translate(torch.ones_like(mask), shifts) == 0
    assert came_in.any()
    assert (only_moved[0].masked_select(came_in) == 0).all()
    assert (only_moved[2].masked_select(came_in) == 0).all()  # known


def test_values_may_leave_the_range():
    white = torch.ones(1, 3, 4, 4)
    bright = change_colors(white, Colors(torch.tensor([0.5]), torch.tensor([1.0]), torch.tensor([1.0])))
    assert torch.equal(bright, torch.full((1, 3, 4, 4), 1.5))


def test_it_is_differentiable():
    x = images(2, 4, 5, torch.float64).requires_grad_()
    colors, shifts = draw_colors(2, generator=seeded()), torch.tensor([[1, -2], [0, 1]])
    assert torch.autograd.gradcheck(lambda x: translate(change_colors(x, colors), shifts), (x,))
    grad = torch.autograd.grad(translate(x, shifts).sum(), x)[0]
    assert torch.equal(grad, _stays(shifts, 4, 5).expand_as(grad))


def _stays(shifts, H, W):
    return translate(torch.ones(len(shifts), 1, H, W, dtype=torch.float64), -shifts)


def test_an_unknown_step_is_refused():
    check_augment_steps("augment", ["color", "translation"])
    with pytest.raises(UnknownNameError, match=r"Unknown `augment`: 'colour'\. Did you mean 'color'"):
        check_augment_steps("augment", ["colour"])
