"""What the result of an image keeps of its file: bit depth, JPEG encoding, EXIF, color profile and resolution."""

import io

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, JpegImagePlugin

from inpaint_zoo.io.exif import PREFIX, load_exif, upright_exif, with_thumbnail
from inpaint_zoo.io.images import read_image, write_image
from inpaint_zoo.io.profiles import srgb_profile

RGB = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
MAKER_NOTE = bytes(range(64))


def thumbnail(color):
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), color).save(buffer, format="JPEG", quality=75)
    return buffer.getvalue()


def full_block(orientation=6, image=None):
    """Return an EXIF block with sub-directories, a maker note and a thumbnail, as a camera writes it."""
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x0112] = orientation
    exif.get_ifd(0x8769)[0x927C] = MAKER_NOTE
    exif.get_ifd(0x8769)[0x9003] = "2026:01:02 03:04:05"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (48.0, 8.0, 12.5)
    block = bytearray(exif.tobytes()[6:])
    order = "little" if block[:2] == b"II" else "big"
    first = int.from_bytes(block[4:8], order)
    pointer = first + 2 + 12 * int.from_bytes(block[first : first + 2], order)
    block += bytes(len(block) % 2)
    image = thumbnail("red") if image is None else image
    second = len(block)
    entries = [(0x0201, second + 2 + 24 + 4), (0x0202, len(image))]
    block[pointer : pointer + 4] = second.to_bytes(4, order)
    block += (2).to_bytes(2, order)
    for tag, value in entries:
        block += tag.to_bytes(2, order) + (4).to_bytes(2, order) + (1).to_bytes(4, order) + value.to_bytes(4, order)
    return bytes(block + bytes(4) + image)


def thumbnail_of(block):
    start = block.find(b"\xff\xd8\xff")
    return np.asarray(Image.open(io.BytesIO(block[start:])).convert("RGB")) if start >= 0 else None


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", ["gray", "color", "alpha", "gray with alpha"])
@settings(max_examples=10)
@given(data=st.data())
def test_sixteen_bits_are_kept(tmp_path_factory, suffix, channels, data):
    gray, has_alpha = "gray" in channels, "alpha" in channels
    H, W = data.draw(st.tuples(st.integers(1, 70), st.integers(1, 9)))
    values = data.draw(arrays(np.uint16, (H, W, 4)))
    if gray:
        values[..., :3] = values[..., :1]
    path = tmp_path_factory.mktemp("deep") / f"x{suffix}"
    alpha = values[..., 3] if has_alpha else None
    write_image(path, values[..., :3], alpha, gray=gray, icc_profile=srgb_profile())
    back = read_image(path, deep=True)
    assert back.levels is not None
    np.testing.assert_array_equal(back.levels[..., :3], values[..., :3])
    if has_alpha:
        np.testing.assert_array_equal(back.levels[..., 3], values[..., 3])
    assert back.icc_profile == (None if gray else srgb_profile())
    assert read_image(path).levels is None


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [40, 90])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_is_written_as_its_input(tmp_path, subsampling, quality, progressive):
    Image.fromarray(RGB).save(
        tmp_path / "a.jpg", quality=quality, subsampling=subsampling, progressive=progressive, dpi=(300, 300)
    )
    image = read_image(tmp_path / "a.jpg")
    write_image(tmp_path / "b.jpg", image.rgb, jpeg=image.jpeg, dpi=image.dpi)
    with Image.open(tmp_path / "a.jpg") as before, Image.open(tmp_path / "b.jpg") as after:
        assert after.quantization == before.quantization
        assert JpegImagePlugin.get_sampling(after) == subsampling
        assert bool(after.info.get("progressive")) == progressive
        assert after.info["dpi"] == (300, 300)
    write_image(tmp_path / "c.jpg", image.rgb, jpeg=image.jpeg, quality=75, subsampling=1)
    with Image.open(tmp_path / "c.jpg") as after:
        assert after.quantization != before.quantization
        assert JpegImagePlugin.get_sampling(after) == 1


@pytest.mark.parametrize("source", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("target", [".jpg", ".png", ".webp", ".tif"])
def test_all_of_the_exif_block_is_kept(tmp_path, source, target):
    block = full_block()
    if source == ".tif":
        exif = Image.Exif()
        exif.load(PREFIX + block)
        Image.fromarray(RGB).save(tmp_path / "a.tif", exif=exif)
    else:
        Image.fromarray(RGB).save(tmp_path / f"a{source}", exif=PREFIX + block)
    image = read_image(tmp_path / f"a{source}")
    assert image.exif is not None
    write_image(tmp_path / f"b{target}", image.rgb, exif=image.exif)
    after = read_image(tmp_path / f"b{target}")
    assert after.exif_orientation == 1
    assert after.exif is not None
    tags = load_exif(after.exif)
    assert tags[0x010F] == "Maker"
    assert tags.get(0x0112, 1) == 1
    assert tags[0x8769][0x927C] == MAKER_NOTE
    assert tags[0x8769][0x9003] == "2026:01:02 03:04:05"
    assert tags[0x8825][1] == "N"
    assert [float(each) for each in tags[0x8825][2]] == [48.0, 8.0, 12.5]


def test_deep_files_keep_exif(tmp_path):
    for suffix in (".png", ".tif"):
        write_image(tmp_path / f"a{suffix}", RGB.astype(np.uint16) * 257, exif=full_block(1), dpi=(72, 72))
        tags = load_exif(read_image(tmp_path / f"a{suffix}").exif or b"")
        assert tags[0x8769][0x927C] == MAKER_NOTE
        assert read_image(tmp_path / f"a{suffix}").dpi == pytest.approx((72, 72), abs=0.01)


def test_only_the_orientation_of_a_block_changes():
    before, after = full_block(6), upright_exif(full_block(6))
    assert len(before) == len(after)
    assert [k for k in range(len(before)) if before[k] != after[k]] == [
        k for k in range(len(before)) if full_block(1)[k] != before[k]
    ]


def test_the_thumbnail_shows_the_result():
    block = full_block()
    old = thumbnail_of(block)
    assert old is not None
    assert old[..., 0].mean() > 200
    new = thumbnail_of(with_thumbnail(block, np.full((60, 80, 3), (0, 0, 255), np.uint8)))
    assert new is not None
    assert new[..., 0].mean() < 60
    assert new[..., 2].mean() > 200
    gone = with_thumbnail(full_block(image=b"\xff\xd8\xff" + bytes(60)), RGB)  # no thumbnail is so small
    assert thumbnail_of(gone) is None
    assert load_exif(gone)[0x8769][0x927C] == MAKER_NOTE


@settings(max_examples=60)
@given(data=st.binary(max_size=80), at=st.integers(0, 400))
@example(data=b"\x01", at=8)  # more entries than the block has room for
def test_damaged_blocks_do_no_harm(tmp_path_factory, data, at):
    block = full_block()
    damaged = block[:at] + data + block[at + len(data) :]
    path = tmp_path_factory.mktemp("damaged") / "a.jpg"
    Image.fromarray(RGB).save(path, exif=PREFIX + damaged)
    image = read_image(path)
    assert image.rgb.shape[2] == 3
    write_image(path, image.rgb, exif=image.exif)
    assert read_image(path).size == image.size
