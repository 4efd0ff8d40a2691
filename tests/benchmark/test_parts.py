"""How samples are shared, stored and merged: the results of a cell do not depend on who computes which sample."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inpaint_zoo.benchmark.breakdown import Clock
from inpaint_zoo.benchmark.compute import Watch, compute_part, worker_threads
from inpaint_zoo.benchmark.kept_parts import Keeping, KeptParts
from inpaint_zoo.benchmark.parts import Part, merge_parts
from inpaint_zoo.benchmark.plan import make_plan, open_sources
from inpaint_zoo.benchmark.ranks.group import Ranks
from inpaint_zoo.benchmark.ranks.orders import BrokenError, Failed, whole
from inpaint_zoo.metrics import FID
from tests.helpers.suites import METRICS, small_suite, write_images

CPU = torch.device("cpu")


@given(st.lists(st.integers()), st.integers(1, 9))
def test_shares_contain_every_item_once_and_differ_by_at_most_one(work, count):
    ranks = [Ranks() for _ in range(count)]
    for number, each in enumerate(ranks):
        each.rank, each.count = number, count
    shares = [each.share(work) for each in ranks]
    assert sorted(item for share in shares for item in share) == sorted(work)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """Return a cell of 7 images with 2 masks each, two of them without values, its scorer, and all of it as a part."""
    folder = tmp_path_factory.mktemp("cell")
    write_images(folder / "images", 6)
    write_images(folder / "images" / "small", 1, (56, 56))
    suite = small_suite(
        folder,
        methods=["telea"],
        datasets=[{"name": "images", "root": "images"}],
        masks=[{"name": "lama_thick_256", "draws": 2}],
        metrics=METRICS,
    )
    plan = make_plan(suite, open_sources(suite, 1, folder / "cache"), CPU, "fp32")
    plan.scorer.set_metrics["fid"] = FID(extractor=torch.nn.AdaptiveAvgPool2d(4))
    plan.scorer.image_metrics["ssim"].min_side = 60
    (cell,) = plan.cells
    cell.method.start(cell.task, CPU, "fp32")
    part = Part(alone=True)
    with worker_threads(1) as pool:
        given_ = {"first": None, "workers": 1, "batch_size": 2, "gallery": 3, "clock": Clock(), "watch": Watch()}
        compute_part(cell, plan.scorer, pool, part, positions=range(len(cell.samples)), **given_)
    del part.scored[4]
    part.left_out[4] = "it has gone"
    return cell, plan.scorer, part, folder


def target_features(scorer):
    def features(image_set):
        rows = scorer.features([image_set.load(index) for index in image_set.indices])
        return {key: np.stack([row[key] for row in rows]) for key in scorer.feature_keys}

    return features


def merged(computed, parts):
    cell, scorer, _, _ = computed
    return merge_parts(cell, scorer, parts, target_features(scorer), Clock())


def divided(whole_part, owners):
    """Return parts in which owner ``owners[i]`` has sample i."""
    parts = {}
    for at, owner in enumerate(owners):
        part = parts.setdefault(owner, Part(bytes_alone=whole_part.bytes_alone, alone=whole_part.alone))
        part.peak_memory = whole_part.peak_memory
        for name in ("scored", "left_out", "shown"):
            if at in getattr(whole_part, name):
                getattr(part, name)[at] = getattr(whole_part, name)[at]
    return list(parts.values())


def assert_equal(a, b):
    assert a.values.equals(b.values)
    assert list(a.costs) == list(b.costs)
    assert a.alone == b.alone
    assert list(a.left_out.items()) == list(b.left_out.items())
    assert (a.capped, a.notes, a.from_bytes, a.scored) == (b.capped, b.notes, b.from_bytes, b.scored)
    assert a.shown.keys() == b.shown.keys()
    for at, shown in a.shown.items():
        np.testing.assert_array_equal(shown.result, b.shown[at].result)
        np.testing.assert_array_equal(shown.sample.item.mask, b.shown[at].sample.item.mask)


@settings(max_examples=10)
@given(st.lists(st.integers(0, 3), min_size=14, max_size=14), st.randoms(use_true_random=False))
def test_merged_parts_are_the_whole_cell(computed, owners, random):
    parts = divided(computed[2], owners)
    random.shuffle(parts)
    expected = merged(computed, [computed[2]])
    assert expected.scored == 13
    assert list(expected.left_out.values()) == ["it has gone"] + 2 * [
        "ssim needs a height and width of at least 60 pixels"
    ]
    assert_equal(merged(computed, parts), expected)


@settings(max_examples=10)
@given(st.lists(st.integers(0, 3), min_size=14, max_size=14))
def test_stored_parts_are_the_parts(computed, owners):
    cell, _, part, folder = computed
    kept = KeptParts(folder / "out", cell, {"code": "a"})
    kept.remove()
    for each in divided(part, owners):
        kept.save(each)
    assert_equal(merged(computed, kept.load()), merged(computed, [part]))
    assert KeptParts(folder / "out", cell, {"code": "b"}).load() == []
    kept.remove()
    assert not (folder / "out" / "parts").exists()


def test_a_sample_is_stored_once_and_damaged_files_are_ignored(computed):
    cell, _, part, folder = computed
    kept = KeptParts(folder / "twice", cell, {})
    first, second = divided(part, [0] * 7 + [1] * 7)
    kept.save(first)
    kept.save(copy.copy(first))
    kept.save(second)
    assert len(kept.load()) == 2
    for path in (folder / "twice" / "parts" / cell.key.id).iterdir():
        path.write_bytes(path.read_bytes()[:-100])
    assert kept.load() == []
    with pytest.raises(RuntimeError, match="1 parts have 7 samples of 14"):
        merged(computed, [first])


def test_an_interrupted_part_is_stored_without_what_is_stored_already(computed, monkeypatch):
    cell, _, part, folder = computed
    kept, growing = KeptParts(folder / "growing", cell, {}), Part(alone=True)
    first, second = divided(part, [0] * 7 + [1] * 7)
    monkeypatch.setattr("inpaint_zoo.benchmark.kept_parts.INTERVAL", 0)
    with pytest.raises(KeyboardInterrupt), Keeping(kept, growing, Clock()) as keeping:  # noqa: PT012
        for each in (first, second):
            growing.scored |= each.scored
            growing.left_out |= each.left_out
            growing.shown |= each.shown
            if each is first:
                keeping.now_and_then()
        raise KeyboardInterrupt
    assert [part.positions for part in kept.load()] == [set(range(7)), set(range(7, 14))]
    with pytest.raises(ValueError, match="stop"), Keeping(kept, Part(), Clock()):  # a failed cell stores nothing
        raise ValueError("stop")
    assert len(kept.load()) == 2


def test_of_several_failures_the_first_sample_counts():
    answers = [Failed(6, "six", ""), {}, Failed(2, "two", ""), Failed(9, "nine", "")]
    with pytest.raises(BrokenError, match="two"):
        whole(answers)
    assert whole([1, 2]) == [1, 2]
