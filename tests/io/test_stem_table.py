"""Tables of files by stem behave as the dictionaries that they replace."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpaint_zoo.io.listing import natural_key, relative_stem
from inpaint_zoo.io.name_list import NameList
from inpaint_zoo.io.natural_order import natural_order
from inpaint_zoo.io.stem_table import FileTable, JoinedTable, stem_of

ROOT = Path("images")
NAMES = st.lists(st.text("ab1.é\udce9/", min_size=1, max_size=6).map(lambda name: f"x{name}y"), unique=True, max_size=9)


def table(*names):
    return FileTable(ROOT, NameList.of(names))


@given(NAMES)
def test_a_list_of_names_is_a_list(names):
    packed = NameList.of(names)
    assert list(packed) == names == [packed[number] for number in range(len(names))]
    assert packed[1:] == names[1:]
    assert packed[::-1] == names[::-1]
    assert list(packed.take(np.arange(len(names))[::2])) == names[::2]
    with pytest.raises(IndexError):
        packed[len(names)]


@given(NAMES)
def test_a_table_is_a_mapping(names):
    files = table(*names)
    expected = {}
    for name in names:
        expected.setdefault(stem_of(name), ROOT / name)
    same = files.repeated()
    assert (same is None) == (len(expected) == len(names))
    if same is not None:
        first, second = same
        assert first < second
        assert stem_of(names[first]) == stem_of(names[second])
        return
    assert files == expected
    assert list(files.items()) == list(expected.items())
    assert list(files.values()) == list(expected.values())
    assert files.stems == list(expected)
    assert "absent" not in files
    assert [files[stem] for stem in expected] == [files.at(number) for number in range(len(names))]
    some = np.arange(len(names))[::-2]
    assert list(files.take(some).items()) == [list(expected.items())[number] for number in some]
    assert pickle.loads(pickle.dumps(files)) == expected


def test_equal_hashes_are_told_apart(monkeypatch):
    """Two of 2^64 hashes are rarely equal; here all of them are."""
    files = table("a.png", "b.png", "c.png")
    monkeypatch.setattr("inpaint_zoo.io.name_list.hash", lambda stem: 7, raising=False)
    assert files.repeated() is None
    assert [files[stem].name for stem in "cab"] == ["c.png", "a.png", "b.png"]
    assert "d" not in files
    assert table("a.png", "b.png", "b.jpg", "a.jpg").repeated() == (1, 2)


@pytest.mark.parametrize("name", ["a.png", "a.b/c", "a.b/c.tar.gz", "a/b.", "x/.hidden", "a..png", "caf\u00e9.png"])
def test_stems_are_those_of_pathlib(name):
    assert stem_of(name) == relative_stem(ROOT / name, ROOT) == Path(name).with_suffix("").as_posix()


def test_endings(tmp_path):
    assert NameList.of(["a/b.NEF", "c.png", "d.png", "png"]).endings(4) == {".nef", ".png"}
    assert NameList.of([]).endings(4) == set()


@given(st.lists(st.text("ab019./-é\udce9", max_size=7), unique=True, max_size=30))
def test_the_natural_order_of_many_names_is_that_of_the_key(names):
    ordered = [names[number] for number in natural_order(NameList.of(names))]
    assert ordered == sorted(names, key=natural_key)


@pytest.mark.parametrize("unusual", ["a\x01b", "1" * 300])
def test_the_natural_order_of_unusual_names(unusual):
    names = [unusual, "b", "a/10", "a/9", "a/09"]
    ordered = [names[number] for number in natural_order(NameList.of(names))]
    assert ordered == sorted(names, key=natural_key)


def test_names_are_processed_in_blocks_and_suffixes_are_those_of_pathlib():
    names = [f"{number % 7}.d/{number}{suffix}" for number in range(30_000) for suffix in (".png", "", ".a.JPG", ".")]
    stems, suffixes = NameList.of(names).without_suffixes()
    assert stems == [stem_of(name) for name in names]
    assert suffixes == {".png", ".JPG"}
    kept = np.delete(np.arange(len(names)), [3, 5_000, 5_001, len(names) - 1])
    assert NameList.of(names).take(kept) == [names[number] for number in kept]
    assert list(NameList.of(names).take(kept[:0])) == []
    assert NameList.of(names).endings(4) == {name[-4:].lower() for name in names if len(name) > 4}
    assert list(NameList.of(names).hashes()) == [NameList.hash_of(name) for name in names]


def test_joined_tables_are_one_mapping():
    parts = {"one": table("a/1.png", "2.png"), "two": FileTable(Path("others"), NameList.of(["a/1.jpg"]))}
    joined = JoinedTable(parts)
    expected = {"one/a/1": ROOT / "a/1.png", "one/2": ROOT / "2.png", "two/a/1": Path("others/a/1.jpg")}
    assert joined == expected
    assert list(joined) == list(joined.stems) == list(expected)
    chosen = joined.take(np.array([2, 0]))
    assert list(chosen.items()) == [("two/a/1", expected["two/a/1"]), ("one/a/1", expected["one/a/1"])]
    assert list(chosen.take(np.array([1])).items()) == [("one/a/1", expected["one/a/1"])]
