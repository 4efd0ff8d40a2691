"""Folders of unusual files like those of users: images that can be converted, and files that cannot be read."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import PIL
from PIL import Image

OLD_PILLOW = int(PIL.__version__.split(".")[0]) < 13  # writes TIFF files with YCbCr pixels that it cannot read
BASE = np.random.default_rng(7).integers(0, 256, (24, 32, 3), dtype=np.uint8)  # (H, W) = (24, 32)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_size(width: int, height: int) -> bytes:
    """Return a PNG whose header states 1-bit pixels of this size, but which has almost no pixel data."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(bytes(1000))) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[0x0112] = orientation
    return block


def write_odd(folder: Path) -> dict[str, str]:
    """Write files that can be converted. Return by name the text that their notes must contain ("" for no notes)."""
    folder.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(BASE)
    gray16 = BASE[..., 0].astype(np.uint16) * 257
    with_alpha = image.copy()
    with_alpha.putalpha(Image.fromarray(BASE[..., 1]))
    turned = [image.rotate(180)]

    image.save(folder / "plain.png")
    image.save(folder / "plain.webp", lossless=True)
    image.save(folder / "plain.bmp")
    image.save(folder / "plain.ppm")
    image.save(folder / "UPPER.JPG", quality=100)
    image.convert("CMYK").save(folder / "cmyk.jpg", quality=100)
    image.convert("CMYK").save(folder / "cmyk.tif")
    if not OLD_PILLOW:
        image.convert("YCbCr").save(folder / "ycbcr.tif")
    image.quantize(16).save(folder / "palette.png")
    image.quantize(16).save(folder / "palette_index.png", transparency=3)
    image.quantize(16).save(folder / "palette_bytes.png", transparency=bytes(range(0, 160, 10)))
    image.save(folder / "color_key.png", transparency=tuple(BASE[0, 0].tolist()))
    image.convert("1").save(folder / "one_bit.png")
    image.convert("L").save(folder / "gray.jpg")
    with_alpha.save(folder / "rgba.png")
    with_alpha.save(folder / "rgba.tif")
    with_alpha.convert("LA").save(folder / "gray_alpha.png")
    Image.fromarray(gray16).save(folder / "gray16.png")
    Image.fromarray(gray16).save(folder / "gray16.tif")
    Image.fromarray(gray16).save(folder / "portable.pgm")
    cv2.imwrite(str(folder / "rgb16.png"), BASE[..., ::-1].astype(np.uint16) * 257)
    cv2.imwrite(str(folder / "rgb16.tif"), BASE[..., ::-1].astype(np.uint16) * 257)
    Image.fromarray((BASE[..., 0] / 255).astype(np.float32)).save(folder / "float.tif")
    image.save(folder / "animated.gif", save_all=True, append_images=turned)
    image.save(folder / "pages.tif", save_all=True, append_images=turned)
    image.save(folder / "rotated.jpg", exif=exif(6), quality=100)
    image.save(folder / "wrong_name.jpg", format="PNG")
    Image.fromarray(BASE[:1, :1]).save(folder / "one_pixel.png")
    Image.fromarray(np.tile(BASE[:1, :1], (1, 5000, 1))).save(folder / "thin.png")
    return {
        "plain.png": "",
        "plain.webp": "",
        "plain.bmp": "",
        "plain.ppm": "",
        "UPPER.JPG": "",
        "cmyk.jpg": "CMYK",
        "cmyk.tif": "CMYK",
        **({} if OLD_PILLOW else {"ycbcr.tif": "YCbCr"}),
        "palette.png": "palette",
        "palette_index.png": "palette with transparency",
        "palette_bytes.png": "palette with transparency",
        "color_key.png": "",
        "one_bit.png": "1-bit",
        "gray.jpg": "gray",
        "rgba.png": "",
        "rgba.tif": "",
        "gray_alpha.png": "gray",
        "gray16.png": "16-bit",
        "gray16.tif": "16-bit",
        "portable.pgm": "16-bit",
        "rgb16.png": "16 bits per channel scaled to 8",
        "rgb16.tif": "16 bits per channel scaled to 8",
        "float.tif": "float",
        "animated.gif": "first of 2 frames",
        "pages.tif": "first of 2 frames",
        "rotated.jpg": "orientation 6",
        "wrong_name.jpg": "",
        "one_pixel.png": "",
        "thin.png": "",
    }


def write_bad(folder: Path) -> dict[str, str]:
    """Write files that cannot be read as images, and return by name the text that the error must contain."""
    folder.mkdir(parents=True, exist_ok=True)
    big = Image.fromarray(np.random.default_rng(3).integers(0, 256, (96, 96, 3), dtype=np.uint8))
    expected = {}
    for ending in ("png", "jpg", "webp", "bmp", "tif", "gif", "ppm"):
        path = folder / f"cut_{ending}.{ending}"
        big.save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
        expected[path.name] = "damaged or truncated"
    big.save(folder / "scratched.png")
    data = bytearray((folder / "scratched.png").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    (folder / "scratched.png").write_bytes(data)
    (folder / "zero.png").write_bytes(b"")
    (folder / "text.jpg").write_text("<html>404 not found</html>")
    (folder / "head_only.gif").write_bytes(b"GIF89a")
    (folder / "bomb.png").write_bytes(png_of_size(60_000, 60_000))
    (folder / "large.png").write_bytes(png_of_size(10_000, 9_000))
    (folder / "nowhere.png").symlink_to(folder / "gone.png")
    big.convert("F").save(folder / "float255.tif")
    big.convert("I").save(folder / "int32.tif")
    Image.fromarray(np.full((4, 4), np.nan, np.float32)).save(folder / "nan.tif")
    cv2.imwrite(str(folder / "float_rgb.tif"), np.zeros((4, 4, 3), np.float32))
    return {
        **expected,
        "scratched.png": "damaged or truncated",
        "zero.png": "is empty (0 bytes)",
        "text.jpg": "is not a PNG",
        "head_only.gif": "begins like a GIF file but is damaged",
        "bomb.png": "3,600,000,000 pixels are more than the 89,478,485 allowed",
        "large.png": "90,000,000 pixels are more than the 89,478,485 allowed",
        "nowhere.png": "no such file",
        "float255.tif": "float values must be in [0, 1]",
        "int32.tif": "32-bit integers",
        "nan.tif": "float values must be in [0, 1]",
        "float_rgb.tif": "such as float RGB",
    }
