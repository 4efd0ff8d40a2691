"""Removal of PNG metadata that makes Pillow refuse a file although its pixels are valid.

Text, XMP and color profiles are compressed in a PNG. If one is larger than 1 MiB, Pillow considers it an attack and
refuses the whole file. It also refuses files with wrong checksums. Such chunks do not affect the pixels, so they are
removed before Pillow opens the file. Source: PNG specification, third edition, sections 5 and 11.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import IO, NamedTuple

from PIL import PngImagePlugin

__all__ = ["without_bad_metadata"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FOR_PIXELS = frozenset({b"tRNS", b"acTL", b"fcTL", b"fdAT"})  # ancillary chunks that affect the decoded image
_LENGTHS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"tIME": 7}
_TEXT = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_NAMES = {b"iCCP": "color profile", b"eXIf": "EXIF block", **dict.fromkeys(_TEXT, "text")}


class _Chunk(NamedTuple):
    kind: bytes
    start: int  # position of its length field in the file
    length: int  # number of bytes of its data


def without_bad_metadata(file: IO[bytes]) -> tuple[IO[bytes], str | None]:
    """Return a PNG file without the ancillary chunks that Pillow would refuse, and a note that names them.

    Args:
        file: Any file, at any position. Files of other formats and PNG files without such chunks are returned
            unchanged, positioned at the beginning, with None as the note.
    """
    file.seek(0)
    bad: dict[_Chunk, str] = {}
    if file.read(len(_SIGNATURE)) == _SIGNATURE:
        text = 0
        for chunk in _chunks(file):
            reason, size = _trouble(file, chunk)
            text += size
            if not reason and size and text > PngImagePlugin.MAX_TEXT_MEMORY:
                reason = "oversized"
            if reason:
                bad[chunk] = reason
    if not bad:
        file.seek(0)
        return file, None
    parts = sorted(
        {f"{reason} {_NAMES.get(chunk.kind, chunk.kind.decode('latin-1'))}" for chunk, reason in bad.items()}
    )
    return _rebuilt(file, set(bad)), f"{' and '.join(parts)} left out"


def _chunks(file: IO[bytes]) -> Iterator[_Chunk]:
    """Yield the chunks of a PNG up to its end or truncation. The caller may move the file's position."""
    start = len(_SIGNATURE)
    while True:
        file.seek(start)
        head = file.read(8)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head)
        yield _Chunk(kind, start, length)
        if kind == b"IEND":
            return
        start += 12 + length


def _trouble(file: IO[bytes], chunk: _Chunk) -> tuple[str, int]:
    """Return why Pillow would refuse an ancillary chunk ("" if it would not), and the number of text bytes in it."""
    if not chunk.kind[:1].islower() or chunk.kind in _FOR_PIXELS:
        return "", 0
    file.seek(chunk.start + 8)
    data, checksum = file.read(chunk.length), file.read(4)
    if len(data) < chunk.length or checksum != struct.pack(">I", zlib.crc32(chunk.kind + data)):
        return "damaged", 0
    if len(data) != _LENGTHS.get(chunk.kind, len(data)):
        return "damaged", 0
    if chunk.kind == b"tEXt":
        return "", len(data)
    packed = _compressed(chunk.kind, data)
    if packed is None:
        return "", len(data) if chunk.kind in _TEXT else 0
    method, stream = packed
    if method != 0:
        return "damaged", 0
    unpacker = zlib.decompressobj()
    try:
        size = len(unpacker.decompress(stream, PngImagePlugin.MAX_TEXT_CHUNK))
    except zlib.error:  # Pillow treats these as empty
        return "", 0
    return ("oversized" if unpacker.unconsumed_tail else ""), size if chunk.kind in _TEXT else 0


def _compressed(kind: bytes, data: bytes) -> tuple[int, bytes] | None:
    """Return the compression method and the compressed part of a chunk's data; None if nothing is compressed."""
    _, _, rest = data.partition(b"\0")
    if kind in {b"iCCP", b"zTXt"}:
        return (rest[0], rest[1:]) if rest else (0 if kind == b"zTXt" else -1, b"")
    if kind != b"iTXt" or len(rest) < 2 or rest[0] == 0:
        return None
    fields = rest[2:].split(b"\0", 2)  # language, translated keyword, text
    return (rest[1], fields[2]) if len(fields) == 3 else None


def _rebuilt(file: IO[bytes], bad: set[_Chunk]) -> IO[bytes]:
    buffer = io.BytesIO(_SIGNATURE)
    buffer.seek(0, io.SEEK_END)
    for chunk in _chunks(file):
        if chunk not in bad:
            file.seek(chunk.start)
            buffer.write(file.read(12 + chunk.length))
    buffer.seek(0)
    return buffer
