"""The command `inpaint-zoo inpaint`."""

import os

import numpy as np
import pytest
from PIL import Image

from inpaint_zoo.cli.main import main
from inpaint_zoo.io.images import read_image, write_image
from tests.helpers.odd_files import BASE, write_bad, write_odd
from tests.helpers.programs import Program


def run(*args):
    return main(["inpaint", *map(str, args)])


@pytest.fixture
def images(tmp_path):
    root = tmp_path / "images"
    for name in ("a.png", "sub/b.png", "sub/c.jpg"):
        write_image(root / name, np.tile(BASE, (2, 2, 1)))
    return root


@pytest.fixture
def mask(tmp_path):
    values = np.zeros((48, 64), np.uint8)
    values[10:20, 10:30] = 255
    Image.fromarray(values).save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


def test_a_folder_of_odd_and_bad_files_end_to_end(tmp_path):
    odd, bad = write_odd(tmp_path / "in"), write_bad(tmp_path / "in" / "sub")
    for name in ("one_pixel.png", "thin.png", "rotated.jpg"):
        (tmp_path / "in" / name).unlink()
        odd.pop(name)
    Image.fromarray(np.pad(np.full((8, 9), 255, np.uint8), ((8, 8), (11, 12)))).save(tmp_path / "mask.png")
    words = ("inpaint", tmp_path / "in", "--mask", tmp_path / "mask.png", "--model", "telea", "--device", "cpu")
    first = Program(*words, "--out", tmp_path / "out")
    assert first.wait() == 1
    assert first.stdout == f"{len(odd)} inpainted, {len(bad)} failed: {tmp_path / 'out'}\n"
    for name, reason in bad.items():
        (line,) = [line for line in first.stderr.splitlines() if line.startswith(f"  sub/{name} ")]
        assert reason in line
    assert "Traceback" not in first.stderr
    assert "Warning" not in first.stderr
    assert sum(path.is_file() for path in (tmp_path / "out").rglob("*")) == len(odd)
    second = Program(*words, "--out", tmp_path / "out")
    assert second.wait() == 1
    assert second.stdout.startswith(f"0 inpainted, {len(odd)} skipped (already exist; --overwrite writes them again)")


def test_a_list_in_a_file_folds_nothing(images, mask, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    long = {f"{'名' * 80}.png": b"", "b.png": b"II*\0damaged"}  # a long path, and a long reason
    for name, content in long.items():
        (images / name).write_bytes(content)
    assert run("images", "--mask", mask, "--model", "mean_fill", "--out", "out") == 1
    rows = capsys.readouterr().err.splitlines()
    assert [sum(line.startswith(f"  {name} ") for line in rows) for name in long] == [1, 1]
    assert sum("begins like a TIFF" in line for line in rows) == 1


def test_the_tree_is_mirrored_and_known_pixels_stay(images, mask, tmp_path, capsys):
    assert run(images, "--mask", mask, "--model", "mean_fill", "--out", tmp_path / "out", "--format", "png") == 0
    assert capsys.readouterr().out == f"3 inpainted: {tmp_path / 'out'}\n"
    hole = read_image(mask).rgb[..., 0] == 255
    for name in ("a.png", "sub/b.png", "sub/c.jpg"):
        source = read_image(images / name).rgb
        result = read_image((tmp_path / "out" / name).with_suffix(".png")).rgb
        np.testing.assert_array_equal(result[~hole], source[~hole])
        assert (result[hole] == result[hole][0]).all()


def test_existing_results_are_skipped_unless_told(images, mask, tmp_path, capsys):
    args = (images, "--mask", mask, "--model", "mean_fill", "--out", tmp_path / "out")
    assert run(*args) == 0
    (tmp_path / "out" / "a.png").write_bytes(b"mine")
    (tmp_path / "out" / "sub" / "b.png").unlink()
    assert run(*args) == 0
    assert "1 inpainted, 2 skipped" in capsys.readouterr().out
    assert (tmp_path / "out" / "a.png").read_bytes() == b"mine"
    assert run(*args, "--overwrite") == 0
    assert "3 inpainted:" in capsys.readouterr().out
    assert (tmp_path / "out" / "a.png").read_bytes() != b"mine"


def test_one_image_and_a_generator(images, tmp_path):
    args = (images / "a.png", "--mask", "cmod", "--model", "telea", "--seed", 5, "--batch-size", 2)
    for out in ("one", "two"):
        assert run(*args, "--out", tmp_path / out) == 0
    assert (tmp_path / "one" / "a.png").read_bytes() == (tmp_path / "two" / "a.png").read_bytes()


def test_inverted_masks(images, mask, tmp_path):
    Image.fromarray(255 - read_image(mask).rgb[..., 0]).save(tmp_path / "inverted.png")
    args = (images / "a.png", "--model", "telea")
    assert run(*args, "--mask", mask, "--out", tmp_path / "one") == 0
    assert run(*args, "--mask", tmp_path / "inverted.png", "--invert-mask", "--out", tmp_path / "two") == 0
    assert (tmp_path / "one" / "a.png").read_bytes() == (tmp_path / "two" / "a.png").read_bytes()


def test_doubtful_masks_are_told_once_per_kind_with_their_number(images, tmp_path, capsys):
    for name in ("a", "sub/b", "sub/c"):
        path = tmp_path / "masks" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((48, 64), 255 if name == "a" else 0, np.uint8)).save(path)
    assert run(images, "--mask", tmp_path / "masks", "--model", "mean_fill", "--out", tmp_path / "out") == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning:")]
    assert len(lines) == 2
    assert lines[0].startswith("warning: a mask file looks wrong (more than 60 % hole), e.g. ")
    assert lines[1].startswith("warning: 2 mask files look wrong (empty), e.g. ")


