"""Write what Pillow cannot: color with 16 bits per channel as PNG, and compressed TIFF with all EXIF directories.

Source: PNG specification, third edition, sections 7, 9 and 11; TIFF 6.0, sections 2, 8 and 14.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin

from inpaint_zoo.io.exif import STORAGE_TAGS, SUB_IFDS, load_exif
from inpaint_zoo.io.xmp import png_chunk

__all__ = ["encode_deep_png", "encode_tiff", "tiff_tags"]

Values = NDArray[np.unsignedinteger[Any]]
_COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_UP = 2  # filter: the difference to the row above
_LEVEL = 1  # of zlib, as Pillow's PNG files in `images.py`
_STRIP = 64  # rows


def encode_deep_png(
    values: NDArray[np.uint16],
    icc_profile: bytes | None,
    exif: bytes | None,
    dpi: tuple[float, float] | None = None,
    xmp: bytes | None = None,
) -> bytes:
    """Return the bytes of a PNG file with 16 bits per channel.

    Args:
        values: (H, W, C), C = 1 for gray, 3 for RGB, one more with alpha.
        icc_profile: Color profile.
        exif: EXIF block without prefix.
        dpi: Horizontal and vertical resolution in pixels per inch.
        xmp: XMP packet.
    """
    H, W, C = values.shape
    rows = np.ascontiguousarray(values.astype(">u2")).view(np.uint8).reshape(H, -1)
    filtered = np.empty((H, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    file = io.BytesIO()
    file.write(b"\x89PNG\r\n\x1a\n")
    _chunk(file, b"IHDR", struct.pack(">IIBBBBB", W, H, 16, _COLOR_TYPES[C], 0, 0, 0))
    if icc_profile is not None:
        _chunk(file, b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc_profile))
    if dpi is not None:
        _chunk(file, b"pHYs", struct.pack(">IIB", *(round(each / 0.0254) for each in dpi), 1))
    if exif is not None:
        _chunk(file, b"eXIf", exif)
    if xmp is not None:
        _chunk(file, b"iTXt", png_chunk(xmp))
    _chunk(file, b"IDAT", zlib.compress(filtered.tobytes(), _LEVEL))
    _chunk(file, b"IEND", b"")
    return file.getvalue()


def _chunk(file: io.BytesIO, kind: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


def encode_tiff(
    values: Values,
    icc_profile: bytes | None,
    exif: bytes | None,
    dpi: tuple[float, float] | None = None,
    xmp: bytes | None = None,
) -> bytes:
    """Return the bytes of a TIFF file with 8 or 16 bits per channel; for the arguments see `encode_deep_png`."""
    H, W, C = values.shape
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in (tiff_tags(exif)[0] if exif else {}).items():
        _add(directory, tag, value)
    strips = list(_strips(values))
    offsets = [0]  # Pillow adds the length of the directory, which it puts before the strips
    for strip in strips:
        offsets.append(offsets[-1] + len(strip))
    tags = {
        256: W,
        257: H,
        258: (8 * values.itemsize,) * C,
        259: 8,  # deflate
        262: 1 if C <= 2 else 2,
        273: tuple(offsets[:-1]),
        277: C,
        278: _STRIP,
        279: tuple(len(strip) for strip in strips),
        284: 1,
        317: 2,  # differences to the pixel on the left
        **({338: (2,)} if C in (2, 4) else {}),  # alpha, not premultiplied
        **({282: dpi[0], 283: dpi[1], 296: 2} if dpi else {}),
    }
    for tag, value in tags.items():
        directory[tag] = value
    for tag in (273, 279):
        directory.tagtype[tag] = 4  # LONG
    for tag, kind, data in ((34675, 7, icc_profile), (700, 1, xmp)):
        if data is not None:
            directory.tagtype[tag] = kind
            directory[tag] = data
    return b"II*\0" + struct.pack("<I", 8) + directory.tobytes(8) + b"".join(strips)


def tiff_tags(exif: bytes) -> tuple[dict[int, Any], list[int]]:
    """Return the tags of an EXIF block that a TIFF file can hold with their values, and the other tags.

    Tags that describe how pixels are stored are in neither of them: they describe another file.
    """
    kept, unfit = {}, []
    for tag, value in load_exif(exif).items():
        if tag in STORAGE_TAGS:
            continue
        directory = TiffImagePlugin.ImageFileDirectory_v2()
        try:
            _add(directory, tag, value)
            directory.tobytes(8)
        except Exception:  # Pillow reads values of a wrong type or count, and fails in many ways when it writes them
            unfit.append(tag)
        else:
            kept[tag] = value
    return kept, unfit


def _add(directory: TiffImagePlugin.ImageFileDirectory_v2, tag: int, value: object) -> None:
    if tag in SUB_IFDS:
        directory.tagtype[tag] = 4  # LONG: the position of the sub-directory
    directory[tag] = value


def _strips(values: Values) -> Iterator[bytes]:
    for top in range(0, len(values), _STRIP):
        rows = values[top : top + _STRIP]
        differences = rows.copy()
        differences[:, 1:] -= rows[:, :-1]
        yield zlib.compress(differences.astype(f"<u{values.itemsize}").tobytes(), _LEVEL)
