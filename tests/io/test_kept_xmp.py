"""The XMP packet of an image is kept, except for what does not hold for the upright, filled result."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, PngImagePlugin

from inpaint_zoo.cli.main import main
from inpaint_zoo.io.images import DAMAGED_XMP, decode_image, read_image, write_image
from inpaint_zoo.io.profiles import srgb_profile
from inpaint_zoo.io.xmp import JPEG_MOST, PNG_KEYWORD, upright_xmp

RGB = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
TIFF = 'xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
FORMS = {
    "attribute": f'<rdf:Description {TIFF} tiff:Orientation="6" dc:title="Ä"/>',
    "single quotes": f"<rdf:Description {TIFF} tiff:Orientation = '6' dc:title=\"Ä\"/>",
    "element": f'<rdf:Description {TIFF} dc:title="Ä"><tiff:Orientation>6</tiff:Orientation></rdf:Description>',
    "prefix": '<rdf:Description xmlns:t="http://ns.adobe.com/tiff/1.0/" t:Orientation="6" dc:title="Ä"/>',
}


def packet(body, encoding="utf-8"):
    text = f'<?xpacket begin="" id="W5M0"?><x:xmpmeta xmlns:x="adobe:ns:meta/">{body}</x:xmpmeta><?xpacket end="w"?>'
    return text.encode(encoding)


def save(path, xmp, image=RGB, **options):
    if path.suffix == ".png":
        text = PngImagePlugin.PngInfo()
        text.add_itxt(PNG_KEYWORD, xmp.decode())
        options["pnginfo"] = text
    elif path.suffix == ".tif":
        options["tiffinfo"] = {700: xmp}
    else:
        options["xmp"] = xmp
    Image.fromarray(image).save(path, **options)


def xmp_in(path):
    """Return the packet in a file, as Pillow reads it."""
    with Image.open(path) as image:
        return image.info.get("xmp")


@pytest.mark.parametrize("source", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("target", [".jpg", ".png", ".webp", ".tif"])
def test_the_packet_is_kept_with_orientation_1(tmp_path, source, target):
    save(tmp_path / f"a{source}", packet(FORMS["attribute"]))
    image = read_image(tmp_path / f"a{source}")
    assert image.size == (32, 24)  # rotated
    write_image(tmp_path / f"b{target}", image.rgb, xmp=image.xmp, exif=image.exif)
    assert xmp_in(tmp_path / f"b{target}") == packet(FORMS["attribute"].replace("6", "1"))
    with Image.open(tmp_path / f"b{target}") as result:
        assert ImageOps.exif_transpose(result).size == (24, 32)
    assert read_image(tmp_path / f"b{target}").size == (32, 24)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_files_with_16_bits_keep_the_packet(tmp_path, suffix):
    xmp = packet(FORMS["element"].replace("6", "1"))
    write_image(tmp_path / f"a{suffix}", RGB.astype(np.uint16) * 257, xmp=xmp)
    assert read_image(tmp_path / f"a{suffix}", deep=True).xmp == xmp


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_only_the_orientation_changes_in_each_form_and_encoding(form, encoding):
    before, after = packet(FORMS[form], encoding), upright_xmp(packet(FORMS[form], encoding))
    assert len(before) == len(after)
    assert after == packet(FORMS[form].replace("6", "1"), encoding)


def test_other_orientations_stay():
    other = packet(f'<rdf:Description {TIFF} xmlns:drone="http://drone" drone:Orientation="6" tiff:Model="O6"/>')
    assert upright_xmp(other) == other


@pytest.mark.parametrize("prefix", ["xmp", "xap", "basic"])
def test_thumbnails_which_show_the_image_before_are_removed(prefix):
    inner = "<rdf:Alt><rdf:li><xmpGImg:image>/9j/4AAQ</xmpGImg:image></rdf:li></rdf:Alt>"
    thumbnails = f"<{prefix}:Thumbnails>\n{inner}\n</{prefix}:Thumbnails>"
    head, tail = f'<rdf:Description xmlns:{prefix}="http://ns.adobe.com/xap/1.0/">', "</rdf:Description>"
    assert upright_xmp(packet(head + thumbnails + tail)) == packet(head + tail)


def test_the_command_keeps_the_packet_and_says_what_is_too_large(tmp_path, capsys):
    long = packet(FORMS["attribute"] + "x" * JPEG_MOST)
    save(tmp_path / "a.png", long)
    save(tmp_path / "b.jpg", packet(FORMS["attribute"]))
    Image.fromarray(np.pad(np.full((12, 4), 255, np.uint8), 10)).save(tmp_path / "mask.png")  # of the rotated images
    words = ["--mask", str(tmp_path / "mask.png"), "--model", "telea", "--out"]
    for name in ("a.png", "b.jpg"):
        with Image.open(tmp_path / name) as image:
            assert image.size == (32, 24)
    assert main(["inpaint", str(tmp_path / "a.png"), str(tmp_path / "b.jpg"), *words, str(tmp_path / "same")]) == 0
    assert xmp_in(tmp_path / "same" / "a.png") == long.replace(b'"6"', b'"1"')
    assert xmp_in(tmp_path / "same" / "b.jpg") == packet(FORMS["attribute"].replace("6", "1"))
    assert "XMP" not in capsys.readouterr().err
    assert main(["inpaint", str(tmp_path / "a.png"), *words, str(tmp_path / "jpeg"), "--format", "jpg"]) == 0
    assert xmp_in(tmp_path / "jpeg" / "a.jpg") is None
    assert f"XMP packet left out, since .jpg cannot hold its {len(long)} bytes" in capsys.readouterr().err


@pytest.mark.parametrize("deep", [False, True])
def test_a_profile_for_which_pillow_would_refuse_the_png_is_left_out_with_a_note(tmp_path, deep, capsys):
    profile = srgb_profile() + bytes(PngImagePlugin.MAX_TEXT_CHUNK)
    pixels = RGB.astype(np.uint16) * 257 if deep else RGB
    write_image(tmp_path / "a.tif", pixels, icc_profile=profile)
    assert read_image(tmp_path / "a.tif").icc_profile == profile
    mask = np.zeros((24, 32), np.uint8)
    mask[8:12] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    words = [
        "--mask",
        str(tmp_path / "mask.png"),
        "--model",
        "telea",
        "--out",
        str(tmp_path / "out"),
        "--format",
        "png",
    ]
    assert main(["inpaint", str(tmp_path / "a.tif"), *words]) == 0
    assert f"color profile left out, since .png cannot hold its {len(profile)} bytes" in capsys.readouterr().err
    with Image.open(tmp_path / "out" / "a.png") as result:
        result.load()


@pytest.mark.parametrize("bad", [b"no xml", b"\xff\xfe\xfd<", b"<tiff:Orientation>\xff6", b"<\0t\0\xd8"])
def test_damaged_packets_are_left_out_with_a_note(tmp_path, bad):
    save(tmp_path / "a.jpg", bad)
    image = read_image(tmp_path / "a.jpg")
    assert image.xmp is None
    assert DAMAGED_XMP in image.notes


@settings(max_examples=60)
@given(data=st.binary(max_size=60), at=st.integers(0, 200))
def test_no_damage_leaves_an_orientation_that_pillow_would_apply_again(data, at):
    whole = packet(FORMS["attribute"])
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, format="JPEG", xmp=whole[:at] + data + whole[at + len(data) :])
    image = decode_image(buffer.getvalue(), "a.jpg")
    result = io.BytesIO()
    Image.fromarray(image.rgb).save(result, format="JPEG", **({} if image.xmp is None else {"xmp": image.xmp}))
    with Image.open(result) as again:
        assert again.getexif().get(0x0112, 1) == 1
