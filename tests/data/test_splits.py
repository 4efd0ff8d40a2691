"""Split rules: properties and known answers, list files of every form, and errors of invalid ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpaint_zoo.data import lists, splits
from inpaint_zoo.errors import UnknownNameError, ZooError
from inpaint_zoo.io.images import write_image
from inpaint_zoo.io.listing import by_stem

GREY = np.full((4, 5, 3), 128, np.uint8)
ANIMALS = [f"{animal}/img{n}" for animal in ("antelope", "badger", "zebra") for n in range(60)]


def images(root, names):
    for name in names:
        write_image(root / name, GREY)
    return by_stem(root)


def test_animals_split_is_five_to_fifty_five_in_each_class():
    split = splits.by_class(ANIMALS)
    for animal in ("antelope", "badger", "zebra"):
        assert sum(stem.startswith(animal) for stem in split.test) == 5
        assert sum(stem.startswith(animal) for stem in split.train) == 55
    # known answer: a changed split would make old results incomparable
    assert [int(stem.split("img")[1]) for stem in split.test[:5]] == [5, 36, 47, 50, 51]


def test_a_class_is_split_alike_whatever_else_is_in_the_folder():
    alone = splits.by_class([stem for stem in ANIMALS if stem.startswith("badger")])
    among = splits.by_class(reversed(ANIMALS))
    assert alone.test == [stem for stem in among.test if stem.startswith("badger")]
    assert splits.by_class(ANIMALS, seed=1).test != among.test
    numbers = [[int(stem.split("img")[1]) for stem in among.test if stem.startswith(a)] for a in ("badger", "zebra")]
    assert numbers[0] != numbers[1]  # the random numbers of classes are independent


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


@pytest.mark.parametrize(
    ("rules", "counts"),
    [
        ({"first": 4}, (2, 1, 1)),
        ({"first": 2}, (1, 1, 0)),  # fewer images than classes: spread over the classes
        ({"first": 8}, (4, 2, 2)),  # as equal as the small classes allow
        ({"first": 500}, (9, 2, 2)),
        ({"after": 4}, (7, 1, 1)),
        ({"after": 4, "first": 3}, (1, 1, 1)),
        ({"flat": True, "first": 10}, (9, 1, 0)),
        ({"flat": True, "after": 10}, (0, 1, 2)),
        ({"classes": ["c", "a"], "first": 3}, (2, 0, 1)),
        ({"per_class": 2}, (2, 2, 2)),
        ({"classes": ["b"], "per_class": [1, 5]}, (0, 1, 0)),
    ],
)
def test_class_folders_are_taken_evenly(rules, counts):
    files = {f"{name}/{n}": n for name, size in (("c", 2), ("b", 2), ("a", 9)) for n in range(size)}
    chosen = list(splits.select(files, rules))
    assert tuple(sum(stem.startswith(name) for stem in chosen) for name in "abc") == counts
    assert chosen == sorted(chosen)
    if not {"after", "flat"} & set(rules) and rules.get("per_class") != [1, 5]:
        for name, count in zip("abc", counts, strict=True):  # the first ones by name of each class
            assert [stem for stem in chosen if stem[0] == name] == [f"{name}/{n}" for n in range(count)]


@pytest.mark.parametrize(
    "rules", [{"flat": True, "first": 40}, {"flat": True, "after": 35, "first": 9}, {"holdout": 9}]
)
def test_folders_that_are_no_classes_change_nothing(rules):
    """FFHQ comes in folders of 1,000: its split by number and a random one equal those of a single folder."""
    flat = {f"{n:05d}": n for n in range(70)}
    in_folders = {f"{n // 10 * 10:05d}/{n:05d}": n for n in range(70)}
    for part in ("train", "val"):
        both = {**rules, "val": 4, "part": part}
        assert list(splits.select(in_folders, both).values()) == list(splits.select(flat, both).values())


def test_first_of_many_classes_is_spread_over_them():
    """ImageNet's validation set in class folders: 2,000 are two of each class, 500 one of each second class."""
    files = {f"n{k:04d}/{n}": k for k in range(1000) for n in range(5)}
    two = list(splits.select(files, {"first": 2000}).values())
    assert two == [k for k in range(1000) for _ in range(2)]
    assert list(splits.select(files, {"first": 500}).values()) == list(range(0, 1000, 2))


@given(st.lists(st.integers(0, 30), min_size=1, max_size=20), st.integers(0, 200))
def test_shares_are_as_even_as_the_classes_allow(sizes, count):
    shares = splits.shares_of(sizes, count)
    assert sum(shares) == min(count, sum(sizes))
    assert all(share <= size for share, size in zip(shares, sizes, strict=True))
    most = max(shares)
    assert all(share in (size, most, most - 1) for share, size in zip(shares, sizes, strict=True))


