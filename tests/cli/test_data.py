"""The data command as a user types it."""

import json

import numpy as np
import pytest

from inpaint_zoo.cli.main import main
from inpaint_zoo.data import create_dataset
from inpaint_zoo.io.pictures import write_picture

PICTURE = np.random.default_rng(0).integers(0, 256, (8, 10, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    for name in [f"{animal}/{n}.png" for animal in ("cat", "dog") for n in range(12)]:
        write_picture(tmp_path / "photos" / name, PICTURE)
    return tmp_path / "photos"


def test_a_split_is_written_and_used(folder, tmp_path, capsys):
    assert main(["data", "split", str(folder), "--by-class", "1:11", "--out", str(tmp_path / "lists")]) == 0
    assert "22 for training, 2 for testing" in capsys.readouterr().out
    data = create_dataset({"name": "a", "root": str(folder), "list": str(tmp_path / "lists" / "test.txt")})
    assert len(data) == 2
    rules = {"by_class": [1, 11], "part": "test"}
    assert data.keys == create_dataset({"name": "a", "root": str(folder), "select": rules}).keys
    assert main(["data", "split", str(folder), "--holdout", "5", "--seed", "1", "--out", str(tmp_path / "l")]) == 0
    assert "19 for training, 5 for testing" in capsys.readouterr().out
    assert main(["data", "split", str(folder), "--by-class", "12", "--out", str(tmp_path / "l")]) == 2
    assert "--by-class wants TEST:TRAIN, such as 1:11, got '12'" in capsys.readouterr().err


def test_a_list_is_written(folder, tmp_path, capsys):
    out = tmp_path / "few.txt"
    assert main(["data", "list", str(folder), "--select", "{few_shot: 3}", "--out", str(out)]) == 0
    assert out.read_text().splitlines()[1:] == ["cat/0.png", "cat/1.png", "cat/2.png"]
    assert main(["data", "list", str(folder), "--select", "few_shot", "--out", str(out)]) == 2
    assert "--select wants rules such as '{few_shot: 10}'" in capsys.readouterr().err


def test_shards_are_packed_checked_and_indexed(folder, tmp_path, capsys):
    (folder / "cat" / "3.png").write_bytes(b"nonsense")
    out = tmp_path / "packed"
    assert main(["data", "shards", str(folder), "--out", str(out), "--per-shard", "10", "--name", "train"]) == 1
    told = capsys.readouterr().out
    assert "left out: " in told
    assert "23 of 24 photographs" in told
    assert main(["data", "check", "--shards", str(out)]) == 0
    assert "23 of 23 photographs can be read" in capsys.readouterr().out
    before = json.loads((out / "index.json").read_text())
    (out / "index.json").unlink()
    assert main(["data", "index", str(out)]) == 0
    assert json.loads((out / "index.json").read_text()) == before
    (out / "index.json").unlink()
    assert main(["data", "index", f"{out}/train-*.tar"]) == 0
    assert (out / "index.json").is_file()
    assert main(["data", "index", f"pipe:cat {out}/train-000000.tar"]) == 2
    assert "shards that lie elsewhere need --out FILE" in capsys.readouterr().err
    assert main(["data", "shards", str(folder), "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_check_names_what_cannot_be_read(folder, capsys):
    (folder / "dog" / "7.png").write_bytes(b"")
    assert main(["data", "check", "--root", str(folder)]) == 1
    told = capsys.readouterr().out
    assert "dog/7" in told
    assert "is empty (0 bytes)" in told
    assert "23 of 24 photographs can be read" in told
