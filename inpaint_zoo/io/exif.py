"""EXIF blocks: read them whole from any format, and change what does not hold for the result.

A block is changed in place and never written anew, because maker notes contain offsets that only hold in the original
block. The arrays of a decoded image are upright, so its orientation becomes 1. The thumbnail shows the image before it
was filled, so the result's own thumbnail replaces it. Source: Exif 2.32 (CIPA DC-008), section 4.6; TIFF 6.0, part 1.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["PREFIX", "STORAGE_TAGS", "exif_block", "load_exif", "upright_exif", "with_thumbnail"]

PREFIX = b"Exif\x00\x00"
ORIENTATION, JPEG_START, JPEG_LENGTH, SUB_IFDS, INTEROP = 0x0112, 0x0201, 0x0202, (0x8769, 0x8825), 0xA005
SHORT = 3
JPEG_MARKER = b"\xff\xd8"
STORAGE_TAGS = frozenset(
    {
        *(254, 255, 256, 257, 258, 259, 262, 263, 266, 273, 274, 277, 278, 279, 280, 281, 284, 292, 293, 297),
        *(317, 318, 319, 320, 322, 323, 324, 325, 330, 332, 338, 339, 340, 341, 347, 512, 513, 514, 529, 530, 531, 532),
        *(700, 34675),  # XMP packet and color profile, which are kept separately
    }
)
"""Tags of a TIFF file that describe how its pixels are stored."""


class _Entry(NamedTuple):
    tag: int
    kind: int
    value: int  # position of the value field in the block


def exif_block(image: Image.Image) -> bytes | None:
    """Return the EXIF block of an opened image, without prefix and as it is in the file; None if there is none.

    From a TIFF file, which has no separate block, it is made of all tags that do not describe the storage of pixels.
    """
    if image.format == "TIFF":
        exif = image.getexif()
        for tag in STORAGE_TAGS & exif.keys():
            del exif[tag]
        exif.bigtiff = False  # an EXIF block has positions of 32 bits
        return exif.tobytes().removeprefix(PREFIX) if len(exif) else None
    block = image.info.get("exif")
    if block is None and "Raw profile type exif" in image.info:  # text of a PNG by older programs
        block = image.getexif().tobytes()  # with prefix
    if not block:
        return None
    block = bytes(block).removeprefix(PREFIX)
    return block if block[:4] in (b"II*\0", b"MM\0*") else None


def load_exif(block: bytes) -> dict[int, Any]:
    """Return the tags of a block; sub-directories become dictionaries."""
    exif = Image.Exif()
    exif.load(PREFIX + block)
    tags = {tag: dict(exif.get_ifd(tag)) if tag in SUB_IFDS else value for tag, value in exif.items()}
    if INTEROP in tags.get(SUB_IFDS[0], ()):
        tags[SUB_IFDS[0]][INTEROP] = dict(exif.get_ifd(INTEROP))
    return tags


def upright_exif(block: bytes) -> bytes:
    """Return the block with orientation 1 in all its directories.

    Raises:
        ValueError: If the block is damaged so that readers would still find another orientation in the result.
    """
    data = bytearray(block)
    order = _order(block)
    for directory in _directories(block):
        for entry in _entries(block, directory):
            if entry.tag == ORIENTATION and entry.kind == SHORT:
                struct.pack_into(f"{order}H", data, entry.value, 1)
    result = bytes(data)
    if (left := load_exif(result).get(ORIENTATION, 1)) != 1:  # Pillow reads directories that are cut off, for example
        raise ValueError(f"the orientation of the damaged EXIF block cannot be changed: it is still {left!r}")
    return result


def with_thumbnail(block: bytes, rgb: NDArray[np.uint8]) -> bytes:
    """Return the block with the thumbnail replaced by one of ``rgb`` (H, W, 3); unchanged if it has none.

    If the new thumbnail does not fit into the place of the old one, even when it is small, the thumbnail is removed.
    """
    directories = _directories(block)
    if len(directories) < 2:
        return block
    order = _order(block)
    data = bytearray(block)
    entries = {entry.tag: entry.value for entry in _entries(block, directories[1])}
    start, length = (
        struct.unpack_from(f"{order}I", block, entries[tag])[0] if tag in entries else 0
        for tag in (JPEG_START, JPEG_LENGTH)
    )
    room = min(length, max(len(block) - start, 0)) if block[start : start + 2] == JPEG_MARKER else 0
    data[start : start + room] = bytes(room)
    thumbnail = _thumbnail(rgb, room)
    if thumbnail is None:
        struct.pack_into(f"{order}I", data, _next_field(block, directories[0]), 0)
        return bytes(data)
    data[start : start + len(thumbnail)] = thumbnail
    struct.pack_into(f"{order}I", data, entries[JPEG_LENGTH], len(thumbnail))
    return bytes(data)


def _thumbnail(rgb: NDArray[np.uint8], room: int) -> bytes | None:
    small = Image.fromarray(rgb)
    for extent, quality in ((160, 85), (160, 50), (80, 50), (40, 50)):
        small.thumbnail((extent, extent))
        buffer = io.BytesIO()
        small.save(buffer, format="JPEG", quality=quality, optimize=True)
        if buffer.tell() <= room:
            return buffer.getvalue()
    return None


def _order(block: bytes) -> str:
    return "<" if block[:2] == b"II" else ">"


def _directories(block: bytes) -> list[int]:
    """Return the positions of the first directory and of the thumbnail's directory, as far as they are valid."""
    found: list[int] = []
    order = _order(block)
    position = struct.unpack_from(f"{order}I", block, 4)[0] if len(block) >= 8 else 0
    while position and position not in found and position + 2 <= len(block) and len(found) < 2:
        if (field := _next_field(block, position)) + 4 > len(block):
            break
        found.append(position)
        position = struct.unpack_from(f"{order}I", block, field)[0]
    return found


def _next_field(block: bytes, directory: int) -> int:
    """Return the position of the pointer to the next directory."""
    count: int = struct.unpack_from(f"{_order(block)}H", block, directory)[0]
    return directory + 2 + 12 * count


def _entries(block: bytes, directory: int) -> Iterator[_Entry]:
    order = _order(block)
    for position in range(directory + 2, _next_field(block, directory), 12):
        tag, kind = struct.unpack_from(f"{order}HH", block, position)
        yield _Entry(tag, kind, position + 8)
