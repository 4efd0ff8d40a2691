"""Split rules by properties, known answers, list files of every form, and what wrong ones are answered."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpaint_zoo.data import splits
from inpaint_zoo.errors import UnknownNameError, ZooError
from inpaint_zoo.io.listing import by_stem
from inpaint_zoo.io.pictures import write_picture

GREY = np.full((4, 5, 3), 128, np.uint8)
ANIMALS = [f"{animal}/img{n}" for animal in ("antelope", "badger", "zebra") for n in range(60)]


def photos(root, names):
    for name in names:
        write_picture(root / name, GREY)
    return by_stem(root)


def test_animals_split_is_five_to_fifty_five_in_each_class():
    split = splits.by_class(ANIMALS)
    for animal in ("antelope", "badger", "zebra"):
        assert sum(stem.startswith(animal) for stem in split.test) == 5
        assert sum(stem.startswith(animal) for stem in split.train) == 55
    # known answer: a split that moves makes old numbers incomparable
    assert [int(stem.split("img")[1]) for stem in split.test[:5]] == [5, 36, 47, 50, 51]


def test_a_class_is_split_alike_whatever_else_is_in_the_folder():
    alone = splits.by_class([stem for stem in ANIMALS if stem.startswith("badger")])
    among = splits.by_class(reversed(ANIMALS))
    assert alone.test == [stem for stem in among.test if stem.startswith("badger")]
    assert splits.by_class(ANIMALS, seed=1).test != among.test
    numbers = [[int(stem.split("img")[1]) for stem in among.test if stem.startswith(a)] for a in ("badger", "zebra")]
    assert numbers[0] != numbers[1]  # classes draw apart from one another


@given(st.integers(2, 200), st.integers(1, 5), st.integers(1, 20), st.integers(0, 5))
def test_a_split_parts_every_class_in_proportion(count, test, train, seed):
    stems = [f"a/{n}" for n in range(count)]
    split = splits.by_class(stems, test, train, seed)
    assert sorted([*split.train, *split.test]) == sorted(stems)
    assert split.train
    assert split.test
    exact = count * test / (test + train)
    assert abs(len(split.test) - exact) <= 0.5 or len(split.test) in (1, count - 1)


@given(st.integers(2, 100), st.data())
def test_holdout_and_few_shot_draw_without_repeats(count, data):
    stems = [str(n) for n in range(count)]
    held = data.draw(st.integers(1, count - 1))
    split = splits.holdout(stems, held, seed=3)
    assert len(split.test) == held
    assert sorted([*split.train, *split.test]) == sorted(stems)
    few = splits.few_shot(stems, held, seed=3)
    assert len(set(few)) == held
    assert set(few) <= set(splits.few_shot(stems, held + 1, seed=3))


def test_draws_are_even():
    hits = np.zeros(10)
    for seed in range(2000):
        for stem in splits.few_shot([str(n) for n in range(10)], 3, seed):
            hits[int(stem)] += 1
    assert np.abs(hits - 600).max() < 5 * np.sqrt(2000 * 0.3 * 0.7)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({}, range(100)),
        ({"first": 3}, (0, 1, 2)),
        ({"first": 500}, range(100)),
        ({"after": 98}, (98, 99)),
        ({"every": 40}, (0, 40, 80)),
        ({"few_shot": 2}, (0, 1)),
        ({"after": 10, "first": 30, "every": 10, "few_shot": 2}, (10, 20)),
    ],
)
def test_select_takes_stretches_of_the_natural_order(rules, expected):
    files = {f"img{n}": n for n in reversed(range(100))}
    assert list(splits.select(files, rules).values()) == list(expected)


def test_select_takes_parts_of_a_split():
    files = {stem: stem for stem in ANIMALS}
    split = splits.by_class(ANIMALS, 1, 11, seed=4)
    rules = {"by_class": [1, 11], "seed": 4}
    assert list(splits.select(files, {**rules, "part": "train"})) == split.train
    assert list(splits.select(files, {**rules, "part": "test"})) == split.test
    held = splits.select(files, {"holdout": 16, "part": "test", "few_shot": [5, 0]})
    assert len(held) == 5
    assert set(held) <= set(splits.holdout(ANIMALS, 16).test)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"frist": 3}, "Unknown key of `select`: 'frist'. Did you mean 'first'"),
        ({"first": 0}, "`first` of `select` must be a whole number from 1 up, got 0"),
        ({"first": True}, "`first` of `select` must be"),
        ({"every": "2"}, "`every` of `select` must be a whole number from 1 up, got '2'"),
        ({"after": 180}, "`select` leaves none of 180 photographs"),
        ({"seed": 3}, "`seed` of `select` has a meaning beside"),
        ({"by_class": [1, 11]}, "Unknown `part` of `select`: None"),
        ({"by_class": [1, 11], "part": "val"}, "Unknown `part` of `select`: 'val'"),
        ({"by_class": 12, "part": "test"}, r"`by_class` wants two whole numbers from 1 up, \[test, train\], got 12"),
        ({"by_class": [0, 11], "part": "test"}, "`by_class` wants two whole numbers"),
        ({"by_class": [1, 11], "holdout": 3, "part": "test"}, "`by_class` or `holdout`, not both"),
        ({"holdout": 180, "part": "test"}, "1 to 179 of 180"),
        ({"few_shot": 181}, "`few_shot` wants 1 to 180 of the 180 photographs, got 181"),
        ({"few_shot": [3, -1]}, r"`few_shot` must be N, or \[N, seed\]"),
        ({"few_shot": 0}, r"`few_shot` must be N"),
    ],
)
def test_wrong_rules_are_answered_with_the_way_out(rules, message):
    with pytest.raises(ZooError, match=message):
        splits.select({stem: stem for stem in ANIMALS}, rules)


def test_class_rules_need_classes():
    with pytest.raises(ZooError, match="'c' lies in none"):
        splits.by_class(["a/b", "c"])
    with pytest.raises(ZooError, match="the class 'a' has one photograph"):
        splits.by_class(["a/b", "b/c", "b/d"])
    with pytest.raises(ZooError, match=r"got \[1, 0\]"):
        splits.by_class(["a/b", "a/c"], 1, 0)
    with pytest.raises(UnknownNameError, match="part"):
        splits.select({"a/b": 0, "a/c": 0}, {"by_class": [1, 1], "part": "tset"})


def test_a_split_written_out_is_read_back(tmp_path):
    files = photos(tmp_path / "photos", [f"{c}/{n} v.2.png" for c in "ab" for n in range(12)])
    split = splits.by_class(files)
    splits.write_split(tmp_path / "lists", files, tmp_path / "photos", split, "by_class 1:11, seed 0")
    text = (tmp_path / "lists" / "test.txt").read_text()
    assert text.splitlines()[0] == "# test part of 24 photographs; rule: by_class 1:11, seed 0"
    for part in split._fields:
        found = splits.read_list(tmp_path / "lists" / f"{part}.txt", tmp_path / "photos")
        assert list(found) == getattr(split, part)
        assert all(files[stem] == path for stem, path in found.items())


def test_list_files_of_other_hands_are_read(tmp_path):
    photos(tmp_path, ["a/1.png", "a/2.png", "b c/3.png"])
    text = f"\ufeff# by hand\r\n/a/2.png\r\n\r\n{tmp_path}/a/1.png\n  b c/3.png  \n"
    (tmp_path / "list.txt").write_text(text, encoding="utf-8", newline="")
    assert list(splits.read_list(tmp_path / "list.txt")) == ["a/2", "a/1", "b c/3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# nothing\n\n", "names no photographs"),
        ("a/1.png\na/9.png\nx/1.png\n", r"2 of 3 files are not below .*: a/9\.png, x/1\.png$"),
        ("a/../../1.png\n", r"line 1: 'a/\.\./\.\./1\.png' leads out of"),
        ("a/1.png\na/1.png\n", "the same stem 'a/1'"),
        (b"\xff\xfe\xfa", "is no UTF-8 text"),
    ],
)
def test_wrong_lists_are_answered_with_the_way_out(tmp_path, text, message):
    photos(tmp_path, ["a/1.png"])
    (tmp_path / "list.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ZooError, match=message):
        splits.read_list(tmp_path / "list.txt")


def test_lists_that_are_not_there_or_cannot_hold_a_name(tmp_path):
    with pytest.raises(ZooError, match="no such list file"):
        splits.read_list(tmp_path / "list.txt")
    with pytest.raises(ZooError, match="cannot be read"):
        splits.read_list(tmp_path)
    with pytest.raises(ZooError, match="one name a line"):
        splits.write_list(tmp_path / "list.txt", ["a\nb"])
    assert not list(tmp_path.iterdir())


def test_labels_behind_the_paths_are_passed_over(tmp_path):
    photos(tmp_path, ["a/1.png", "a/2 b.png", "a/3.JPG", "my.png photo.png", "a/4.png 5.png"])
    lines = ["/a/1.png 0", "a/2 b.png\t12", "a/3.JPG,cat,1", "my.png photo.png 7", "a/4.png 5.png"]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    assert list(splits.read_list(tmp_path / "list.txt")) == ["a/1", "a/2 b", "a/3", "my.png photo", "a/4.png 5"]
    (tmp_path / "list.txt").write_text("a/1.png 0\na/9.png 3\n")
    with pytest.raises(ZooError, match=r"1 of 2 files are not below .*: a/9\.png$"):
        splits.read_list(tmp_path / "list.txt")


def test_absolute_paths_may_lie_anywhere(tmp_path):
    photos(tmp_path / "far", ["a/1.png", "b/2.png"])
    photos(tmp_path / "near", ["3.png", "a/1.png"])
    listed = tmp_path / "near" / "list.txt"
    listed.write_text(f"{tmp_path}/far/b/2.png 1\n3.png\n{tmp_path}/far/a/1.png 0\n")
    found = splits.read_list(listed)
    assert list(found) == ["b/2", "3", "a/1"]
    assert found["b/2"] == tmp_path / "far" / "b" / "2.png"
    listed.write_text("/a/1.png\n")  # the published way: / means the root
    assert splits.read_list(listed) == {"a/1": tmp_path / "near" / "a" / "1.png"}
    listed.write_text(f"{tmp_path}/far/a/1.png\n{tmp_path}/far/b/2.png\na/1.png\n")
    with pytest.raises(ZooError, match="would have the same stem 'a/1'; give `root`"):
        splits.read_list(listed)
    listed.write_text(f"{tmp_path}/far/../far/a/1.png\n")
    with pytest.raises(ZooError, match="leads out of"):
        splits.read_list(listed)


def test_accents_of_a_list_are_found_however_the_disk_spells_them(tmp_path):
    photos(tmp_path, ["cafe\u0301/u\u0308.png"])
    (tmp_path / "list.txt").write_text("caf\u00e9/\u00fc.png 3\n", encoding="utf-8")
    ((stem, path),) = splits.read_list(tmp_path / "list.txt").items()
    assert stem == "caf\u00e9/\u00fc"
    assert path.is_file()
    with pytest.raises(ZooError, match=r"cannot hold 'a.udce9\.png'; rename the file"):
        splits.write_list(tmp_path / "other.txt", ["a\udce9.png"])
