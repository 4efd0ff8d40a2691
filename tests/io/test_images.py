"""Reading and writing of images: conversions of unusual files, and error messages for bad ones."""

import os
import re
import stat
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from inpaint_zoo.io.exif import load_exif
from inpaint_zoo.io.images import (
    ALPHA_SUFFIXES,
    WRITABLE_SUFFIXES,
    ImageError,
    convert_image,
    decode_image,
    image_size,
    read_image,
    write_image,
)
from tests.helpers.odd_files import BASE, exif, png_chunk, png_of_size, write_bad, write_odd

# what a viewer must do to show a stored array upright, written independently of the reader: EXIF 2.3, tag 274
UPRIGHT = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: np.rot90,
}


def test_odd_files_become_rgb_and_say_how(tmp_path):
    for name, note in write_odd(tmp_path).items():
        image = read_image(tmp_path / name)
        assert image.rgb.dtype == np.uint8, name
        assert image.rgb.shape[2] == 3, name
        assert image.rgb.flags.c_contiguous, name
        assert image.alpha is None or image.alpha.shape == image.size, name
        text = "; ".join(image.notes)
        assert (note in text) if note else not text, (name, text)
        assert image.size == {"rotated.jpg": (32, 24), "one_pixel.png": (1, 1), "thin.png": (1, 5000)}.get(
            name, (24, 32)
        )


def test_bytes_in_memory_are_read_like_the_file_that_holds_them(tmp_path):
    for name in write_odd(tmp_path):
        of_file, of_bytes = read_image(tmp_path / name), decode_image((tmp_path / name).read_bytes(), name)
        np.testing.assert_array_equal(of_bytes.rgb, of_file.rgb)
        assert (of_bytes.alpha is None) == (of_file.alpha is None)
        assert (of_bytes.notes, of_bytes.format) == (of_file.notes, of_file.format)
    with pytest.raises(ImageError, match=r"^a/b\.jpg: is empty"):
        decode_image(b"", "a/b.jpg")
    with pytest.raises(ImageError, match=r"^a/b\.jpg: is not a PNG"):
        decode_image(b"nonsense", "a/b.jpg")
    with pytest.raises(ImageError, match=r"^plain\.png: 768 pixels are more than the 700 allowed"):
        decode_image((tmp_path / "plain.png").read_bytes(), "plain.png", max_pixels=700)


@pytest.mark.parametrize("name", ["rgb16.png", "rgb16.tif"])
def test_sixteen_bits_survive_a_lazily_opened_image(tmp_path, name):
    write_odd(tmp_path)
    with Image.open(tmp_path / name) as image:
        np.testing.assert_array_equal(convert_image(image).rgb, BASE)


@pytest.mark.parametrize("name", ["plain.png", "plain.webp", "plain.bmp", "plain.ppm", "rgb16.png", "rgb16.tif"])
def test_lossless_files_give_exactly_their_pixels(tmp_path, name):
    write_odd(tmp_path)
    np.testing.assert_array_equal(read_image(tmp_path / name).rgb, BASE)


@pytest.mark.parametrize("name", ["gray16.png", "gray16.tif", "portable.pgm", "float.tif"])
def test_gray_files_give_exactly_their_pixels(tmp_path, name):
    write_odd(tmp_path)
    np.testing.assert_array_equal(read_image(tmp_path / name).rgb, np.repeat(BASE[..., :1], 3, axis=2))


@pytest.mark.parametrize("name", ["rgba.png", "rgba.tif", "gray_alpha.png"])
def test_alpha_is_kept_apart(tmp_path, name):
    write_odd(tmp_path)
    image = read_image(tmp_path / name)
    np.testing.assert_array_equal(image.alpha, BASE[..., 1])
    if name.startswith("rgba"):
        np.testing.assert_array_equal(image.rgb, BASE)


def test_transparent_palettes_and_color_keys_become_alpha(tmp_path):
    write_odd(tmp_path)
    for name in ("palette_index.png", "palette_bytes.png"):
        indices = np.array(Image.open(tmp_path / name))
        wanted = np.where(indices == 3, 0, 255) if "index" in name else indices * 10
        np.testing.assert_array_equal(read_image(tmp_path / name).alpha, wanted)
    key = read_image(tmp_path / "color_key.png")
    np.testing.assert_array_equal(key.alpha == 0, (BASE[0, 0] == BASE).all(axis=2))


def test_the_first_frame_is_taken(tmp_path):
    write_odd(tmp_path)
    np.testing.assert_array_equal(read_image(tmp_path / "pages.tif").rgb, BASE)


def test_cmyk_looks_like_the_image(tmp_path):
    write_odd(tmp_path)
    np.testing.assert_allclose(read_image(tmp_path / "cmyk.tif").rgb, BASE, atol=2)


