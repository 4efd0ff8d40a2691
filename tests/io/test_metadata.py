"""Unusual, oversized or damaged metadata: the pixels are still read, and written profiles fit the pixels."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from inpaint_zoo.io.images import ImageError, decode_image, image_size, read_image, write_image
from inpaint_zoo.io.profiles import profile_of_space, srgb_profile
from tests.helpers.odd_files import BASE, OLD_PILLOW, exif, png_chunk

TWO_MIB = bytes(2 * 2**20)


def encoded(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", **options)
    return buffer.getvalue()


PLAIN = encoded(Image.fromarray(BASE))


def with_chunks(*chunks, data=PLAIN, last=False):
    """Return a PNG with additional chunks after its header or before its end."""
    place = len(data) - 12 if last else 33
    return data[:place] + b"".join(chunks) + data[place:]


def damaged(chunk):
    return chunk[:-1] + bytes([chunk[-1] ^ 1])


def itxt(text):
    return png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(text))


ZTXT = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(TWO_MIB))


@pytest.mark.parametrize(
    ("chunks", "note"),
    [
        ([ZTXT], "oversized text left out"),
        ([itxt(TWO_MIB)], "oversized text left out"),
        ([png_chunk(b"iCCP", b"icc\0\0" + zlib.compress(TWO_MIB))], "oversized color profile left out"),
        ([damaged(png_chunk(b"tEXt", b"Comment\0hello"))], "damaged text left out"),
        ([damaged(png_chunk(b"eXIf", b"MM\0*"))], "damaged EXIF block left out"),
        ([png_chunk(b"pHYs", b"12345")], "damaged pHYs left out"),
        ([png_chunk(b"zTXt", b"Comment\0\7" + zlib.compress(b"hello"))], "damaged text left out"),
        ([png_chunk(b"iCCP", b"icc")], "damaged color profile left out"),
        ([damaged(png_chunk(b"tIME", bytes(7))), ZTXT], "damaged tIME and oversized text left out"),
        ([png_chunk(b"tEXt", b"Comment\0" + TWO_MIB)], None),  # 2 MiB that are not compressed are no bomb
        ([itxt(b"<x/>"), png_chunk(b"tEXt", b"a\0b"), png_chunk(b"teSt", b"private")], None),
    ],
)
@pytest.mark.parametrize("last", [False, True])
def test_pixels_are_read_whatever_the_metadata(tmp_path, chunks, note, last):
    data = with_chunks(*chunks, last=last)
    (tmp_path / "a.png").write_bytes(data)
    for image in (read_image(tmp_path / "a.png"), decode_image(data, "a.png")):
        np.testing.assert_array_equal(image.rgb, BASE)
        assert image.notes == (() if note is None else (note,))
    assert image_size(tmp_path / "a.png") == BASE.shape[:2]


def test_only_the_bad_part_of_the_metadata_is_lost(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = with_chunks(ZTXT, data=encoded(Image.fromarray(BASE), icc_profile=profile, exif=exif(3)))
    image = decode_image(data, "a.png")
    assert image.icc_profile == profile
    assert image.exif_orientation == 3
    np.testing.assert_array_equal(image.rgb, BASE[::-1, ::-1])


def test_text_beyond_what_pillow_keeps_in_all_is_left_out():
    part = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2**20)))
    image = decode_image(with_chunks(*[part] * 70), "a.png")
    np.testing.assert_array_equal(image.rgb, BASE)
    assert image.notes == ("oversized text left out",)


def test_damage_to_the_pixels_is_still_named():
    for chunk in (damaged(png_chunk(b"PLTE", bytes(3))), damaged(png_chunk(b"tRNS", bytes(6)))):
        with pytest.raises(ImageError, match=r"^a\.png: begins like a PNG file but is damaged"):
            decode_image(with_chunks(chunk, ZTXT), "a.png")


def profile_for(space, kind=b"mntr"):
    """Return the header of an ICC profile for a color space, without any content."""
    return struct.pack(">I4sI4s4s4s12s4s", 132, b"test", 0, kind, space, b"XYZ ", bytes(12), b"acsp") + bytes(92)


SAVED = {
    "RGB": (b"RGB ", True),
    "RGBA": (b"RGB ", True),
    "P": (b"RGB ", True),
    "L": (b"GRAY", True),
    "LA": (b"GRAY", True),
    "1": (b"GRAY", True),
    "I;16": (b"GRAY", True),
    "CMYK": (b"CMYK", False),
    "YCbCr": (b"YCbr", False),
}


@pytest.mark.parametrize("mode", [mode for mode in SAVED if not (OLD_PILLOW and mode == "YCbCr")])
def test_a_profile_is_kept_only_if_it_describes_the_pixels(tmp_path, mode):
    space, kept = SAVED[mode]
    gray = Image.fromarray(BASE[..., 0].astype(np.uint16) * 257)
    image = gray if mode == "I;16" else Image.fromarray(BASE).convert(mode)
    for declared in (space, b"RGB ", b"GRAY", b"CMYK", b"Lab "):
        image.save(tmp_path / "a.tif", icc_profile=profile_for(declared))
        scene = read_image(tmp_path / "a.tif")
        fits = (declared == space and kept) or (mode == "YCbCr" and declared == b"RGB ")
        assert scene.icc_profile == (profile_for(declared) if fits else None), declared
        told = any("a color profile of another color space left out" in note for note in scene.notes)
        assert told == (not fits and mode != "CMYK"), declared
        write_image(tmp_path / "b.png", scene.rgb, icc_profile=scene.icc_profile, gray=scene.gray)
        with Image.open(tmp_path / "b.png") as written:
            assert written.info.get("icc_profile") == scene.icc_profile
            assert written.mode == ("L" if scene.gray else "RGB")


def test_a_profile_that_is_none_of_a_device_is_left_out():
    assert profile_of_space(profile_for(b"RGB ", b"link"), gray=False) is None
    assert profile_of_space(b"declares nothing", gray=False) == b"declares nothing"
    assert profile_of_space(None, gray=False) is None
    assert srgb_profile()[24:36] == struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    assert "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile())))


def srgb_of(lab):
    """Convert CIE Lab (D50) to 8-bit sRGB with the formulas of IEC 61966-2-1 and the Bradford adaptation matrix."""
    L, a, b = lab
    fy = (L + 16) / 116
    cubes = np.array([fy + a / 500, fy, fy - b / 200])
    relative = np.where(cubes > 6 / 29, cubes**3, 3 * (6 / 29) ** 2 * (cubes - 4 / 29))
    xyz = relative * np.array([0.9642, 1.0, 0.8249])
    to_linear = [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
    linear = np.array(to_linear) @ xyz
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clip(0) ** (1 / 2.4) - 0.055)


def test_lab_becomes_srgb_and_says_so(tmp_path):
    colors = [(50, 0, 0), (60, 20, 30), (70, -20, 40), (40, 10, -30), (95, 0, 5)]
    stored = np.array([[(round(L * 255 / 100), a & 255, b & 255) for L, a, b in colors]], np.uint8)
    lab = Image.frombytes("LAB", (len(colors), 1), stored.tobytes())
    lab.save(tmp_path / "lab.tif", icc_profile=profile_for(b"Lab ", b"abst"))
    image = read_image(tmp_path / "lab.tif")
    wanted = [srgb_of((round(L * 255 / 100) * 100 / 255, a, b)) for L, a, b in colors]
    np.testing.assert_allclose(image.rgb[0], wanted, atol=2)
    assert image.icc_profile == srgb_profile()
    assert image.notes == ("Lab converted to sRGB",)
    write_image(tmp_path / "b.png", image.rgb, icc_profile=image.icc_profile)
    with Image.open(tmp_path / "b.png") as written:
        assert written.info["icc_profile"] == srgb_profile()
