"""Files that users have: names in other spellings, folders in the way, gray palettes, lists beside a suite."""

import unicodedata

import numpy as np
import pytest
from PIL import Image

from inpaint_zoo.cli.main import main
from inpaint_zoo.io.names import spelled
from tests.helpers.suites import make_image, write_suite

HOLE = np.zeros((64, 64), np.uint8)
HOLE[20:40, 16:50] = 255


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def run(images, out, *words):
    return main(["inpaint", *map(str, (images if isinstance(images, list) else [images])), "--out", str(out), *words])


@pytest.mark.parametrize("name", ["café", "한글", "Å", "b/é/ü"])
@pytest.mark.parametrize(("disk", "given"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_a_manifest_finds_names_in_each_normalization(tmp_path, name, disk, given):
    for folder, values in (("i", make_image(0)), ("m", HOLE)):
        save(tmp_path / folder / f"{unicodedata.normalize(disk, name)}.png", values)
    other = unicodedata.normalize(given, name)
    (tmp_path / "list.csv").write_text(f"image,mask\ni/{other}.png,m/{other}.png\n", encoding="utf-8")
    assert run(tmp_path / "list.csv", tmp_path / "out", "--model", "mean_fill") == 0
    assert len(list((tmp_path / "out").rglob("*.png"))) == 1


def test_names_that_are_nowhere_stay_as_they_are(tmp_path):
    for path in (tmp_path / "é.png", tmp_path / "é" / "ü.png", tmp_path / "a.png"):
        assert spelled(path) == path


def test_a_folder_in_the_place_of_a_result_is_named_and_no_finished_result(tmp_path, capsys):
    for name in ("a", "b"):
        save(tmp_path / "in" / f"{name}.png", make_image(0))
    save(tmp_path / "mask.png", HOLE)
    (tmp_path / "out" / "a.png").mkdir(parents=True)
    for _ in range(2):  # the second time, b is there
        words = ["--mask", str(tmp_path / "mask.png"), "--model", "mean_fill"]
        assert run(tmp_path / "in", tmp_path / "out", *words) == 1
        printed = capsys.readouterr()
        assert "1 failed" in printed.out
        assert "a.png" in printed.err
        assert "directory" in printed.err.lower()
    assert (tmp_path / "out" / "b.png").is_file()


@pytest.mark.parametrize("suffix", [".png", ".gif", ".bmp"])
def test_a_palette_of_grays_is_gray(tmp_path, suffix):
    gray = Image.fromarray(make_image(0)).convert("L")
    gray.quantize(16).save(tmp_path / f"a{suffix}")
    save(tmp_path / "mask.png", HOLE)
    with Image.open(tmp_path / f"a{suffix}") as image:
        assert image.mode in ("P", "L")  # Pillow reads gray GIF and BMP files as gray itself
    words = ["--mask", str(tmp_path / "mask.png"), "--model", "glama_tiny"]
    assert run(tmp_path / f"a{suffix}", tmp_path / "out", *words) == 0
    result = next((tmp_path / "out").glob("a.*"))
    with Image.open(result) as image:
        assert image.mode == "L"


def test_a_palette_of_colors_stays_color(tmp_path):
    Image.fromarray(make_image(0)).quantize(16).save(tmp_path / "a.png")
    save(tmp_path / "mask.png", HOLE)
    assert run(tmp_path / "a.png", tmp_path / "out", "--mask", str(tmp_path / "mask.png"), "--model", "mean_fill") == 0
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert image.mode == "RGB"


def test_the_list_of_a_suite_is_found_beside_the_suite(tmp_path, monkeypatch, capsys):
    datasets = [{"name": "mine", "root": "images", "list": "some.txt", "size": 64}]
    suite = write_suite(tmp_path / "suites", methods=["mean_fill"], datasets=datasets, masks=["lama_box"])
    (tmp_path / "suites" / "some.txt").write_text("/p0.png 3\r\np1.png 4\r\n", encoding="utf-8-sig")
    monkeypatch.chdir(tmp_path)
    assert main(["benchmark", str(suite), "--out", "run", "--device", "cpu"]) == 0
    assert "1 computed" in capsys.readouterr().out