def test_bad_files_are_named_in_one_clear_line(tmp_path):
    for name, reason in write_bad(tmp_path).items():
        with pytest.raises(ImageError, match=re.escape(reason)) as caught:
            read_image(tmp_path / name)
        text = str(caught.value)
        assert text.startswith(f"{tmp_path / name}: "), text
        assert "\n" not in text, text


def test_missing_files_folders_and_pipes_are_named(tmp_path):
    with pytest.raises(ImageError, match=r"none.png: no such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(ImageError, match="is a folder, but an image file was expected"):
        read_image(tmp_path)
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="is not a regular file"):
        read_image(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="cannot be opened"):
        read_image(tmp_path / f"{'x' * 300}.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_read_permission_is_named(tmp_path):
    write_image(tmp_path / "a.png", BASE)
    (tmp_path / "a.png").chmod(stat.S_IWUSR)
    with pytest.raises(ImageError, match="cannot be opened: Permission denied"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, ending, orientation):
    path = tmp_path / f"a.{ending}"
    Image.fromarray(BASE).save(path, exif=exif(orientation), **({"lossless": True} if ending == "webp" else {}))
    stored = BASE
    if ending == "jpg":  # what the decoder makes of the stored pixels
        stored = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)[..., ::-1]
    image = read_image(path)
    np.testing.assert_allclose(image.rgb, UPRIGHT[orientation](stored), atol=1 if ending == "jpg" else 0)
    assert image.exif_orientation == orientation
    assert bool(image.notes) == (orientation != 1)


def test_alpha_turns_with_its_image(tmp_path):
    Image.fromarray(np.concatenate([BASE, BASE[..., :1]], axis=2)).save(tmp_path / "a.png", exif=exif(6))
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.alpha, image.rgb[..., 0])


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_impossible_orientations_are_ignored(tmp_path, orientation):
    Image.fromarray(BASE).save(tmp_path / "a.png", exif=exif(orientation))
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.rgb, BASE)
    assert image.exif_orientation == 1


def test_sixteen_bits_are_rounded_value_by_value(tmp_path):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    wanted = np.array([int(v / 257 + 0.5) for v in range(65536)]).reshape(256, 256)
    color = np.stack([values, values[::-1], values.T], axis=2)
    for ending in ("png", "tif"):
        Image.fromarray(values).save(tmp_path / f"gray.{ending}")
        np.testing.assert_array_equal(read_image(tmp_path / f"gray.{ending}").rgb[..., 1], wanted)
        cv2.imwrite(str(tmp_path / f"colour.{ending}"), color[..., ::-1])
        rgb = read_image(tmp_path / f"colour.{ending}").rgb
        for channel, plane in enumerate((wanted, wanted[::-1], wanted.T)):
            np.testing.assert_array_equal(rgb[..., channel], plane)


