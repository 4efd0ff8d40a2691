"""`inpaint-zoo data list | info | check NAME`."""

import re
import shutil

import numpy as np
import pytest

from inpaint_zoo.cli.main import main
from inpaint_zoo.data import DatasetFolder, dataset_info, datasets_markdown, list_datasets
from inpaint_zoo.io.images import write_image


@pytest.fixture
def chase(tmp_path, monkeypatch):
    """Write 28 different images as CHASE_DB1 below INPAINT_ZOO_DATA; one is larger, one smaller than the others."""
    root = tmp_path / "chase_db1"
    noise = np.random.default_rng(0)
    for n in range(28):
        size = {0: (20, 24, 3), 1: (8, 10, 3)}.get(n, (16, 18, 3))
        write_image(root / "images" / f"Image_{n:02d}.png", noise.integers(0, 256, size, dtype=np.uint8))
    monkeypatch.setenv("INPAINT_ZOO_DATA", str(tmp_path))
    return root


def run(capsys, *words):
    code = main(["data", *words])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_list_shows_every_data_set(chase, capsys, monkeypatch):
    code, told = run(capsys, "list")
    assert code == 0
    rows = {line.split()[0]: line.split() for line in told.splitlines() if line and line.split()[0] in list_datasets()}
    assert list(rows) == list_datasets()
    assert rows["chase"][1:6] == ["28", "18", "=", "test", "10"]
    assert {name for name, row in rows.items() if "yes" in row} == {"chase", "sample"}
    assert rows["celeba_hq"][1:6] == ["30,000", "26,800", "200", "3,000", "no"]
    assert f"{len(rows)} data sets; INPAINT_ZOO_DATA is" in told
    code, told = run(capsys, "list", "ffhq*")
    assert "3 data sets" in told
    monkeypatch.delenv("INPAINT_ZOO_DATA")
    assert "INPAINT_ZOO_DATA is not set" in run(capsys, "list")[1]
    assert run(capsys, "list", "--markdown") == (0, datasets_markdown())
    code, told = run(capsys, "list", "celebahq")
    assert code == 2
    assert "Did you mean 'celeba_hq'" in told


def test_info_shows_the_record(chase, capsys):
    for name in list_datasets():
        code, told = run(capsys, "info", name)
        record = dataset_info(name)
        words = " ".join(told.split())
        assert code == 0
        for text in (record.title, record.layout, record.license, record.source):
            assert text.split()[0] in words
        assert record.url in "".join(told.split())
        assert ("not read at its source" in words) == (not record.license_read)
    told = run(capsys, "info", "chase")[1]
    assert "chase_db1/images/*.jpg  28 images" in told
    assert "{holdout: 10, part: test}" in told
    told = " ".join(run(capsys, "info", "places2")[1].split())
    assert "places2/data_large/<letter>/<category>/*.jpg 1,803,460 images" in told
    assert run(capsys, "info", "chess")[0] == 2


def test_check_accepts_the_expected_content(chase, capsys):
    code, told = run(capsys, "check", "chase")
    assert code == 0
    lines = [" ".join(line.split()) for line in told.splitlines()]
    assert lines[0] == f"CHASE_DB1: {chase}"
    assert {"folder images 28 28", "train 18 18", "val 10 10", "test 10 10"} <= set(lines)
    assert "The validation images are the test images." in lines
    (train,) = (line for line in lines if line.startswith("18 of 18 training images can be read; "))
    (test,) = (line for line in lines if line.startswith("10 of 10 test images can be read; "))
    assert any("18 x 16" in line for line in (train, test))
    assert any("10 x 8" in line for line in (train, test))
    assert lines[-1] == "chase: as expected"
    assert run(capsys, "check", "chase", "--root", str(chase)) == (code, told)  # the same files in the sample of hashes
    code, told = run(capsys, "check", "chase", "--names-only")
    assert code == 0
    assert "can be read" not in told


def test_check_prints_hashes_that_two_users_can_compare(chase, tmp_path, capsys):
    def hashes(root):
        lines = run(capsys, "check", "chase", "--root", str(root), "--names-only")[1].splitlines()
        return lines[lines.index("SHA-256 of a sample of the files:") + 1 : -1]

    found = hashes(chase)
    assert len(found) == 10
    assert all(re.fullmatch(r"[0-9a-f]{64}  (train|test) Image_\d\d\.png", line) for line in found)
    shutil.copytree(chase, tmp_path / "copy")
    assert hashes(tmp_path / "copy") == found
    for path in (tmp_path / "copy" / "images").iterdir():
        path.write_bytes(path.read_bytes() + b"\0")
    assert hashes(tmp_path / "copy") != found


def test_check_finds_what_differs(chase, capsys):
    folder = DatasetFolder(dataset_info("chase"), chase)
    train, test = (list(folder.files(split).values()) for split in ("train", "test"))
    original = test[3].read_bytes()
    test[3].write_bytes(train[5].read_bytes())
    code, told = run(capsys, "check", "chase")
    assert code == 1
    assert f"1 of the 10 test images are training images too: {test[3]}" in told
    assert "chase: differs from its record, see above" in told
    test[3].write_bytes(b"")
    code, told = run(capsys, "check", "chase")
    assert code == 1
    assert "9 of 10 test images can be read" in told
    test[3].write_bytes(original)
    train[0].unlink()
    code, told = run(capsys, "check", "chase", "--names-only")
    assert code == 1
    assert "folder images 27 28 differs" in " ".join(told.split())


def test_check_goes_on_if_a_split_is_absent(tmp_path, capsys):
    for n in range(3):
        write_image(tmp_path / "paris_eval_gt" / f"{n}.png", np.full((8, 8, 3), n, np.uint8))
    code, told = run(capsys, "check", "paris_streetview", "--root", str(tmp_path))
    assert code == 1
    assert "train: " in told
    assert "it has no folder paris_train_original" in told
    assert "3 of 3 test images can be read; 8 x 8 pixels" in told
    code, told = run(capsys, "check", "paris_streetview", "--root", str(tmp_path / "paris_eval_gt"))
    assert code == 2
    assert "is not laid out as the data set 'paris_streetview'" in told
    code, told = run(capsys, "check", "paris_streetview", "--root", str(tmp_path / "none"))
    assert code == 2
    assert "The data set 'paris_streetview' (Paris StreetView) was not found" in told


def test_check_of_the_included_images(capsys):
    code, told = run(capsys, "check", "sample")
    assert code == 0
    assert "5 of 5 training images can be read" in told
    assert "4 of 4 test images can be read" in told
