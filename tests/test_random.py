"""Counter-based random numbers: known answers (docs/papers/masks.md, "Random numbers"), batches, words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpaint_zoo.random import Draws, integers, mix, sample_key
from tests.masks import plain


def draws(seed, stream, *indices):
    return Draws(seed, stream, np.array(indices, dtype=np.uint64))


def test_known_words():
    assert mix(0x9E3779B97F4A7C15) == 0xE220A8397B1DCDAF
    assert sample_key(0, "mask", 0) == 9409701217193880121
    assert sample_key(0, "mask", 1) == 11352888238043494968
    assert sample_key(1234, "mask", 7) == 16588082655090836119
    assert sample_key(0, "mask/0", 0) == 7782452556108142402


def test_known_words_of_attempts():
    assert sample_key(0, "mask", 0, [1]) == 8909538173907178057
    assert sample_key(0, "mask", 0, [2, 3]) == 13947320400849452448
    assert draws(0, "mask", 0).attempt(1).keys.tolist() == [8909538173907178057]
    assert draws(0, "mask", 0).attempt(2).attempt(3).keys.tolist() == [13947320400849452448]
    assert draws(0, "mask", 0).attempt(0).keys.tolist() == [9409701217193880121]


def test_known_uniforms():
    expected = [0.5903667200940539, 0.30762259418104676, 0.8244369130769837]
    assert draws(0, "mask", 0).table(0, 3).tolist() == [expected]
    assert draws(1234, "mask", 7).table(0, 2).tolist() == [[0.874740122220562, 0.3571044624031333]]


@given(
    seed=st.integers(0, 2**64 - 1),
    indices=st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=5),
    attempts=st.lists(st.integers(0, 9), max_size=3),
    first=st.integers(0, 2000),
)
def test_tables_equal_single_words(seed, indices, attempts, first):
    batch = draws(seed, "val", *indices).sub("t0.1")
    for attempt in attempts:
        batch = batch.attempt(attempt)
    for row, index in zip(batch.table(first, 3).tolist(), indices, strict=True):
        sample = plain.Sample(seed, "val/t0.1", index, attempts)
        assert sample.key == sample_key(seed, "val/t0.1", index, attempts)
        assert row == [sample.u(first + k) for k in range(3)]


def test_blocks_are_slots_of_their_owner():
    batch = draws(3, "train", 5, 6)
    blocks = batch.blocks(np.array([0, 1, 1]), np.array([2, 0, 7]), 1, 18)
    assert blocks[0].tolist() == batch.table(1 + 2 * 18, 18)[0].tolist()
    assert blocks[1].tolist() == batch.table(1, 18)[1].tolist()
    assert blocks[2].tolist() == batch.table(1 + 7 * 18, 18)[1].tolist()


def test_shared_draws_come_from_the_first_of_a_group():
    assert draws(0, "mask", 4, 5, 7).shared(4).keys.tolist() == draws(0, "mask", 4, 4, 4).keys.tolist()


@pytest.mark.parametrize(("low", "high"), [(0, 0), (1, 6), (-3, 2)])
def test_integers_include_both_ends(low, high):
    found = integers(np.linspace(0, 1, 1000, endpoint=False), low, high)
    assert sorted(set(found.tolist())) == list(range(low, high + 1))
