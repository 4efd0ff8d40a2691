"""Configurations: values, positions of errors, and YAML that is read strictly."""

import dataclasses
import re

import numpy as np
import pytest

from inpaint_zoo import config
from inpaint_zoo.config import ConfigError, Table, UnknownKeyError, checked, read_document


@dataclasses.dataclass(frozen=True)
class Step:
    size: int = config.integer(low=2)
    strength: float = config.real(0.5, low=0, high=1)
    sides: tuple[int, ...] | None = config.custom(None, config.or_null(config.list_of(config.whole(0), 2)))
    exact: bool = config.flag(False)


@pytest.mark.parametrize(
    ("parse", "value", "message"),
    [
        (config.whole(), 1.5, "an integer, got 1.5"),
        (config.whole(1), True, "an integer of at least 1, got True"),
        (config.whole(1), 0, "at least 1, got 0"),
        (config.whole(high=4), 5, "at most 4, got 5"),
        (config.whole(1, 4), "2", "an integer from 1 to 4, got '2'"),
        (config.whole(1, 4), 5, "from 1 to 4, got 5"),
        (config.number(0), None, "a number of at least 0, got nothing"),
        (config.number(0), float("nan"), "a number of at least 0, got nan"),
        (config.or_null(config.number(0)), -1, "at least 0 or null, got -1"),
        (config.list_of(config.whole(0), 2), [1], "a list of 2, got [1]"),
        (config.list_of(config.whole(0), 2), [1, -1], "a list of 2, each at least 0, got [1, -1]"),
        (config.boolean, 2, "true or false, got 2"),
        (config.string, "", "text, got nothing"),
        (config.mapping, [1], "a mapping, got [1]"),
        (config.listing, "ab", "a list, got 'ab'"),
        (config.one_of([None, "a", 1]), True, "one of null, a, 1, got True"),
        (config.increasing(0, 1), [0.5, 0.2], "a list of at least two increasing numbers from 0 to 1, got [0.5, 0.2]"),
        (config.increasing(0, 1), [0.5, 2], "a list of at least two increasing numbers from 0 to 1, got [0.5, 2]"),
    ],
)
def test_a_wrong_value_is_answered_with_what_is_expected(parse, value, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(f'`x` must be {message}.')}$"):
        checked("`x`", value, parse)


def test_values_get_their_final_type():
    assert [type(config.whole()(value)) for value in (3, 3.0, np.int64(3))] == [int, int, int]
    assert [type(config.number()(value)) for value in (3, 3.5, np.float32(3))] == [float, float, float]
    assert [config.boolean(value) for value in (True, 0, np.bool_(True))] == [True, False, True]


def test_errors_know_their_position():
    for values, keys, message in (
        ({"size": 1}, ("size",), "`size` of blur must be at least 2, got 1."),
        ({"sise": 1}, ("sise",), "Unknown argument of blur: 'sise'. Did you mean 'size' or 'sides'?"),
        ({}, (), "blur needs `size`."),
    ):
        with pytest.raises(ConfigError, match=re.escape(message)) as caught, config.inside("steps", 3):
            config.parse_args(Step, values, "blur")
        assert caught.value.keys == ("steps", 3, *keys)
        assert isinstance(caught.value, UnknownKeyError) == ("sise" in values)
    step = config.parse_args(Step, {"size": 2, "sides": [3, 4]}, "blur")
    assert config.args_dict(step) == {"size": 2, "strength": 0.5, "sides": [3, 4], "exact": False}


TEXT = """\
# a comment
name: mine
shared: &shared {size: 3}
steps:
  - blur
  - {<<: *shared, exact: yes}
  -
    size: 4
    1: one
"""


def document(tmp_path, text):
    (tmp_path / "a.yaml").write_text(text)
    return read_document(tmp_path / "a.yaml", "a recipe", "name: mine")


def test_every_key_and_item_has_a_line(tmp_path):
    read = document(tmp_path, TEXT)
    assert read.text == TEXT
    assert read.values["steps"] == ["blur", {"size": 3, "exact": True}, {"size": 4, "1": "one"}]
    lines = {(): 2, ("name",): 2, ("steps",): 4, ("steps", 0): 5, ("steps", 1): 6, ("steps", 2, "1"): 9}
    assert lines.items() <= read.lines.items()
    assert read.where(("steps", 1, "size")) == f"{tmp_path / 'a.yaml'}:6"  # from the merged mapping: line of the item


def test_tables_check_keys_and_values(tmp_path):
    read = document(tmp_path, TEXT)
    top = Table(read, "the recipe", read.values)
    blur, merged, other = top.items("steps", "a step", "op")
    assert (blur.values, blur.line, merged.line, other.line) == ({"op": "blur"}, 5, 6, 8)
    assert merged.need("size", config.whole(1)) == 3
    assert merged.get("sides", config.listing) is None
    with pytest.raises(ConfigError, match=r"a\.yaml:8: 'size' of a step must be at least 5, got 4\."):
        other.need("size", config.whole(5))
    with pytest.raises(ConfigError, match=r"a\.yaml:8: a step has no 'op'; it has size, 1\."):
        other.need("op", config.string)
    with pytest.raises(ConfigError, match=r"a\.yaml:9: Unknown key of a step: '1'\. Known: op, size\."):
        other.allow(("op", "size"))
    with pytest.raises(ConfigError, match=r"a\.yaml:2: 'name' of the recipe must be a list, got 'mine'"):
        top.items("name", "a step", "op")
    top.values["steps"][0] = 3
    with pytest.raises(ConfigError, match=r"a\.yaml:5: a step must be a name or a mapping of keys, got 3"):
        top.items("steps", "a step", "op")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", r"1: a recipe must be a mapping, such as `name: mine`"),
        ("a: 1\nb:\n  c: 1\n  c: 2", r"4: the key 'c' is already set in line 3"),
        ("a: 1\n? [b]\n: 2", r"2: a key must be a name"),
        ("a: &x\n  b: *x", r"1: a YAML alias contains itself"),
        ("a: [1", r"1: invalid YAML: "),
        ("a: *x", r"1: invalid YAML: found undefined alias"),
    ],
)
def test_yaml_is_read_strictly(tmp_path, text, message):
    with pytest.raises(ConfigError, match=rf"a\.yaml:{message}"):
        document(tmp_path, text)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file"):
        read_document(tmp_path / "none.yaml", "a recipe", "name: mine")
    with pytest.raises(ConfigError, match=r": cannot be read: Is a directory"):
        read_document(tmp_path, "a recipe", "name: mine")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"b\.yaml: is not a text file"):
        read_document(tmp_path / "b.yaml", "a recipe", "name: mine")
