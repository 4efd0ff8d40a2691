"""Atomic writing in the folder of the target, for any file name and any TMPDIR."""

import os
import stat

import numpy as np
import pytest

from inpaint_zoo.io.atomic import TEMPORARY_PREFIX, atomic_folder, atomic_path, remove_leftovers, write_bytes
from inpaint_zoo.io.images import read_image, write_image

LONGEST = 255  # bytes of a file name on ext4, XFS, APFS and NTFS


@pytest.mark.parametrize("name", ["a" * (LONGEST - 4) + ".png", "é" * 125 + ".png", "a." + "b" * (LONGEST - 2)])
def test_the_longest_names_can_be_written(name, tmp_path):
    target = tmp_path / name
    assert len(os.fsencode(name)) in (254, LONGEST)
    if name.endswith(".png"):
        write_image(target, np.full((4, 4, 3), 7, np.uint8))  # Pillow chooses the format by the temporary name
        assert read_image(target).rgb.shape == (4, 4, 3)
    else:
        write_bytes(target, b"whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_temporary_file_lies_beside_its_target(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", "/dev/null")  # a folder in which nothing can be made
    with atomic_path(tmp_path / "sub" / "a.png") as temporary:
        assert temporary.parent == tmp_path / "sub"
        assert temporary.name.startswith(TEMPORARY_PREFIX)
        assert temporary.suffix == ".png"
        temporary.write_bytes(b"x")
        assert not (tmp_path / "sub" / "a.png").exists()
    with atomic_folder(tmp_path / "b") as temporary:
        assert temporary.parent == tmp_path
        (temporary / "c").write_bytes(b"x")
    assert {path.name for path in tmp_path.iterdir()} == {"sub", "b"}


def test_an_error_keeps_what_was_there(tmp_path):
    write_bytes(tmp_path / "a", b"old")

    def fail():
        with atomic_path(tmp_path / "a") as temporary:
            temporary.write_bytes(b"ne")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_leftovers_are_removed_at_any_depth(tmp_path):
    (tmp_path / "sub" / ".tmp-1").mkdir(parents=True)
    (tmp_path / "sub" / ".tmp-1" / "a").write_bytes(b"half")
    (tmp_path / ".tmp-2.ckpt").write_bytes(b"half")
    (tmp_path / "kept").write_bytes(b"whole")
    remove_leftovers(tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")} == {"sub", "kept"}


def test_the_data_are_on_the_disk_before_the_name_and_the_name_before_the_end(tmp_path, monkeypatch):
    """After a power failure a file is whole or not there: its data are flushed before it gets its name."""
    target, flushed = tmp_path / "target", []

    def fsync(descriptor):
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        flushed.append((kind, "named" if target.exists() else "unnamed"))

    monkeypatch.setattr(os, "fsync", fsync)
    write_bytes(target, b"whole")
    assert flushed == [("file", "unnamed"), ("folder", "named")]
    target.unlink()
    flushed.clear()
    with atomic_folder(target) as temporary:
        for name in ("a", "b"):
            (temporary / "sub" / name).parent.mkdir(exist_ok=True)
            (temporary / "sub" / name).write_bytes(b"whole")
    assert flushed == [("file", "unnamed"), ("file", "unnamed"), ("folder", "named")]
