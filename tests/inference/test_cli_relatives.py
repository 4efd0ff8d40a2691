"""Files that users have: other spellings of names, folders in the way, gray palettes, odd EXIF, lists of suites."""

import struct
import unicodedata

import numpy as np
import pytest
from PIL import Image

from inpaint_zoo.cli.main import main
from inpaint_zoo.io.exif import PREFIX
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


def test_absolute_and_relative_names_in_one_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "sub/b.png"):
        save(tmp_path / name, make_image(0))
    save(tmp_path / "mask.png", HOLE)
    words = ["--mask", "mask.png", "--model", "mean_fill"]
    (tmp_path / "sub" / "bad.png").write_bytes(b"x")
    names = ["a.png", tmp_path / "sub" / "b.png", tmp_path / "sub" / "bad.png"]
    assert run(names, "out", *words) == 1
    printed = capsys.readouterr()
    assert "2 inpainted, 1 failed" in printed.out
    assert "sub/bad.png" in printed.err
    (tmp_path / "list.csv").write_text(f"image,mask\na.png,mask.png\n{tmp_path / 'sub' / 'b.png'},mask.png\n")
    assert run("list.csv", "listed", "--model", "mean_fill") == 0


def test_two_outputs_of_a_manifest_that_are_one_file_are_refused(tmp_path, capsys):
    for name in ("a.png", "b.png"):
        save(tmp_path / name, make_image(0))
    save(tmp_path / "mask.png", HOLE)
    (tmp_path / "list.csv").write_text("image,mask,output\na.png,mask.png,x.png\nb.png,mask.png,sub/../x.png\n")
    assert run(tmp_path / "list.csv", tmp_path / "out", "--model", "mean_fill") == 2
    assert "would both be written to" in capsys.readouterr().err


def test_a_manifest_with_nul_is_an_error_of_its_line(tmp_path, capsys):
    (tmp_path / "list.csv").write_text("image,mask\na\0.png,mask.png\n")
    assert run(tmp_path / "list.csv", tmp_path / "out", "--model", "mean_fill") == 2
    assert "list.csv, line 2: a path contains the character NUL" in capsys.readouterr().err


def test_added_pixels_count_for_the_limit_of_pixels(tmp_path, capsys):
    save(tmp_path / "a.png", make_image(0))
    words = ["--model", "mean_fill", "--expand", "0,64,0,0", "--max-pixels"]
    assert run(tmp_path / "a.png", tmp_path / "out", *words, str(64 * 128 - 1)) == 1
    assert "with the added pixels, the image is 128 x 64" in " ".join(capsys.readouterr().err.split())
    assert run(tmp_path / "a.png", tmp_path / "out", *words, str(64 * 128)) == 0


def exif_of(*entries):
    """Return an EXIF block of entries (tag, type, count, value of at most 4 bytes or offset data)."""
    at, block, rest = 8 + 2 + 12 * len(entries) + 4, b"II*\0" + struct.pack("<IH", 8, len(entries)), b""
    for tag, kind, count, value in entries:
        field = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", at + len(rest))
        rest += value if len(value) > 4 else b""
        block += struct.pack("<HHI", tag, kind, count) + field
    return block + bytes(4) + rest


MAKE = (0x010F, 2, 6, b"Maker\0")
ODD_ENTRIES = {
    "a rational where a text is expected": (0x0131, 5, 1, struct.pack("<II", 1, 3)),
    "a negative number where none can be": (0x8298, 9, 1, struct.pack("<i", -5)),
    "the size of another file": (0x0100, 9, 1, struct.pack("<i", -5)),
    "a resolution of 0 / 0": (0x011B, 5, 1, bytes(8)),
    "float samples": (0x0153, 3, 1, struct.pack("<H", 3)),
    "bits in reverse": (0x010A, 3, 1, struct.pack("<H", 2)),
    "tiles": (0x0142, 4, 1, struct.pack("<I", 16)),
    "a type that does not exist": (0xC001, 99, 1, b"abcd"),
    "a sub-directory that is a text": (0x8825, 2, 4, b"abc\0"),
}


@pytest.mark.parametrize("form", ["tif", "png", "jpg", "webp"])
def test_odd_exif_values_stop_no_image(tmp_path, form):
    """What cannot be written is left out; the pixels and the other tags are there."""
    for number, entry in enumerate(ODD_ENTRIES.values()):
        path = tmp_path / "in" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(make_image(number)).save(path, exif=exif_of(MAKE, entry))
    save(tmp_path / "mask.png", HOLE)
    words = ["--mask", str(tmp_path / "mask.png"), "--model", "mean_fill", "--format", form]
    assert run(tmp_path / "in", tmp_path / "out", *words) == 0
    for number, name in enumerate(ODD_ENTRIES):
        with Image.open(tmp_path / "out" / f"{number}.{form}") as result:
            if form != "jpg":
                np.testing.assert_array_equal(
                    np.asarray(result)[HOLE == 0], make_image(number)[HOLE == 0], err_msg=name
                )
            assert result.getexif()[0x010F] == "Maker", name


def test_a_tag_that_tiff_cannot_hold_is_named(tmp_path, capsys):
    Image.fromarray(make_image(0)).save(tmp_path / "a.jpg", exif=PREFIX + exif_of(MAKE, (0x0131, 5, 1, bytes(8))))
    save(tmp_path / "mask.png", HOLE)
    words = ["--mask", str(tmp_path / "mask.png"), "--model", "mean_fill", "--format", "tif"]
    assert run(tmp_path / "a.jpg", tmp_path / "out", *words) == 0
    assert "EXIF tag 305 left out" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".jpg", ".bmp", ".ppm"])
def test_an_exif_block_without_room_is_left_out_with_a_note(tmp_path, suffix, capsys):
    size = 70_000 if suffix == ".jpg" else 10
    block = exif_of(MAKE, (0x8649, 7, size, bytes(size)))  # image resources of Photoshop
    Image.fromarray(make_image(0)).save(tmp_path / "a.png", exif=block)
    save(tmp_path / "mask.png", HOLE)
    (tmp_path / "list.csv").write_text(f"image,mask,output\na.png,mask.png,a{suffix}\n")
    assert run(tmp_path / "list.csv", tmp_path / "out", "--model", "mean_fill") == 0
    assert f"EXIF block left out, since {suffix} cannot hold its {len(block)} bytes" in capsys.readouterr().err