PART_RULES = [
    {"val": 20},
    {"by_class": [1, 11], "val": 6},
    {"holdout": 30, "val": 20, "seed": 3},
    {"first": 90, "val": 10},
    {"flat": True, "after": 30, "every": 2, "val": 10},
    {"classes": ["zebra", "badger"], "val": 10, "per_class": [20, 0]},
    {"holdout": 16, "val": 4, "few_shot": [10, 0]},
]


@pytest.mark.parametrize("rules", PART_RULES, ids=str)
def test_validation_images_are_those_that_training_leaves_out(rules):
    files = dict.fromkeys(ANIMALS)
    has_test = bool({"by_class", "holdout"} & set(rules))
    both = {key: value for key, value in rules.items() if key not in ("per_class", "few_shot")}
    train, val = (set(splits.select(files, {**both, "part": part})) for part in ("train", "val"))
    assert len(val) == rules["val"]
    assert not train & val
    without = {key: value for key, value in both.items() if key != "val" and (has_test or key != "seed")}
    whole = {**without, "part": "train"} if has_test else without
    assert train | val == set(splits.select(files, whole))  # no image is lost
    if has_test:
        test = splits.select(files, {**rules, "part": "test"})
        rest = {key: value for key, value in rules.items() if key != "val"}
        assert list(test) == list(splits.select(files, {**rest, "part": "test"}))  # the test set is unchanged
        assert not val & set(splits.select(files, {**both, "part": "test"}))
    # rules after `val` apply only to the training part
    assert set(splits.select(files, {**rules, "part": "train"})) <= train
    other = set(splits.select(files, {**both, "part": "val", "seed": 8}))
    assert other != val
    if rules.get("by_class"):
        assert {animal: sum(stem.startswith(animal) for stem in val) for animal in ("antelope", "badger", "zebra")} == (
            dict.fromkeys(("antelope", "badger", "zebra"), 2)
        )


def test_validation_images_are_known_answers():
    """A changed validation set would make old runs incomparable."""
    files = dict.fromkeys(ANIMALS)
    drawn = splits.select(files, {"holdout": 30, "val": 4, "part": "val"})
    assert list(drawn) == ["antelope/img47", "antelope/img57", "badger/img51", "zebra/img41"]
    by_class = splits.select(files, {"by_class": [1, 11], "val": 3, "part": "val"})
    assert list(by_class) == ["antelope/img27", "badger/img10", "zebra/img36"]


