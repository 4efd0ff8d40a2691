"""File names: one spelling for equal-looking names, and temporary names that are never too long."""

import errno

import pytest

from inpaint_zoo.io.atomic import TEMPORARY_PREFIX, atomic_folder, atomic_path, write_bytes
from inpaint_zoo.io.names import concerns_one_name, exists, plain_name


def test_names_that_look_alike_are_spelled_alike():
    assert plain_name("cafe\u0301/a") == plain_name("caf\u00e9/a") == "caf\u00e9/a"
    assert plain_name("\u1112\u1161\u11ab") == "\ud55c"  # Hangul, as macOS stores it
    assert plain_name("a\udcff.png") != plain_name("a\udcfe.png")
    assert plain_name("a\udcff.png").encode()  # what was no text can be written into any file


@pytest.mark.parametrize("name", ["b" * 251 + ".png", "\N{CJK UNIFIED IDEOGRAPH-56FE}" * 83 + ".png", "x." + "y" * 253])
def test_the_longest_names_can_be_written(tmp_path, name):
    assert 253 <= len(name.encode()) <= 255
    write_bytes(tmp_path / name, b"whole")
    assert (tmp_path / name).read_bytes() == b"whole"
    with atomic_folder(tmp_path / "folder" / name) as temporary:
        (temporary / "a").write_text("whole")
    assert (tmp_path / "folder" / name / "a").read_text() == "whole"


def test_temporary_names_keep_the_suffix_that_chooses_a_format(tmp_path):
    with atomic_path(tmp_path / "a.png") as temporary:
        assert temporary.name.startswith(TEMPORARY_PREFIX)
        assert temporary.suffix == ".png"
        temporary.write_bytes(b"")


def test_errors_of_one_name_are_told_from_those_of_the_disk(tmp_path):
    with pytest.raises(OSError, match="too long") as caught:
        write_bytes(tmp_path / ("b" * 256), b"")
    assert concerns_one_name(caught.value)
    assert not exists(tmp_path / ("b" * 256))
    assert list(tmp_path.iterdir()) == []
    assert not concerns_one_name(OSError(errno.ENOSPC, "full"))
    assert not concerns_one_name(OSError(errno.EROFS, "read-only"))
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="directory") as caught:
        write_bytes(tmp_path / "taken", b"")
    assert concerns_one_name(caught.value)
