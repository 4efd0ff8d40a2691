"""A random folder of image files like those of users: valid, unusual and damaged, with names in many scripts.

All random numbers come from one `random.Random(seed)`, so failures can be reproduced. Height and width are at most 48.
"""

import io
import os
import random
import struct
import unicodedata
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

Kind = Literal["valid", "odd", "broken"]
"""What a command must do with a file: "valid" is done; "broken" is named; "odd" is done or named."""

SCRIPTS = {
    "latin": "abcdefghijklmnop",
    "accents": "àéîõüçñßøåž",
    "combining": "áêñ",  # decomposed below
    "greek": "αβγδεζηθ",
    "cyrillic": "абвгдежз",
    "hebrew": "אבגדהוזח",
    "arabic": "ابتثجحخد",
    "devanagari": "कखगघचछजझ",
    "thai": "กขคงจฉชซ",
    "chinese": "山水花鳥風月",
    "japanese": "ひらがなカタ",
    "korean": "가나다라마바",
    "emoji": "🌲🐈🚀🎨👩‍🎨",
    "marks": " _-+=~#@!$%&'(),;[]{}^`",
}
FOLDERS = ("", "", "", "plain/", "two words/", "日本/", "a/deep/er/", "dots.in.name/", "50%/")
SIZES = (1, 2, 3, 7, 8, 15, 16, 17, 24, 31, 32, 33, 48)
MODES = (
    "RGB",
    "RGB",
    "RGB",
    "L",
    "RGBA",
    "LA",
    "P",
    "1",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
    "I;16",
    "I",
    "F",
    "PA",
    "RGBX",
)
FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".JPG": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".gif": "GIF",
    ".ppm": "PPM",
}
OTHER_FORMATS = {".avif": "AVIF", ".jp2": "JPEG2000", ".tga": "TGA", ".ico": "ICO", ".pcx": "PCX", ".qoi": "QOI"}
# modes whose meaning as RGB is beyond doubt; other combinations may be refused by name
PLAIN = {"RGB", "L", "RGBA", "LA", "P", "1", "CMYK", "YCbCr", "I;16"}


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


