"""The command `inpaint-zoo data`."""

import json

import numpy as np
import pytest

from inpaint_zoo.cli.main import main
from inpaint_zoo.data import create_dataset
from inpaint_zoo.io.images import write_image

IMAGE = np.random.default_rng(0).integers(0, 256, (8, 10, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    for name in [f"{animal}/{n}.png" for animal in ("cat", "dog") for n in range(12)]:
        write_image(tmp_path / "images" / name, IMAGE)
    return tmp_path / "images"


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
    assert "--by-class must be TEST:TRAIN, such as 1:11, got '12'" in capsys.readouterr().err


def test_a_list_is_written(folder, tmp_path, capsys):
    out = tmp_path / "few.txt"
    assert main(["data", "select", str(folder), "--select", "{few_shot: 3}", "--out", str(out)]) == 0
    assert out.read_text().splitlines()[1:] == ["cat/0.png", "cat/1.png", "cat/2.png"]
    assert main(["data", "select", str(folder), "--select", "few_shot", "--out", str(out)]) == 2
    assert "--select must be rules such as '{few_shot: 10}'" in capsys.readouterr().err


def test_a_list_of_classes_that_a_label_file_gives(folder, tmp_path):
    out, labels, names = (tmp_path / name for name in ("list.txt", "labels.txt", "names.txt"))
    labels.write_text("".join(f"{animal}/{n}.png {n % 3}\n" for animal in ("cat", "dog") for n in range(12)))
    names.write_text("/red 0\n/green 1\n/blue 2\n")
    words = ["data", "select", str(folder), "--out", str(out), "--labels", str(labels), "--label-names", str(names)]
    assert main([*words, "--select", "{classes: [blue, red], per_class: 1}"]) == 0
    assert out.read_text().splitlines()[1:] == ["cat/0.png", "cat/2.png"]


def test_few_shot_lists_lie_in_each_other(folder, tmp_path, capsys):
    def written(*args):
        assert main(["data", "shots", str(folder), "--out", str(tmp_path / "shots"), *args]) == 0
        files = {path.stem: path.read_text().splitlines() for path in (tmp_path / "shots").glob("*.txt")}
        return {name: lines[0] for name, lines in files.items()}, {n: lines[1:] for n, lines in files.items()}

    notes, lists = written()
    assert "shots of 24 images: 5, 10, all" in capsys.readouterr().out  # 30 and 50 are more than there are
    assert {name: len(lines) for name, lines in lists.items()} == {"shots_5": 5, "shots_10": 10, "shots_all": 24}
    assert set(lists["shots_5"]) < set(lists["shots_10"]) < set(lists["shots_all"])
    assert notes["shots_5"] == "# 5 of 24 images; rule: drawn, seed 0"
    assert written() == (notes, lists)
    assert written("--seed", "1")[1]["shots_5"] != lists["shots_5"]
    rules = {"few_shot": [5, 0]}
    listed = {"name": "a", "root": str(folder), "list": str(tmp_path / "shots" / "shots_5.txt")}
    written()
    assert create_dataset(listed).keys == create_dataset({"name": "a", "root": str(folder), "select": rules}).keys
    assert written("--in-order", "--counts", "2")[1]["shots_2"] == ["cat/0.png", "cat/1.png"]
    assert main(["data", "shots", str(folder), "--out", str(tmp_path), "--counts", "0"]) == 2
    assert "`few_shot` must be 1 to 24" in capsys.readouterr().err


def test_shards_are_packed_checked_and_indexed(folder, tmp_path, capsys):
    (folder / "cat" / "3.png").write_bytes(b"nonsense")
    out = tmp_path / "packed"
    assert main(["data", "shards", str(folder), "--out", str(out), "--per-shard", "10", "--name", "train"]) == 1
    told = capsys.readouterr().out
    assert "left out: " in told
    assert "23 of 24 images" in told
    assert main(["data", "check", "--shards", str(out)]) == 0
    assert "23 of 23 images can be read" in capsys.readouterr().out
    before = json.loads((out / "index.json").read_text())
    (out / "index.json").unlink()
    assert main(["data", "index", str(out)]) == 0
    assert json.loads((out / "index.json").read_text()) == before
    (out / "index.json").unlink()
    assert main(["data", "index", f"{out}/train-*.tar"]) == 0
    assert (out / "index.json").is_file()
    assert main(["data", "index", f"pipe:cat {out}/train-000000.tar"]) == 2
    assert "remote shards need --out FILE" in capsys.readouterr().err
    assert main(["data", "shards", str(folder), "--out", str(out)]) == 2
    assert "already exists" in capsys.readouterr().err


def test_check_names_what_cannot_be_read(folder, capsys):
    (folder / "dog" / "7.png").write_bytes(b"")
    assert main(["data", "check", "--root", str(folder)]) == 1
    told = capsys.readouterr().out
    assert "dog/7" in told
    assert "is empty (0 bytes)" in told
    assert "23 of 24 images can be read" in told


def test_check_compares_the_sets_of_a_configuration(folder, tmp_path, capsys):
    def checked(*args, **sets):
        path = tmp_path / "data.yaml"
        named = {split: {"name": "animals", "select": rules} for split, rules in sets.items()}
        path.write_text(json.dumps({"data": {"init_args": named}}))
        code = main(["data", "check", "--config", str(path), "--root", str(folder), *args])
        return code, capsys.readouterr().out

    parts = {part: {"by_class": [1, 3], "val": 2, "part": part} for part in ("train", "val", "test")}
    code, told = checked(**parts)
    assert code == 0
    assert told.splitlines() == [
        "16 of 16 training images can be read; 10 x 8 pixels",
        "2 of 2 validation images can be read; 10 x 8 pixels",
        "6 of 6 test images can be read; 10 x 8 pixels",
    ]
    shared = {"train": {"first": 20}, "val": parts["test"], "test": parts["test"]}
    code, told = checked("--names-only", **shared)
    assert code == 1
    assert "20 training images\n6 validation images\n6 test images\n" in told
    assert "of the 6 validation images are training images too: " in told
    assert "6 of the 6 validation images are test images too: " in told
    (tmp_path / "null.yaml").write_text("checkpoints: {monitor: null}\n")
    shared["train"] = parts["train"]
    code, told = checked("--names-only", "--config", str(tmp_path / "null.yaml"), **shared)
    assert code == 0
    assert "allowed, since nothing is selected on them (checkpoints.monitor is null)" in told
    assert checked("--names-only", **shared)[0] == 1
    (folder / "dog" / "7.png").write_bytes(b"")
    assert checked(**parts)[0] == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "needs the name of a data set, --root DIR, --shards PATTERN or --config FILE"),
        (["--root", ".", "--names-only"], "--names-only compares sets, so it needs the name of a data set"),
        (["chase", "--shards", "x"], "takes the folder of the data set as --root DIR"),
        (["chaes", "--root", "."], "Unknown data set 'chaes'. Did you mean 'chase'"),
        (["sample", "--root", "."], "comes with a package, so it takes no --root"),
        (["--config", "none.yaml"], "The file none.yaml does not exist"),
        (["--config", "list.yaml"], "list.yaml: must be a mapping such as `data: ...`, got [1]"),
        (["--config", "broken.yaml"], "broken.yaml: cannot be read as YAML"),
        (["--config", "list.yaml", "--shards", "x"], "takes --shards or --config"),
    ],
)
def test_check_says_what_it_needs(args, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.yaml").write_text("[1]\n")
    (tmp_path / "broken.yaml").write_text("a: [\n")
    assert main(["data", "check", *args]) == 2
    assert message in capsys.readouterr().err