def test_quality_and_limits(images, mask, tmp_path, capsys):
    args = (images / "sub" / "c.jpg", "--mask", mask, "--model", "mean_fill")
    assert run(*args, "--out", tmp_path / "fine") == 0
    assert run(*args, "--out", tmp_path / "coarse", "--quality", 10) == 0
    sizes = [(tmp_path / out / "c.jpg").stat().st_size for out in ("coarse", "fine")]
    assert sizes[0] < sizes[1] / 2
    capsys.readouterr()
    assert run(*args, "--out", tmp_path / "none", "--max-pixels", 3071) == 2  # the mask itself is too large
    assert "3,072 pixels are more than the 3,071 allowed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nowhere", "--mask", "cmod", "--model", "telea"], "nowhere: no such file or folder"),
        (["{empty}", "--mask", "cmod", "--model", "telea"], "contains no images"),
        (["{images}", "--mask", "nosuchmask", "--model", "telea"], "Unknown mask 'nosuchmask'"),
        (["{images}", "--mask", "no.png", "--model", "telea"], "no.png: no such file"),
        (["{images}", "--mask", "cmod", "--model", "tela"], "Did you mean 'telea'"),
        (["{images}", "--mask", "cmod", "--model", "telea", "--weights", "w.pt"], "takes no `weights`"),
        (["{images}", "--mask", "{images}/sub", "--model", "telea"], "3 images and 2 masks do not match"),
        (["{images}", "--mask", "cmod", "--model", "telea", "--batch-size", "0"], "--batch-size must be at least 1"),
        (["{images}", "--mask", "cmod", "--model", "telea", "--quality", "101"], "--quality must be from 1 to 100"),
        (["{images}", "--mask", "cmod", "--model", "telea", "--mask-threshold", "255"], "must be from 0 to 254"),
    ],
)
def test_wrong_requests_end_with_2_in_one_line_and_write_nothing(images, tmp_path, capsys, args, message):
    (tmp_path / "empty").mkdir()
    filled = [arg.format(images=images, empty=tmp_path / "empty") for arg in args]
    assert run(*filled, "--out", tmp_path / "out") == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_unusable_places_are_one_line(images, mask, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below", images):
        assert run(images, "--mask", mask, "--model", "telea", "--out", out) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert error.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_without_permission_is_one_line(images, mask, tmp_path, capsys):
    (tmp_path / "locked").mkdir(mode=0o500)
    assert run(images, "--mask", mask, "--model", "telea", "--out", tmp_path / "locked") == 2
    assert "permission denied" in capsys.readouterr().err.lower()


def test_missing_options_are_usage_errors(capsys):
    with pytest.raises(SystemExit) as caught:
        run("images")
    assert caught.value.code == 2
    assert "--mask" in capsys.readouterr().err


def test_the_help_explains_every_option(capsys):
    with pytest.raises(SystemExit) as caught:
        run("--help")
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for option in (
        "--invert-mask",
        "--mask-threshold",
        "--overwrite",
        "--format",
        "--quality",
        "--max-pixels",
        "--seed",
        "--frames",
        "--branches",
    ):
        assert option in text


def lama_layout(folder, hole):
    """Write images and masks into one folder, in the layout of LaMa's prediction script."""
    for name in ("x", "sub/y"):
        write_image(folder / f"{name}.png", np.tile(BASE, (2, 2, 1)))
        Image.fromarray(hole.astype(np.uint8) * 255).save(folder / f"{name}_mask001.png")


@pytest.mark.filterwarnings("ignore::inpaint_zoo.io.listing.FolderWarning")
def test_masks_beside_their_images_are_recognized(images, mask, tmp_path, capsys):
    hole = read_image(mask).rgb[..., 0] == 255
    (tmp_path / "lama" / "sub").mkdir(parents=True)
    lama_layout(tmp_path / "lama", hole)
    args = ("--mask", tmp_path / "lama", "--model", "mean_fill", "--out", tmp_path / "out")
    assert run(tmp_path / "lama", *args) == 0
    assert capsys.readouterr().out == f"2 inpainted: {tmp_path / 'out'}\n"
    for name in ("x.png", "sub/y.png"):
        source, result = read_image(tmp_path / "lama" / name).rgb, read_image(tmp_path / "out" / name).rgb
        np.testing.assert_array_equal(result[~hole], source[~hole])
        assert (result[hole] == result[hole][0]).all()
    assert run(tmp_path / "lama" / "x.png", *args) == 0  # a single image; its mask is found beside it
    one = images / "a.png"
    for source, masks in ((images, images), (one, one), (images, one)):
        assert run(source, "--mask", masks, "--model", "mean_fill", "--out", tmp_path / "own") == 2
        assert "a.png: is used both as image and as mask" in capsys.readouterr().err
    assert not (tmp_path / "own").exists()


def test_a_name_that_cannot_be_written_costs_its_image_alone(images, mask, tmp_path, capsys):
    (images / "a.png").rename(images / ("b" * 251 + ".png"))
    args = (images, "--mask", mask, "--model", "mean_fill", "--out", tmp_path / "out")
    assert run(*args) == 0  # the longest possible name
    (images / "sub" / "b.png").rename(images / "sub" / ("b" * 249 + ".gif"))
    (tmp_path / "out" / "sub" / "c.jpg").unlink()
    (tmp_path / "out" / "sub" / "c.jpg").mkdir()
    assert run(*args, "--overwrite") == 1
    shown = capsys.readouterr()
    assert "2 inpainted, 1 failed" in shown.out
    assert "the result cannot be written: Is a directory: c.jpg" in shown.err
    progressive = (images, "--mask", mask, "--model", "progressive:telea", "--out", tmp_path / "passes", "--frames")
    assert run(*progressive) == 1  # the suffix _pass_01.png makes two of the names too long
    shown = capsys.readouterr()
    assert "1 inpainted, 2 failed" in shown.out
    assert "File name too long" in shown.err


def test_gray_images_stay_gray(mask, tmp_path):
    gray = Image.fromarray(np.tile(BASE[..., 0], (2, 2)))
    alpha = gray.copy()
    alpha.putalpha(Image.fromarray(np.tile(BASE[..., 1], (2, 2))))
    (tmp_path / "in").mkdir()
    images = {"l.png": gray, "j.jpg": gray, "t.tif": gray, "la.png": alpha, "rgb.png": gray.convert("RGB")}
    for name, image in images.items():
        image.save(tmp_path / "in" / name)
    args = ("--mask", mask, "--model", "autoencoder_tiny", "--device", "cpu", "--out", tmp_path / "out")
    assert run(tmp_path / "in", *args) == 0
    for name, image in images.items():
        with Image.open(tmp_path / "out" / name) as result:
            assert result.mode == image.mode
            rgb = np.asarray(result.convert("RGB"))
        assert (rgb == rgb[..., :1]).all()


@pytest.mark.filterwarnings("ignore::inpaint_zoo.io.listing.FolderWarning")
def test_every_image_of_a_folder_is_filled_or_named(images, mask, tmp_path, capsys):
    (images / "r.nef").write_bytes(b"MM\0*" + bytes(100))
    (images / "@eaDir").mkdir()
    (images / "a.png").rename(images / "@eaDir" / "thumb.png")
    Image.fromarray(np.tile(BASE, (2, 2, 1))).save(images / "j.jp2")
    assert run(images, "--mask", mask, "--model", "mean_fill", "--out", tmp_path / "out") == 1
    shown = capsys.readouterr()
    assert "3 inpainted, 1 failed" in shown.out
    assert "r.nef" in shown.err
    assert "is a camera's RAW file (NEF), which is not read" in shown.err
    assert (tmp_path / "out" / "j.png").is_file()
    assert not (tmp_path / "out" / "@eaDir").exists()
