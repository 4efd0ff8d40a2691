"""Less common formats: read if their library is installed, otherwise reported with a solution."""

import importlib.util

import numpy as np
import pytest
from PIL import Image, features

from inpaint_zoo.io import formats
from inpaint_zoo.io.images import ImageError, decode_image, image_size, read_image
from inpaint_zoo.io.listing import list_images
from tests.helpers.odd_files import BASE, exif

SMOOTH = np.mgrid[0:256:48j, 0:256:64j].round().clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
SMOOTH = np.dstack([SMOOTH, np.full((48, 64), 90, np.uint8)])
HEIF = pytest.mark.skipif(importlib.util.find_spec("pillow_heif") is None, reason="needs pillow-heif")
AVIF = pytest.mark.skipif(not features.check("avif"), reason="needs Pillow with AVIF")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.jp2", "JPEG2000"),
        ("a.j2k", "JPEG2000"),
        pytest.param("a.avif", "AVIF", marks=AVIF),
        pytest.param("a.heic", "HEIF", marks=HEIF),
        pytest.param("a.HIF", "HEIF", marks=HEIF),
    ],
)
def test_what_cameras_and_archives_write_is_read(tmp_path, name, kind):
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    options = {"exif": exif(6)} if kind == "AVIF" else {}  # HEIF stores its rotation elsewhere
    Image.fromarray(SMOOTH).save(tmp_path / name, format=kind, **options)
    image = read_image(tmp_path / name)
    wanted = np.rot90(SMOOTH, -1) if options else SMOOTH  # turned as the camera was held
    assert image.size == wanted.shape[:2]
    assert np.abs(image.rgb.astype(int) - wanted).mean() < 4
    assert image.format == kind
    assert sorted(image_size(tmp_path / name)) == [48, 64]
    assert [path.name for path in list_images(tmp_path)] == [name]
    disguised = decode_image((tmp_path / name).read_bytes(), "a.jpg")  # the content decides
    np.testing.assert_array_equal(disguised.rgb, image.rgb)


def test_without_the_library_the_message_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "_without", lambda: dict(formats._NEEDS))
    heads = {"a.heic": b"\0\0\0\x18ftypheic", "b.avif": b"\0\0\0\x20ftypavif", "c.jp2": b"\0\0\0\x0cjP  \r\n\x87\n"}
    wanted = {"a.heic": r"inpaint-zoo\[heif\]", "b.avif": "reading AVIF needs", "c.jp2": "reading JPEG 2000 needs"}
    for name, head in heads.items():
        (tmp_path / name).write_bytes(head + bytes(100))
        with pytest.raises(ImageError, match=rf"{name}: {wanted[name].replace('inpaint', '.*inpaint')}"):
            read_image(tmp_path / name)
        with pytest.raises(ImageError, match=wanted[name]):  # under another name as well
            decode_image(head + bytes(100), "x.jpg")
    assert [path.name for path in list_images(tmp_path)] == sorted(heads)


@pytest.mark.parametrize("ending", ["nef", "CR2", "dng", "arw", "raf"])
def test_raw_files_are_never_taken_for_the_thumbnail_inside(tmp_path, ending):
    Image.fromarray(BASE).save(tmp_path / "thumbnail", format="TIFF")
    path = (tmp_path / "thumbnail").rename(tmp_path / f"a.{ending}")
    with pytest.raises(
        ImageError, match=rf"a\.{ending}: is a camera's RAW file \({ending.upper()}\), which is not read"
    ):
        read_image(path)
    with pytest.raises(ImageError, match="is a camera's RAW file"):
        decode_image(path.read_bytes(), path.name)
    assert list_images(tmp_path) == [path]


def test_jpeg_xl_is_named(tmp_path):
    (tmp_path / "a.jxl").write_bytes(b"\xff\x0a" + bytes(50))
    with pytest.raises(ImageError, match="is a JPEG XL file, which is not read; convert it"):
        read_image(tmp_path / "a.jxl")


def test_damaged_files_of_these_formats_are_called_damaged(tmp_path):
    Image.fromarray(SMOOTH).save(tmp_path / "a.jp2")
    data = (tmp_path / "a.jp2").read_bytes()
    with pytest.raises(ImageError, match="damaged"):
        decode_image(data[: len(data) // 3], "a.jp2")