class Generator:
    """Generator of the files of one folder.

    Args:
        folder: Folder of the files.
        seed: Seed of all random numbers.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.chance = folder, random.Random(seed)
        self.pixels = np.random.default_rng(seed)
        self.taken: set[str] = set()
        self.kinds: dict[str, Kind] = {}

    def name(self) -> str:
        """Return a relative path without an extension that differs from all others even after Unicode normalization."""
        script, letters = self.chance.choice(sorted(SCRIPTS.items()))
        text = "".join(self.chance.choice(letters) for _ in range(self.chance.randint(1, 8)))
        if script == "combining":
            text = unicodedata.normalize("NFD", text)
        if self.chance.random() < 0.02:
            text += "x" * self.chance.choice((100, 180, 230))
        stem = f"{text.strip('. ') or 'blank'}_{len(self.taken):04d}"
        while len(os.fsencode(stem)) > 245:  # with the ending, a file name holds at most 255 bytes
            stem = stem[1:]
        self.taken.add(stem)
        return self.chance.choice(FOLDERS) + stem

    def image(self, mode: str | None = None) -> Image.Image:
        """Return a small image of random size, content and mode."""
        height, width = self.chance.choice(SIZES), self.chance.choice(SIZES)
        rgb = self.pixels.integers(0, 256, (height, width, 3), dtype=np.uint8)
        if self.chance.random() < 0.2:
            rgb[:] = rgb[:1, :1]  # a single color
        mode = mode or self.chance.choice(MODES)
        if mode == "I;16":
            return Image.fromarray(rgb[..., 0].astype(np.uint16) * 257)
        if mode == "F":
            return Image.fromarray((rgb[..., 0] / 255).astype(np.float32))
        image = Image.fromarray(rgb)
        if mode == "LAB":
            lab = ImageCms.createProfile("LAB")
            return ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), lab, outputMode="LAB")
        if mode in {"RGBA", "LA", "PA"}:
            image.putalpha(Image.fromarray(rgb[..., 1]))
            return image if mode == "RGBA" else image.convert("LA").convert(mode)
        return image.convert(mode)

    def metadata(self, form: str) -> dict[str, object]:
        """Return options of `Image.save` that add metadata of one kind to a file."""
        exif = Image.Exif()
        exif[0x0112] = self.chance.choice((1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 77))
        exif[0x010E] = "説明 description"
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", "x" * self.chance.choice((1, 1000, 100_000)), zip=self.chance.random() < 0.5)
        text.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        choices: dict[str, list[dict[str, object]]] = {
            "PNG": [{"exif": exif}, {"pnginfo": text}, {"icc_profile": profile}, {"icc_profile": b"no profile"}],
            "JPEG": [{"exif": exif}, {"exif": b"Exif\0\0broken"}, {"icc_profile": profile}, {"comment": b"\xff\0"}],
            "WEBP": [{"exif": exif}, {"icc_profile": profile}, {"icc_profile": b"no profile"}],
            "TIFF": [{"exif": exif}, {"icc_profile": profile}, {"description": "é" * 100}],
        }
        return self.chance.choice(choices.get(form, [{}]))

    def write(self, name: str, data: bytes, kind: Kind) -> None:
        """Write one file and record its expected outcome."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.kinds[name] = kind

    def encoded(self, image: Image.Image, form: str, **options: object) -> bytes:
        """Return the bytes of an encoded image file."""
        buffer = io.BytesIO()
        image.save(buffer, form, **options)
        return buffer.getvalue()

    def ordinary(self) -> None:
        """Write an image in a common format, with or without metadata."""
        ending, form = self.chance.choice(sorted(FORMATS.items()))
        image = self.image("L" if self.chance.random() < 0.2 else "RGB")
        options = self.metadata(form) if self.chance.random() < 0.4 else {}
        odd = any(options.get(key) in (b"no profile", b"Exif\0\0broken") for key in ("icc_profile", "exif"))
        self.write(self.name() + ending, self.encoded(image, form, **options), "odd" if odd else "valid")

    def of_any_mode(self) -> None:
        """Write an image in any mode and any format that Pillow supports."""
        ending, form = self.chance.choice(sorted(FORMATS.items()))
        image = self.image()
        try:
            data = self.encoded(image, form)
        except (OSError, ValueError, KeyError, SystemError):  # the format does not hold this mode
            image = image.convert("RGB") if image.mode not in {"F", "I;16"} else self.image("RGB")
            data = self.encoded(image, form)
        self.write(self.name() + ending, data, "valid" if image.mode in PLAIN else "odd")

    def of_other_format(self) -> None:
        """Write an image in a format that need not be read but must be reported."""
        ending, form = self.chance.choice(sorted(OTHER_FORMATS.items()))
        self.write(self.name() + ending, self.encoded(self.image("RGB"), form), "odd")

    def misnamed(self) -> None:
        """Write an image with the extension of another format. Its content determines the format."""
        (ending, form), (_, other) = self.chance.sample(sorted(FORMATS.items()), 2)
        del form
        self.write(self.name() + ending, self.encoded(self.image("RGB"), other), "valid")

    def animated(self) -> None:
        """Write an animation. Only its first frame is read."""
        ending, form = self.chance.choice([(".gif", "GIF"), (".tif", "TIFF"), (".png", "PNG"), (".webp", "WEBP")])
        first = self.image("RGB")
        data = self.encoded(first, form, save_all=True, append_images=[first.rotate(180)])
        self.write(self.name() + ending, data, "valid")

    def large_chunk(self) -> None:
        """Write a valid PNG with a text chunk that exceeds Pillow's limit for compressed text."""
        data = self.encoded(self.image("RGB"), "PNG")
        text = b"Comment\0\0" + zlib.compress(bytes(2_000_000))
        self.write(self.name() + ".png", data[:33] + png_chunk(b"zTXt", text) + data[33:], "valid")

    def bad_checksum(self) -> None:
        """Write a PNG with a wrong checksum in an ancillary chunk."""
        data = self.encoded(self.image("RGB"), "PNG")
        chunk = bytearray(png_chunk(b"tEXt", b"a\0b"))
        chunk[-1] ^= 1
        self.write(self.name() + ".png", data[:33] + bytes(chunk) + data[33:], "odd")

    def cut_short(self) -> None:
        """Write only the first bytes of a file, like an interrupted download."""
        ending, form = self.chance.choice(sorted(FORMATS.items()))
        data = self.encoded(self.image("RGB"), form)
        self.write(self.name() + ending, data[: self.chance.randint(1, max(1, len(data) // 3))], "broken")

    def scratched(self) -> None:
        """Write a file with some bytes replaced. A decoder may or may not detect it."""
        ending, form = self.chance.choice(sorted(FORMATS.items()))
        data = bytearray(self.encoded(self.image("RGB"), form))
        for _ in range(self.chance.randint(1, 20)):
            data[self.chance.randrange(len(data))] = self.chance.randrange(256)
        self.write(self.name() + ending, bytes(data), "odd")

    def no_image(self) -> None:
        """Write an empty file, text or random bytes under the name of an image."""
        content = self.chance.choice(
            [b"", b"<html>404 not found</html>", b"\x89PNG\r\n\x1a\n", b"GIF89a", self.chance.randbytes(200)]
        )
        self.write(self.name() + self.chance.choice(sorted(FORMATS)), content, "broken")

    def bomb(self) -> None:
        """Write a file whose header states billions of pixels."""
        header = struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)
        body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(bytes(1000))) + png_chunk(b"IEND", b"")
        self.write(self.name() + ".png", b"\x89PNG\r\n\x1a\n" + body, "broken")

    def special(self) -> None:
        """Create a path that is no regular file: a broken link, a link to itself, or a pipe, which would block."""
        name = self.name() + ".png"
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        what = self.chance.choice(("dangling", "circle", "pipe"))
        if what == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to(path.name if what == "circle" else "nowhere.png")
        self.kinds[name] = "broken"

    def undecodable_name(self) -> None:
        """Write a valid image whose name is not valid UTF-8, as in old archives."""
        stem = self.name()
        name = os.fsdecode(os.fsencode(stem) + self.chance.choice((b"\xe9", b"\xff\xfe", b"\xc3"))) + ".png"
        try:
            self.write(name, self.encoded(self.image("RGB"), "PNG"), "valid")
        except OSError:  # this file system takes UTF-8 names only
            self.ordinary()


MAKERS = {
    Generator.ordinary: 30,
    Generator.of_any_mode: 25,
    Generator.of_other_format: 5,
    Generator.misnamed: 5,
    Generator.animated: 3,
    Generator.large_chunk: 1,
    Generator.bad_checksum: 1,
    Generator.cut_short: 10,
    Generator.scratched: 10,
    Generator.no_image: 6,
    Generator.bomb: 1,
    Generator.special: 2,
    Generator.undecodable_name: 1,
}


def write_files(folder: Path, count: int, seed: int) -> dict[str, Kind]:
    """Write ``count`` files to a folder, and return the expected outcome of each by its relative path."""
    generator = Generator(folder, seed)
    makers = list(MAKERS)
    for make in makers:  # each at least once
        make(generator)
    while len(generator.kinds) < count:
        generator.chance.choices(makers, list(MAKERS.values()))[0](generator)
    return generator.kinds
