"""The vectorized kinds against the plain version in `plain.py`, bit for bit, including attempts and streams."""

import numpy as np
import pytest

from inpaint_zoo.masks import create_generator
from inpaint_zoo.masks.kinds.walk import clamped
from tests.masks import plain

SIZES = [(256, 256), (97, 211), (300, 64)]
PLAIN = {
    "lama_irregular": plain.lama_irregular,
    "lama_box": lambda s, H, W: plain.lama_box(s, H, W, margin=2, high=90),
    "dfv2_brush": plain.dfv2_brush,
    "random_walk": plain.random_walk,
}
ARGS = {"lama_box": {"margin": 2, "bbox_max_size": 90}}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("size", SIZES)
def test_kinds_equal_the_plain_version(name, size):
    indices = [0, 1, 17, 123456] if name != "random_walk" else [3, 9]
    found = create_generator(name, seed=42, limits={"min_hole": 0, "min_known": 0}, **ARGS.get(name, {})).batch(
        indices, size
    )
    for mask, index in zip(found, indices, strict=True):
        assert np.array_equal(mask, PLAIN[name](plain.Sample(42, "mask/0", index), *size))


@pytest.mark.parametrize(("last", "steps"), [(1, 5000), (3, 9000), (15, 70_000), (40, 3000)])
def test_long_walks_between_close_borders(last, steps):
    rng = np.random.default_rng(last)
    for start in (0, last // 2, last):
        moves = rng.integers(-1, 2, steps, dtype=np.int8)
        x, wanted = start, []
        for move in moves.tolist():
            x = plain.clip(x + move, 0, last)
            wanted.append(x)
        assert clamped(start, moves, last).tolist() == wanted


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("hole_range", [(0.0, 1.0), (0.2, 0.4)])
def test_cmod_equals_the_plain_version_attempt_by_attempt(size, hole_range):
    generator = create_generator("cmod", seed=5, stream="test", hole_range=list(hole_range))
    for index, mask in zip(range(8), generator.batch(range(8), size), strict=True):
        for attempt in range(1000):
            wanted = plain.cmod(plain.Sample(5, "test/0", index, [0, attempt]), *size, *hole_range)
            if hole_range[0] < wanted.mean() < hole_range[1]:
                break
        assert np.array_equal(mask, wanted)
        assert generator.meta(index, size)["component_attempts"] == attempt + 1


def test_a_mixture_with_rejection_equals_the_plain_version():
    generator = create_generator("lama_medium_256", seed=1, stream="val", accept={"hi": 0.2})
    attempts = []
    for index in range(12):
        for attempt in range(100):
            if plain.Sample(1, "val/choice", index, [attempt]).u(0) < 1 / 1.3:
                sample = plain.Sample(1, "val/0", index, [attempt])
                wanted = plain.lama_irregular(sample, 256, 256, 4, 100, 50, 4, 5)
            else:
                wanted = plain.lama_box(plain.Sample(1, "val/1", index, [attempt]), 256, 256, 0, 10, 50, 1, 5)
            if wanted.mean() <= 0.2:
                break
        attempts.append(attempt + 1)
        assert np.array_equal(generator(index, 256), wanted)
        assert generator.meta(index, 256)["attempts"] == attempt + 1
    assert max(attempts) > 1


def test_nested_scopes_equal_the_plain_version():
    """A stroke type in a mixture with its own range: the nested preset's rejection loop runs inside the outer one."""
    component = {"kind": "strokes", "args": {"shape": "thick", "size": 256}}
    generator = create_generator({"components": [component], "accept": {"lo": 0.3}}, seed=9)
    outer_attempts = []
    for index in range(6):
        for outer in range(100):
            for inner in range(100):
                if plain.Sample(9, "mask/0/choice", index, [outer, inner]).u(0) < 1 / 1.3:
                    wanted = plain.lama_irregular(plain.Sample(9, "mask/0/0", index, [outer, inner]), 256, 256)
                else:
                    wanted = plain.lama_box(plain.Sample(9, "mask/0/1", index, [outer, inner]), 256, 256, max_times=3)
                if wanted.mean() <= 0.5:
                    break
            if wanted.mean() > 0.3:
                break
        outer_attempts.append(outer)
        assert np.array_equal(generator(index, 256), wanted)
    assert max(outer_attempts) > 0


def test_union_of_box_and_brush_equals_the_plain_version():
    generator = create_generator("dfv2", seed=2)
    for index in range(4):
        s = plain.Sample(2, "mask/0", index)
        top, left = s.whole(0, 0, 127), s.whole(1, 0, 127)
        dh, dw = s.whole(2, 0, 16), s.whole(3, 0, 16)
        wanted = plain.dfv2_brush(plain.Sample(2, "mask/1", index), 256, 256)
        wanted[top + dh : top + 128 - dh, left + dw : left + 128 - dw] = 1
        assert np.array_equal(generator(index, 256), wanted)
        assert generator.meta(index, 256)["bbox"] == (top, left, 128, 128)