def test_labels_are_classes_of_a_flat_folder(tmp_path):
    """In Places365, the validation set is one folder and two lists give its categories."""
    (tmp_path / "val.txt").write_text("# image label\nval/1 a.jpg 2\nval/2.jpg\t0\n/val/3.jpg 2\nval/4.jpg 0\n")
    (tmp_path / "names.txt").write_text("/a/airfield 0\n/c/church/indoor 2\n")
    labels = lists.read_labels(tmp_path / "val.txt", tmp_path / "names.txt")
    assert labels == {
        **{"val/1 a": "c/church/indoor", "val/2": "a/airfield"},
        **{"val/3": "c/church/indoor", "val/4": "a/airfield"},
    }
    assert lists.read_labels(tmp_path / "val.txt")["val/3"] == "2"
    files = {stem: stem for stem in labels}
    assert list(splits.select(files, {"classes": ["c/church/indoor"]}, labels)) == ["val/1 a", "val/3"]
    assert list(splits.select(files, {"first": 2}, labels)) == ["val/1 a", "val/2"]
    assert list(splits.select(files, {"per_class": 1}, labels)) == ["val/1 a", "val/2"]
    split = splits.by_class(files, 1, 1, labels=labels)
    assert {labels[stem] for stem in split.test} == {labels[stem] for stem in split.train} == {*labels.values()}
    for text, message in (
        ("val/1.jpg\n", "line 1: must have two entries"),
        ("a.jpg 1\na.png 2\n", "'a.png' has two labels, 1 and 2"),
    ):
        (tmp_path / "wrong.txt").write_text(text)
        with pytest.raises(ZooError, match=message):
            lists.read_labels(tmp_path / "wrong.txt")
    (tmp_path / "names.txt").write_text("/a/airfield 0\n")
    with pytest.raises(ZooError, match=r"the label 2 of 'val/1 a.jpg' has no name in .*names\.txt"):
        lists.read_labels(tmp_path / "val.txt", tmp_path / "names.txt")
    with pytest.raises(ZooError, match="no such label file"):
        lists.read_labels(tmp_path / "none.txt")
    with pytest.raises(ZooError, match="1 images have no label: b"):
        splits.select({"a": 0, "b": 0}, {"first": 1}, {"a": "x"})


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
        ({"first": 0}, "`first` of `select` must be at least 1, got 0"),
        ({"first": True}, "`first` of `select` must be"),
        ({"every": "2"}, "`every` of `select` must be an integer of at least 1, got '2'"),
        ({"after": 180}, "`select` leaves none of 180 images"),
        ({"seed": 3}, "`seed` of `select` applies only together with"),
        ({"by_class": [1, 11]}, "Unknown `part` of `select`: None"),
        ({"by_class": [1, 11], "part": "val"}, "Unknown `part` of `select`: 'val'"),
        ({"by_class": 12, "part": "test"}, r"`by_class` \[test, train\] must be a list of 2, got 12"),
        (
            {"by_class": [0, 11], "part": "test"},
            r"`by_class` \[test, train\] must be a list of 2, each at least 1, got \[0, 11\]",
        ),
        ({"by_class": [1, 11], "holdout": 3, "part": "test"}, "`by_class` or `holdout`, not both"),
        ({"holdout": 180, "part": "test"}, "1 to 179 of 180"),
        ({"few_shot": 181}, "`few_shot` must be 1 to 180 of the 180 images, got 181"),
        ({"few_shot": [3, -1]}, "the seed of `few_shot` must be at least 0 or null, got -1"),
        ({"few_shot": 0}, r"`few_shot` \(N, or \[N, seed\]\) must be at least 1, got 0"),
        ({"few_shot": [3]}, r"`few_shot` must be N, or \[N, seed\]"),
        ({"val": 3}, "Unknown `part` of `select`: None. .*train, val"),
        ({"val": 3, "part": "test"}, "Unknown `part` of `select`: 'test'"),
        ({"val": 0, "part": "train"}, "`val` of `select` must be at least 1, got 0"),
        ({"val": 180, "part": "val"}, "must leave images to train on: 1 to 179 of 180"),
        ({"holdout": 100, "val": 80, "part": "val"}, "must leave images to train on: 1 to 79 of 80"),
        ({"flat": 2}, "`flat` of `select` must be true or false, got 2"),
        ({"flat": True, "per_class": 3}, "there are no classes, so it excludes `per_class`"),
        ({"classes": "zebra"}, "`classes` of `select` must be a list of class names, got 'zebra'"),
        ({"classes": ["zebar"]}, "Unknown class of `select`: 'zebar'. Did you mean 'zebra'"),
        ({"per_class": 61}, "`per_class` needs 61 images of each class, but 'antelope' has 60"),
        ({"per_class": [3, "a"]}, "the seed of `per_class` must be an integer of at least 0 or null, got 'a'"),
    ],
)
def test_wrong_rules_are_answered_with_the_way_out(rules, message):
    with pytest.raises(ZooError, match=message):
        splits.select({stem: stem for stem in ANIMALS}, rules)


def test_class_rules_need_classes():
    with pytest.raises(ZooError, match="'c' is in none"):
        splits.by_class(["a/b", "c"])
    for rules in ({"per_class": 1}, {"classes": ["a"]}):
        with pytest.raises(ZooError, match="'c' is in none"):
            splits.select({"a/b": 0, "c": 0}, rules)
    with pytest.raises(ZooError, match="the class 'a' has only one image"):
        splits.by_class(["a/b", "b/c", "b/d"])
    with pytest.raises(ZooError, match=r"got \[1, 0\]"):
        splits.by_class(["a/b", "a/c"], 1, 0)
    with pytest.raises(UnknownNameError, match="part"):
        splits.select({"a/b": 0, "a/c": 0}, {"by_class": [1, 1], "part": "tset"})


def test_a_split_written_out_is_read_back(tmp_path):
    files = images(tmp_path / "images", [f"{c}/{n} v.2.png" for c in "ab" for n in range(12)])
    split = splits.by_class(files)
    lists.write_split(tmp_path / "lists", files, tmp_path / "images", split, "by_class 1:11, seed 0")
    text = (tmp_path / "lists" / "test.txt").read_text()
    assert text.splitlines()[0] == "# test part of 24 images; rule: by_class 1:11, seed 0"
    for part in split._fields:
        found = lists.read_list(tmp_path / "lists" / f"{part}.txt", tmp_path / "images")
        assert list(found) == getattr(split, part)
        assert all(files[stem] == path for stem, path in found.items())


