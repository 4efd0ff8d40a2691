"""Image formats: file name extensions, formats that this installation reads, and what to do about other formats."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

__all__ = [
    "FORMATS",
    "IMAGE_SUFFIXES",
    "OTHER_SUFFIXES",
    "kind_by_content",
    "missing_plugin",
    "readable_formats",
    "why_not_read",
]

FORMATS = {
    ".png": "PNG",
    ".apng": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".mpo": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".gif": "GIF",
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".pbm": "PPM",
    ".pnm": "PPM",
    ".avif": "AVIF",
    ".jp2": "JPEG2000",
    ".j2k": "JPEG2000",
    ".j2c": "JPEG2000",
    ".jpc": "JPEG2000",
    ".jpf": "JPEG2000",
    ".jpx": "JPEG2000",
    ".heic": "HEIF",
    ".heif": "HEIF",
    ".hif": "HEIF",
}
"""Pillow's name of the format by file name extension, in lower case."""
_RAW_SUFFIXES = frozenset(
    [
        ".3fr",
        ".arw",
        ".cr2",
        ".cr3",
        ".crw",
        ".dcr",
        ".dng",
        ".erf",
        ".iiq",
        ".kdc",
        ".mef",
        ".mos",
        ".mrw",
        ".nef",
        ".nrw",
        ".orf",
        ".pef",
        ".raf",
        ".raw",
        ".rw2",
        ".rwl",
        ".sr2",
        ".srf",
        ".srw",
        ".x3f",
    ]
)
"""Extensions of camera RAW files. Many are TIFF files whose first image is a thumbnail, so they are not opened."""
IMAGE_SUFFIXES = frozenset(FORMATS) | _RAW_SUFFIXES | {".jxl"}
"""Extensions that count as images when a folder is listed, whether or not this installation reads them."""
OTHER_SUFFIXES = frozenset({".psd", ".psb", ".xcf", ".tga", ".exr", ".hdr", ".dds", ".ico", ".qoi", ".sgi", ".pcx"})
"""Extensions of image formats that this package does not read. A listing skips them with a warning."""

_MAGIC = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"RIFF": "WEBP",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"GIF8": "GIF",
    b"\0\0\0\x0cjP  ": "JPEG2000",
    b"\xff\x4f\xff\x51": "JPEG2000",
}
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), "HEIF"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}
"""Format by the brand that follows `ftyp` in files of the ISO base media file format."""
_KEYS = {"AVIF": "avif", "JPEG2000": "jpg_2000"}
"""Pillow's feature names for formats that need a library."""
_NEEDS = {
    "HEIF": "reading HEIC and HEIF needs pillow-heif: pip install 'inpaint-zoo[heif]'",
    "AVIF": "reading AVIF needs a build of Pillow (11.3 or later) with AVIF: pip install --upgrade pillow",
    "JPEG2000": "reading JPEG 2000 needs a build of Pillow with OpenJPEG: pip install --upgrade pillow",
}


@cache
def _without() -> dict[str, str]:
    """Return the formats that this installation cannot read, with what they need."""
    from PIL import features

    found = {"HEIF": find_spec("pillow_heif") is not None, **{name: features.check(key) for name, key in _KEYS.items()}}
    return {name: need for name, need in _NEEDS.items() if not found[name]}


def readable_formats(head: bytes) -> list[str]:
    """Return the formats to try with `Image.open` for a file that starts with these 16 bytes."""
    if kind_by_content(head) == "HEIF" and "HEIF" not in _without():
        import pillow_heif  # imported only for such files, because the import takes 0.1 s

        pillow_heif.register_heif_opener()
        return ["HEIF"]
    return sorted(set(FORMATS.values()) - {"HEIF", *_without()})


def kind_by_content(head: bytes) -> str | None:
    """Return Pillow's name of the format according to a file's first 16 bytes; None if they are unknown."""
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12])
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def why_not_read(path: Path) -> str | None:
    """Return why this installation cannot read a file of this extension and what to do; None if it can."""
    suffix = path.suffix.lower()
    if suffix in _RAW_SUFFIXES:
        return (
            f"is a camera's RAW file ({suffix[1:].upper()}), which is not read; develop it to TIFF, PNG or JPEG first"
        )
    if suffix == ".jxl":
        return "is a JPEG XL file, which is not read; convert it to PNG, TIFF or WebP first"
    return missing_plugin(FORMATS.get(suffix, ""))


def missing_plugin(name: str) -> str | None:
    """Return what to install to read the format; None for formats that are readable or unknown."""
    return _without().get(name)
