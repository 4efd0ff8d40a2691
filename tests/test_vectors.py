"""Recorded outputs: the folders in which they are searched, and size and format of those in the repository."""

import gzip
import json

import pytest

from tests.helpers import fill

FILES = sorted(fill.VECTORS.rglob("*.json*"))


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """Return a folder of additional files that the environment variable points to."""
    (tmp_path / "vectors").mkdir()
    (tmp_path / "specs" / "keys").mkdir(parents=True)
    monkeypatch.setenv("INPAINT_ZOO_SHARED", str(tmp_path))
    return tmp_path


def test_the_repository_holds_less_than_a_mebibyte():
    assert len(FILES) > 100
    assert sum(path.stat().st_size for path in FILES) < 2**20


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_are_read(path, monkeypatch, tmp_path):
    monkeypatch.setenv("INPAINT_ZOO_SHARED", str(tmp_path))  # nothing outside the repository
    read = fill.read_keys if path.parent.name == "keys" else fill.read_vector
    assert read(path.name.split(".")[0])


def test_further_files_are_found_in_both_forms(outside):
    (outside / "vectors" / "new_64.json").write_text('{"mean": 0.5}')
    packed = gzip.compress(b'{"conv.weight": [3, 3]}', mtime=0)
    (outside / "specs" / "keys" / "new.json.gz").write_bytes(packed)
    assert fill.has_vector("new_64")
    assert fill.read_vector("new_64") == {"mean": 0.5}
    assert fill.read_keys("new") == {"conv.weight": [3, 3]}


def test_files_of_the_repository_come_first(outside):
    name = "isnet_metrics_64"
    (outside / "vectors" / f"{name}.json").write_text("{}")
    assert fill.read_vector(name) == json.loads((fill.VECTORS / f"{name}.json").read_text())


def test_a_missing_file_skips_and_names_the_variable(outside):
    assert not fill.has_vector("nothing_64")
    with pytest.raises(pytest.skip.Exception, match="INPAINT_ZOO_SHARED can name a folder with it in vectors"):
        fill.read_vector("nothing_64")
    with pytest.raises(pytest.skip.Exception, match="INPAINT_ZOO_SHARED can name a folder with it in specs/keys"):
        fill.read_keys("nothing")