def test_list_files_of_other_hands_are_read(tmp_path):
    images(tmp_path, ["a/1.png", "a/2.png", "b c/3.png"])
    text = f"\ufeff# by hand\r\n/a/2.png\r\n\r\n{tmp_path}/a/1.png\n  b c/3.png  \n"
    (tmp_path / "list.txt").write_text(text, encoding="utf-8", newline="")
    assert list(lists.read_list(tmp_path / "list.txt")) == ["a/2", "a/1", "b c/3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# nothing\n\n", "names no images"),
        ("a/1.png\na/9.png\nx/1.png\n", r"2 of 3 files are not below .*: a/9\.png, x/1\.png$"),
        ("a/../../1.png\n", r"line 1: 'a/\.\./\.\./1\.png' leads out of"),
        ("a/1.png\na/1.png\n", "the same stem 'a/1'"),
        (b"\xff\xfe\xfa", "is not UTF-8 text"),
    ],
)
def test_wrong_lists_are_answered_with_the_way_out(tmp_path, text, message):
    images(tmp_path, ["a/1.png"])
    (tmp_path / "list.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ZooError, match=message):
        lists.read_list(tmp_path / "list.txt")


def test_lists_that_are_not_there_or_cannot_hold_a_name(tmp_path):
    with pytest.raises(ZooError, match="no such list file"):
        lists.read_list(tmp_path / "list.txt")
    with pytest.raises(ZooError, match="cannot be read"):
        lists.read_list(tmp_path)
    with pytest.raises(ZooError, match="one name per line"):
        lists.write_list(tmp_path / "list.txt", ["a\nb"])
    assert not list(tmp_path.iterdir())


def test_labels_behind_the_paths_are_passed_over(tmp_path):
    images(tmp_path, ["a/1.png", "a/2 b.png", "a/3.JPG", "my.png image.png", "a/4.png 5.png"])
    lines = ["/a/1.png 0", "a/2 b.png\t12", "a/3.JPG,cat,1", "my.png image.png 7", "a/4.png 5.png"]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    assert list(lists.read_list(tmp_path / "list.txt")) == ["a/1", "a/2 b", "a/3", "my.png image", "a/4.png 5"]
    for text in ("/my.png image.png 7\na/1.png 0\n", "my.png image.png\n/a/1.png\n", "a/1.png\n/my.png image.png\n"):
        (tmp_path / "list.txt").write_text(text)  # a leading slash also before a file of the root itself
        assert set(lists.read_list(tmp_path / "list.txt")) == {"a/1", "my.png image"}
        assert all(file.is_file() for file in lists.read_list(tmp_path / "list.txt").values())
    (tmp_path / "list.txt").write_text("a/1.png 0\na/9.png 3\n")
    with pytest.raises(ZooError, match=r"1 of 2 files are not below .*: a/9\.png$"):
        lists.read_list(tmp_path / "list.txt")


def test_absolute_paths_may_lie_anywhere(tmp_path):
    images(tmp_path / "far", ["a/1.png", "b/2.png"])
    images(tmp_path / "near", ["3.png", "a/1.png"])
    listed = tmp_path / "near" / "list.txt"
    listed.write_text(f"{tmp_path}/far/b/2.png 1\n3.png\n{tmp_path}/far/a/1.png 0\n")
    found = lists.read_list(listed)
    assert list(found) == ["b/2", "3", "a/1"]
    assert found["b/2"] == tmp_path / "far" / "b" / "2.png"
    listed.write_text("/a/1.png\n")  # published lists: / means the root
    assert lists.read_list(listed) == {"a/1": tmp_path / "near" / "a" / "1.png"}
    listed.write_text(f"{tmp_path}/far/a/1.png\n{tmp_path}/far/b/2.png\na/1.png\n")
    with pytest.raises(ZooError, match="would have the same stem 'a/1'; give `root`"):
        lists.read_list(listed)
    listed.write_text(f"{tmp_path}/far/../far/a/1.png\n")
    with pytest.raises(ZooError, match="leads out of"):
        lists.read_list(listed)


def test_accents_of_a_list_are_found_however_the_disk_spells_them(tmp_path):
    images(tmp_path, ["cafe\u0301/u\u0308.png"])
    (tmp_path / "list.txt").write_text("caf\u00e9/\u00fc.png 3\n", encoding="utf-8")
    ((stem, path),) = lists.read_list(tmp_path / "list.txt").items()
    assert stem == "caf\u00e9/\u00fc"
    assert path.is_file()
    with pytest.raises(ZooError, match=r"cannot contain 'a.udce9\.png'; rename the file"):
        lists.write_list(tmp_path / "other.txt", ["a\udce9.png"])
