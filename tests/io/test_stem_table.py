"""Tables of files by stem behave as the dictionaries that they replace."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpaint_zoo.io.listing import relative_stem
from inpaint_zoo.io.stem_table import FileTable, NameList, stem_of

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
    some = list(expected)[::-2]
    assert list(files.select(some).items()) == [(stem, expected[stem]) for stem in some]
    assert pickle.loads(pickle.dumps(files)) == expected


def test_equal_hashes_are_told_apart(monkeypatch):
    """Two of 2^64 hashes are rarely equal; here all of them are."""
    files = table("a.png", "b.png", "c.png")
    monkeypatch.setattr("inpaint_zoo.io.stem_table.hash", lambda stem: 7, raising=False)
    assert files.repeated() is None
    assert [files[stem].name for stem in "cab"] == ["c.png", "a.png", "b.png"]
    assert list(files.select(["c", "a"])) == ["c", "a"]
    assert "d" not in files
    assert table("a.png", "b.png", "b.jpg", "a.jpg").repeated() == (1, 2)


@pytest.mark.parametrize("name", ["a.png", "a.b/c", "a.b/c.tar.gz", "a/b.", "x/.hidden", "a..png", "caf\u00e9.png"])
def test_stems_are_those_of_pathlib(name):
    assert stem_of(name) == relative_stem(ROOT / name, ROOT) == Path(name).with_suffix("").as_posix()


def test_endings(tmp_path):
    assert NameList.of(["a/b.NEF", "c.png", "d.png", "png"]).endings(4) == {".nef", ".png"}
    assert NameList.of([]).endings(4) == set()
