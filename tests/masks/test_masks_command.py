"""`inpaint-zoo masks` on the command line: list, show, write, stats, and error messages."""

import csv
import json
import pickle
import re
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from inpaint_zoo.cli.main import main
from inpaint_zoo.masks import create_generator, create_mask, list_masks
from inpaint_zoo.masks.bank import encode_png


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def top(rows):
    return np.repeat(np.arange(40) < rows, 40).reshape(40, 40) * np.uint8(255)


@pytest.fixture
def run(capsys, monkeypatch):
    """Run `inpaint-zoo masks ...` in this process; returns exit code, stdout and stderr."""
    monkeypatch.setenv("COLUMNS", "100")

    def call(*args):
        code = main(["masks", *map(str, args)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_list_names_every_mask(run):
    code, out, _ = run("list")
    assert code == 0
    for name in list_masks(ready=False):
        assert f"\n{name} " in f"\n{out}", name
    assert "35.1 %" in out
    _, some, _ = run("list", "cmod_h*")
    assert some.count("cmod_h") == 5
    assert run()[1] == out


def test_show_writes_a_sheet(run, tmp_path):
    code, out, _ = run("show", "lama_thick_256", "--n", 5, "--size", 120, 160, "--seed", 3, "--out", tmp_path / "s.png")
    assert code == 0
    assert "s.png" in out
    with Image.open(tmp_path / "s.png") as sheet:
        pixels = np.asarray(sheet)
    holes = (pixels == (32, 33, 36)).all(axis=2)
    first = create_generator("lama_thick_256", seed=3)(0, (120, 160))
    assert np.array_equal(holes[40 : 40 + 120, 12 + 48 : 12 + 48 + 160], first.astype(bool))


@pytest.mark.parametrize("name", ["center", "expand", "half"])
def test_show_of_tiny_and_enlarged_masks(run, tmp_path, name):
    args = {"center": '{"side": 3}', "expand": '{"size": 4, "mode": "exterior"}', "half": "{}"}[name]
    assert run("show", name, "--n", 1, "--size", 8, "--args", args, "--out", tmp_path / "s.png")[0] == 0


def test_write_makes_a_bank_that_reads_back(run, tmp_path):
    bank = tmp_path / "bank"
    code, out, _ = run(
        "write", "lama_wide", "--n", 70, "--size", 64, 96, "--seed", 5, "--stream", "test", "--out", bank
    )
    assert code == 0
    assert "manifest.csv" in out
    with (bank / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    generator = create_generator("lama_wide", seed=5, stream="test")
    assert len(rows) == 70
    for index, row in enumerate(rows):
        with Image.open(bank / row["file"]) as image:
            assert image.mode == "L"
            pixels = np.asarray(image)
        wanted = generator(index, (64, 96))
        assert np.array_equal(pixels, wanted * 255)
        assert float(row["ratio"]) == wanted.mean()
        assert int(row["crc32"]) == zlib.crc32(np.packbits(wanted.ravel()).tobytes())
        assert (row["index"], row["name"], row["seed"], row["stream"], row["size"]) == (
            str(index),
            "lama_wide",
            "5",
            "test",
            "64x96",
        )
        assert row["config_sha256"] == generator.identity()
    description = json.loads((bank / "bank.json").read_text())
    assert create_generator(description["config"]).identity() == description["config_sha256"]
    again = create_generator({"bank": str(bank)}).batch(range(70), (64, 96))
    assert np.array_equal(again, generator.batch(range(70), (64, 96)))


def test_an_interrupted_bank_is_continued(run, tmp_path):
    bank = tmp_path / "bank"
    assert run("write", "cmod", "--n", 20, "--size", 32, "--out", bank)[0] == 0
    whole = {path.name: path.read_bytes() for path in bank.iterdir()}
    for name in ("manifest.csv", "000004.png", "000019.png"):
        (bank / name).unlink()
    (bank / ".tmp-0123456789ab-000004.png").write_bytes(b"torn")  # left by a killed process
    kept = (bank / "000003.png").stat().st_mtime_ns
    assert run("write", "cmod", "--n", 20, "--size", 32, "--out", bank)[0] == 0
    assert {path.name: path.read_bytes() for path in bank.glob("[!.]*")} == whole
    assert (bank / "000003.png").stat().st_mtime_ns == kept
    assert run("write", "cmod", "--n", 25, "--size", 32, "--out", bank)[0] == 0
    assert len(list(bank.glob("[!.]*.png"))) == 25


def test_other_folders_are_not_overwritten(run, tmp_path):
    bank = tmp_path / "bank"
    bank.mkdir()
    (bank / "holiday.jpg").write_bytes(b"mine")
    code, _, error = run("write", "center", "--n", 2, "--out", bank)
    assert code == 2
    assert "is not empty and is not a mask bank" in error
    assert [path.name for path in bank.iterdir()] == ["holiday.jpg"]
    assert run("write", "center", "--n", 2, "--out", bank, "--overwrite")[0] == 0
    code, _, error = run("write", "center", "--n", 2, "--seed", 1, "--out", bank)
    assert code == 2
    assert "contains a bank with other settings" in error
    code, _, error = run("write", "center", "--n", 1, "--out", bank)
    assert code == 2
    assert "already contains more than 1 masks, such as 000001.png" in error
    assert run("write", "center", "--n", 1, "--out", bank, "--overwrite")[0] == 0
    assert sorted(path.name for path in bank.iterdir()) == ["000000.png", "bank.json", "holiday.jpg", "manifest.csv"]
    assert (bank / "holiday.jpg").read_bytes() == b"mine"
    (tmp_path / "file").write_bytes(b"")
    assert "is a file; expected a folder" in run("write", "center", "--n", 1, "--out", tmp_path / "file")[2]


def test_stats_prints_table_and_histogram(run, tmp_path):
    code, out, _ = run("stats", "cmod", "--n", 150, "--out", tmp_path / "h.png")
    assert code == 0
    assert "cmod: 150 masks at 256 x 256, seed 0" in out
    for heading in ("mean", "std", "min", "5%", "25%", "50%", "75%", "95%", "max", "c", "b", "edge"):
        assert heading in out.splitlines()[1].split()
    assert "mean of the reference at 256 x 256: 0.728" in out
    assert len(re.findall(r"^ *\d+- *\d+ %", out, flags=re.MULTILINE)) == 20
    assert "█" in out
    with Image.open(tmp_path / "h.png") as image:
        assert image.size == (760, 380)


def test_configurations_in_files(run, tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text("mask: {name: mine, preset: dfv2_brush, suite_seed: 9, stream: val, size: [48, 64]}")
    code, _, error = run("resolve", config)
    assert code == 2
    assert "mine.yaml:1: preset: Unknown mask preset 'dfv2_brush'" in error
    config.write_text("mask: {name: mine, kind: dfv2_brush, suite_seed: 9, stream: val, size: [48, 64]}")
    code, out, _ = run("resolve", config)
    assert code == 0
    assert "  suite_seed: 9\n  stream: val\n  size:\n  - 48\n  - 64\n" in out
    assert run("resolve", config, "--out", tmp_path / "all.yaml")[0] == 0
    assert (tmp_path / "all.yaml").read_text() == out
    assert run("write", tmp_path / "all.yaml", "--n", 3, "--out", tmp_path / "bank")[0] == 0
    with Image.open(tmp_path / "bank" / "000002.png") as image:
        wanted = create_generator("dfv2_brush", seed=9, stream="val")(2, (48, 64))
        assert np.array_equal(np.asarray(image), 255 * wanted)
    assert "mine: 20 masks at 48 x 64, seed 9" in run("stats", config, "--n", 20)[1]
    assert "seed 3" in run("stats", config, "--n", 20, "--seed", 3, "--args", '{"max_strokes": 1}')[1]


def test_stats_of_a_folder_measure_its_files(run, tmp_path):
    for index, size in enumerate([(64, 64), (100, 80)]):
        (tmp_path / f"{index}.png").write_bytes(encode_png(create_mask("half", size, side="left")))
    code, out, _ = run("stats", tmp_path)
    assert code == 0
    assert "2 masks at their own resolution" in out
    assert "0.500" in out
    code, out, _ = run("show", tmp_path, "--out", tmp_path / "sheet" / "s.png")
    assert code == 0
    assert "2 masks of bank:" in out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["show", "lama_thik_256"], "Did you mean 'lama_thick_256'"),
        (["stats", "lama_box", "--size", 40], "no box of bbox_min_size 30 fits into size 40 x 40"),
        (["show", "center", "--args", '{"sid": 4}'], "Did you mean 'side'"),
        (["show", "center", "--args", "side=4"], "--args must be a JSON object"),
        (["show", "center", "--size", 3, 4, 5], "one number or height and width, got 3 4 5"),
        (["show", "center", "--size", 0], "`size` must be"),
        (["show", "center", "--n", 0], "--n must be at least 1"),
        (["show", "center", "--out", "sheet.jpg"], "--out must end in .png"),
        (["write", "center", "--n", 0, "--out", "bank"], "`n` must be at least 1"),
    ],
    ids=str,
)
def test_wrong_input_is_one_line(run, args, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, error = run(*args)
    assert code == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error
    assert not list(tmp_path.iterdir())


def test_as_a_program(tmp_path):
    command = [sys.executable, "-m", "inpaint_zoo.cli.main", "masks", "write", "dfv2", "--n", "3", "--out", "bank"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list((tmp_path / "bank").glob("*.png"))) == 3
    lost = subprocess.run(command[:-1], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert lost.returncode == 2


def test_generators_travel_to_worker_processes():
    generator = create_generator("general_union", seed=3)
    again = pickle.loads(pickle.dumps(generator))
    assert np.array_equal(again.batch(range(4), 256), generator.batch(range(4), 256))
    code = (
        "import zlib; from inpaint_zoo.masks import create_generator;"
        "print(zlib.crc32(create_generator('general_union', seed=3).batch(range(4), 256).tobytes()))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(other) == zlib.crc32(generator.batch(range(4), 256).tobytes())


def test_bad_files_of_a_folder_are_named_and_the_others_measured(run, tmp_path):
    for number in range(4):
        save(tmp_path / "bank" / f"{number}.png", top(10 + number))
    save(tmp_path / "bank" / "4.png", top(0))
    (tmp_path / "bank" / "5.png").write_bytes(b"no image")
    code, out, error = run("stats", tmp_path / "bank")
    assert code == 1
    assert "bank:bank: 5 masks at their own resolution" in out
    assert "warning: a mask file cannot be read: " in error
    assert "warning: a mask file looks wrong (empty), e.g. " in error
    code, out, error = run("show", tmp_path / "bank", "--size", 40, "--out", tmp_path / "sheet.png")
    assert code == 1
    assert "5 masks of bank:bank" in out  # the first file replaces the unreadable one
    assert re.search(r"warning: files at size 40 x 40: no mask .* The first attempt read .*4\.png: the mask is", error)
    code, out, error = run("stats", tmp_path / "bank", "--size", 40)
    assert "bank:bank: 5 masks at 40 x 40" in out
    (tmp_path / "none").mkdir()
    save(tmp_path / "none" / "a.png", top(10) // 255)
    code, out, error = run("show", tmp_path / "none", "--out", tmp_path / "sheet.png")
    assert code == 2
    assert "none of 1 files in" in error
    assert "a.png: the mask holds only 0 and 1" in error
