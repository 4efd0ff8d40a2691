"""XMP packets: read them from any format, and change what does not hold for the result.

The arrays of a decoded image are upright, so the orientation in the packet becomes 1, because readers such as Pillow
look there, too. Thumbnails in it show the image before it was filled, so they are removed. The rest keeps its bytes.
Source: XMP Specification (Adobe), part 1, sections 7.3 and 7.4; part 2, section 3.1 (thumbnails); part 3, section 1.
"""

from __future__ import annotations

import re

from PIL import Image

__all__ = ["JPEG_MOST", "png_chunk", "upright_xmp", "xmp_packet"]

PNG_KEYWORD = "XML:com.adobe.xmp"
JPEG_MOST = 65502
"""Largest number of bytes of a packet in a JPEG file: a segment has 65,533 bytes, and its identifier 29 and 2 bytes."""
TIFF_NAMESPACE, BASIC_NAMESPACE = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/xap/1.0/"
_ENCODINGS = ((b"\0\0\0<", "utf-32-be"), (b"<\0\0\0", "utf-32-le"), (b"\0<", "utf-16-be"), (b"<\0", "utf-16-le"))


def xmp_packet(image: Image.Image) -> bytes | None:
    """Return the XMP packet of an opened image as it is in the file; None if there is none."""
    packet = image.info.get("xmp") or image.info.get(PNG_KEYWORD)
    if isinstance(packet, str):
        packet = packet.encode("utf-8", "surrogateescape")
    if isinstance(packet, tuple):  # a TIFF field of whole numbers
        packet = bytes(packet)
    return bytes(packet).rstrip(b"\0") or None if isinstance(packet, bytes | bytearray) else None


def png_chunk(packet: bytes) -> bytes:
    """Return the content of the iTXt chunk of a PNG file that holds a packet: not compressed, without a language."""
    return PNG_KEYWORD.encode() + bytes(5) + packet


def upright_xmp(packet: bytes) -> bytes:
    """Return the packet with orientation 1 and without thumbnails.

    Raises:
        ValueError: If it is no text of the encoding that it begins with, or if readers would still find another
            orientation in it.
    """
    encoding = _encoding(packet)
    text = packet.decode(encoding)  # UnicodeDecodeError is a ValueError
    for prefix in _prefixes(text, TIFF_NAMESPACE, "tiff"):
        text = re.sub(rf"(\b{prefix}:Orientation\s*=\s*[\"'])[^\"']*", r"\g<1>1", text)
        text = re.sub(rf"(<{prefix}:Orientation\b[^<>/]*>)[^<]*", r"\g<1>1", text)
    for prefix in _prefixes(text, BASIC_NAMESPACE, "xmp", "xap"):
        text = re.sub(rf"<{prefix}:Thumbnails\b.*?</{prefix}:Thumbnails\s*>", "", text, flags=re.DOTALL)
    if re.search(r"tiff:Orientation(=\"|>)[02-9]", text):  # as Pillow searches
        raise ValueError("the orientation of the damaged XMP packet cannot be changed")
    return text.encode(encoding)


def _encoding(packet: bytes) -> str:
    start = packet.find(b"<")
    if start < 0:
        raise ValueError("there is no XML")
    for begin, encoding in _ENCODINGS:
        offset = begin.index(b"<")
        if start >= offset and packet[start - offset : start - offset + len(begin)] == begin:
            return encoding
    return "utf-8"


def _prefixes(text: str, namespace: str, *usual: str) -> set[str]:
    """Return the prefixes of a namespace in a packet, escaped for a regular expression."""
    found = re.findall(rf"xmlns:([\w.-]+)\s*=\s*[\"']{re.escape(namespace)}[\"']", text)
    return {re.escape(prefix) for prefix in (*usual, *found)}