def test_sixteen_bit_color_turns_with_exif(tmp_path):
    color = (np.arange(6 * 4 * 3).reshape(6, 4, 3) * 800).astype(np.uint16)
    ok, data = cv2.imencode(".png", color[..., ::-1])
    assert ok
    raw, block = data.tobytes(), exif(8).tobytes().removeprefix(b"Exif\0\0")
    (tmp_path / "a.png").write_bytes(raw[:33] + png_chunk(b"eXIf", block) + raw[33:])  # after the header
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.rgb, UPRIGHT[8](((color.astype(int) + 128) // 257).astype(np.uint8)))
    assert image.notes == ("rotated according to EXIF orientation 8", "16 bits per channel scaled to 8")


def keyed_png(values, depth, key):
    """Return a PNG file of (H, W, C) values with `depth` bits, of which the color `key` is transparent."""
    H, W, C = values.shape
    bits = np.unpackbits(values.astype(">u2").view(np.uint8).reshape(H, W * C, 2), axis=2)[..., -depth:]
    rows = np.packbits(bits.reshape(H, -1), axis=1)
    header = struct.pack(">IIBBBBB", W, H, depth, 0 if C == 1 else 2, 0, 0, 0)
    data = zlib.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes())
    chunks = [(b"IHDR", header), (b"tRNS", struct.pack(f">{C}H", *key)), (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(("channels", "depth"), [(1, 1), (1, 2), (1, 4), (1, 8), (1, 16), (3, 8), (3, 16)])
def test_a_transparent_color_is_compared_in_the_depth_of_the_file(tmp_path, channels, depth, deep):
    values = np.random.default_rng(0).integers(0, 2**depth, (24, 32, channels), dtype=np.uint16)
    key = values[3, 4]
    values[5, 6] = key  # a second pixel, and one that differs in the lowest bit only
    values[7, 8] = key ^ 1
    (tmp_path / "a.png").write_bytes(keyed_png(values, depth, key))
    image = read_image(tmp_path / "a.png", deep=deep)
    opaque = (values != key).any(2)
    np.testing.assert_array_equal(image.alpha, opaque * 255)
    assert image.gray == (channels == 1)
    assert (image.levels is not None) == (deep and depth == 16)
    if image.levels is not None:
        np.testing.assert_array_equal(image.levels[..., :3], np.broadcast_to(values, (24, 32, 3)))
        np.testing.assert_array_equal(image.levels[..., 3], opaque * 65535)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("photometric", [0, 1])
def test_gray_tiff_files_whose_zero_is_white_are_inverted(tmp_path, depth, photometric):
    values = np.random.default_rng(0).integers(0, 2**depth, (24, 32), dtype=np.uint16)
    tags = [(256, 32), (257, 24), (258, depth), (259, 1), (262, photometric), (273, 8), (277, 1), (278, 24)]
    data = values.astype(f"<u{depth // 8}").tobytes()
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in [*tags, (279, len(data))])
    head = b"II*\0" + struct.pack("<I", 8 + len(data))
    (tmp_path / "a.tif").write_bytes(head + data + struct.pack("<H", 9) + fields + bytes(4))
    image = read_image(tmp_path / "a.tif", deep=True)
    expected = values if photometric == 1 else 2**depth - 1 - values
    np.testing.assert_array_equal(image.pixels[..., 0], expected)
    write_image(tmp_path / "b.tif", image.pixels, gray=True)
    np.testing.assert_array_equal(read_image(tmp_path / "b.tif", deep=True).pixels[..., 0], expected)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiff_files_with_separate_planes_of_sixteen_bits_are_read(tmp_path, channels, order):
    values = np.random.default_rng(0).integers(0, 65536, (channels, 24, 32), dtype=np.uint16)
    planes = [plane.astype(f"{order}u2").tobytes() for plane in values]
    head = b"II*\0" if order == "<" else b"MM\0*"
    photometric = 1 if channels == 1 else 2
    tags = {256: 32, 257: 24, 258: 16, 259: 1, 262: photometric, 273: 8, 277: channels, 278: 24, 279: 1536, 284: 2}
    lists = b"".join(
        struct.pack(f"{order}3I", *numbers)
        for numbers in ([8, 8 + 1536, 8 + 3072], [1536] * 3, [0x00100010, 0x00100010, 0])
    )
    end = 8 + 1536 * channels
    places = {273: end, 279: end + 12, 258: end + 24}
    fields = b""
    for tag, value in tags.items():
        kind = 3 if tag == 258 else 4
        several = channels == 3 and tag in places
        number = struct.pack(f"{order}I", places[tag] if several else value)
        if kind == 3 and not several:
            number = struct.pack(f"{order}HH", value, 0)
        fields += struct.pack(f"{order}HHI", tag, kind, 3 if several else 1) + number
    directory = struct.pack(f"{order}H", len(tags)) + fields + bytes(4)
    body = b"".join(planes) + lists
    (tmp_path / "a.tif").write_bytes(head + struct.pack(f"{order}I", 8 + len(body)) + body + directory)
    for image in (read_image(tmp_path / "a.tif", deep=True), convert_image(Image.open(tmp_path / "a.tif"), deep=True)):
        if channels == 1:
            np.testing.assert_array_equal(image.pixels[..., 0], values[0])
        else:
            np.testing.assert_array_equal(image.rgb, (values >> 8).transpose(1, 2, 0))
            assert image.notes == ("16 bits per channel cut to the upper 8",)


def test_the_tags_of_a_bigtiff_file_are_kept(tmp_path):
    Image.fromarray(BASE).save(tmp_path / "a.tif", big_tiff=True, description="a cat", software="GIMP")
    image = read_image(tmp_path / "a.tif")
    assert image.notes == ()
    assert load_exif(image.exif) == {270: "a cat", 305: "GIMP"}


def test_the_limit_is_checked_before_decoding_and_can_be_raised(tmp_path):
    write_image(tmp_path / "a.png", BASE)
    with pytest.raises(ImageError, match="768 pixels are more than the 767 allowed; not decoded"):
        read_image(tmp_path / "a.png", max_pixels=767)
    assert read_image(tmp_path / "a.png", max_pixels=768).size == (24, 32)
    limit = Image.MAX_IMAGE_PIXELS
    (tmp_path / "b.png").write_bytes(png_of_size(20_000, 20_000))
    with pytest.raises(ImageError, match="truncated"):  # allowed now, and only then found to hold nothing
        read_image(tmp_path / "b.png", max_pixels=400_000_000)
    assert limit == Image.MAX_IMAGE_PIXELS


def test_size_is_read_from_the_header_alone(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(BASE).save(path, exif=exif(6))
    assert image_size(path) == (24, 32)  # as stored
    path.write_bytes(path.read_bytes()[:200])
    assert image_size(path) == (24, 32)


def test_threads_read_and_no_filter_is_left_behind(tmp_path):
    names = [*write_odd(tmp_path / "odd"), *write_bad(tmp_path / "bad")] * 3
    filters = list(warnings.filters)

    def attempt(name):
        path = tmp_path / "odd" / name
        try:
            return read_image(path if path.exists() else tmp_path / "bad" / name).size
        except ImageError:
            return None

    with ThreadPoolExecutor(8) as pool:
        sizes = list(pool.map(attempt, names))
    assert sum(size is not None for size in sizes) == 3 * len(write_odd(tmp_path / "again"))
    assert warnings.filters == filters


def test_no_warning_reaches_a_user(tmp_path):
    names = [str(tmp_path / name) for name in {**write_odd(tmp_path), **write_bad(tmp_path)}]
    code = (
        "import sys; from inpaint_zoo.io.images import read_image, ImageError\n"
        "for name in sys.argv[1:]:\n"
        "    try: read_image(name)\n"
        "    except ImageError: pass\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-W", "always", "-c", code, *names], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_pillow_images_enter_by_the_same_door():
    image = Image.fromarray(BASE).convert("CMYK")
    assert "CMYK" in convert_image(image).notes[0]
    turned = Image.fromarray(BASE)
    turned.getexif()[0x0112] = 6
    assert convert_image(turned).size == (32, 24)
    with pytest.raises(ImageError, match="mask: float values"):
        convert_image(Image.fromarray(np.full((2, 2), 7, np.float32)), "mask")


@pytest.mark.parametrize("suffix", sorted(WRITABLE_SUFFIXES))
def test_what_is_written_is_read_again(tmp_path, suffix):
    path = tmp_path / "new" / "folder" / f"a{suffix}"
    write_image(path, BASE)
    lossy = suffix in {".jpg", ".jpeg", ".jpe", ".jfif"}
    assert np.abs(read_image(path).rgb.astype(int) - BASE).max() <= (40 if lossy else 0)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", sorted(ALPHA_SUFFIXES))
def test_alpha_survives_even_where_it_is_zero(tmp_path, suffix):
    alpha = np.zeros((24, 32), np.uint8)
    alpha[4:, 5:] = BASE[4:, 5:, 0]
    write_image(tmp_path / f"a{suffix}", BASE, alpha)
    image = read_image(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(image.rgb, BASE)
    np.testing.assert_array_equal(image.alpha, alpha)


def test_color_profiles_stay_with_rgb_and_leave_with_other_channels(tmp_path):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for suffix in (".png", ".jpg", ".webp", ".tif"):
        write_image(tmp_path / f"a{suffix}", BASE, icc_profile=profile)
        assert read_image(tmp_path / f"a{suffix}").icc_profile == profile
    Image.fromarray(BASE).convert("CMYK").save(tmp_path / "cmyk.jpg", icc_profile=profile)
    assert read_image(tmp_path / "cmyk.jpg").icc_profile is None


def test_quality_makes_jpeg_and_webp_smaller(tmp_path):
    smooth = np.repeat(np.linspace(0, 255, 200).astype(np.uint8)[None, :, None], 200, axis=0).repeat(3, axis=2)
    for suffix in (".jpg", ".webp"):
        noisy = (smooth // 2 + np.random.default_rng(0).integers(0, 99, smooth.shape)).astype(np.uint8)
        write_image(tmp_path / f"full{suffix}", noisy)
        write_image(tmp_path / f"small{suffix}", noisy, quality=20)
        assert (tmp_path / f"small{suffix}").stat().st_size < (tmp_path / f"full{suffix}").stat().st_size / 2


@pytest.mark.parametrize(
    ("name", "rgb", "alpha", "message"),
    [
        ("a.gif", BASE, None, "the name must end in"),
        ("a", BASE, None, "the name must end in"),
        ("a.pgm", BASE, None, "the name must end in"),
        ("a.jpg", BASE, BASE[..., 0], "JPEG has no alpha channel"),
        ("a.png", BASE[..., 0], None, "`rgb` must be"),
        ("a.png", BASE.astype(np.float32), None, "`rgb` must be"),
        ("a.png", BASE, BASE[:3, :3, 0], "`alpha` must be"),
        ("a.webp", np.zeros((1, 17_000, 3), np.uint8), None, "17000 x 1 cannot be written as WEBP"),
    ],
)
def test_what_cannot_be_written_is_said_and_leaves_nothing(tmp_path, name, rgb, alpha, message):
    with pytest.raises(ImageError, match=message):
        write_image(tmp_path / name, rgb, alpha)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_is_an_os_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write_image(Path(tmp_path / "file" / "a.png"), BASE)
