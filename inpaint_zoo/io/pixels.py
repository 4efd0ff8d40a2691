"""Conversion of pixels in any of Pillow's modes to 8-bit RGB and alpha, for `images.read_image`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from inpaint_zoo.errors import ZooError

__all__ = [
    "GRAY_MODES",
    "GRAY_NOTE",
    "LOW_NOTE",
    "ImageError",
    "brightness",
    "eight_bits",
    "is_gray",
    "keyed_alpha",
    "mend_planes",
    "sixteen_bit_color",
    "sixteen_bit_gray",
    "to_rgb",
    "upright",
]

Bytes = NDArray[np.uint8]
GRAY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F"})
"""Grayscale modes of Pillow."""
GRAY_NOTE = "gray repeated to RGB"
LOW_NOTE = "16-bit gray without a value above 255, so it is nearly black"
PALETTE_MODES = frozenset({"P", "PA"})
BITS = 258  # tags of TIFF
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0
PLANAR, SEPARATE = 284, 2

_log_level = threading.Lock()  # OpenCV has one log level for the whole process


class ImageError(ZooError):
    """A file cannot be read or written as an image; the message starts with its path."""


def brightness(rgb: Bytes) -> Bytes:
    """Return the ITU-R BT.601 luma (H, W) uint8 of an RGB image (H, W, 3) uint8, equal to Pillow's mode L."""
    red, green, blue = (rgb[..., k].astype(np.uint32) for k in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + (1 << 15)) >> 16).astype(np.uint8)


def is_gray(image: Image.Image) -> bool:
    """Return whether an image is grayscale by its mode, or by a palette of grays without a color profile."""
    if image.mode not in PALETTE_MODES or image.info.get("icc_profile"):
        return image.mode in GRAY_MODES
    palette = np.array(image.getpalette("RGB") or [0, 0, 1]).reshape(-1, 3)
    return bool((palette == palette[:, :1]).all())


def to_rgb(path: Path, image: Image.Image) -> tuple[Bytes, Bytes | None, list[str]]:
    """Convert a loaded image in any of Pillow's modes.

    Returns:
        RGB (H, W, 3), alpha (H, W) or None, and notes that describe the conversions.

    Raises:
        ImageError: The values have no defined meaning as RGB: 32-bit integers or floats outside [0, 1].
    """
    mode = image.mode
    transparent = "transparency" in image.info or mode in {"LA", "La", "PA", "RGBA", "RGBa"}
    if (deep := sixteen_bit_gray(image)) is not None:
        values = eight_bits(deep)
        alpha = values[..., 3] if values.shape[2] == 4 else None
        low = [LOW_NOTE] if 0 < deep[..., :3].max() <= 255 else []
        return values[..., :3], alpha, ["16-bit gray scaled to 8 bits", *low, GRAY_NOTE]
    if mode == "F":
        return _stack(_from_float(path, np.array(image))), None, ["float gray in [0, 1] scaled to 8 bits"]
    if mode == "I":
        raise ImageError(f"{path}: 32-bit integers have no defined white level. Save it with 8 or 16 bits per channel.")
    notes = []
    if mode in PALETTE_MODES:
        notes.append(
            "palette with transparency converted to RGB and alpha" if transparent else "palette converted to RGB"
        )
    elif mode == "1":
        notes.append("1-bit image converted to RGB")
    elif mode in {"L", "LA", "La"}:
        notes.append(GRAY_NOTE)
    elif mode == "CMYK":
        notes.append("CMYK converted to RGB without its color profile")
    elif mode == "LAB":
        notes.append("Lab converted to sRGB")
    elif mode not in {"RGB", "RGBA"}:
        notes.append(f"{mode} converted to RGB")
    if not transparent:
        return np.array(image.convert("RGB")), None, notes
    rgba = np.array(image.convert("RGBA"))
    return rgba[..., :3], rgba[..., 3], notes


def mend_planes(image: Image.Image) -> None:
    """Make Pillow read uncompressed TIFF files with 16 bits whose channels are stored one after the other.

    Pillow takes their values for bytes: it cuts ";16L" or ";16B" off the names of the channels. The image must not be
    loaded yet.
    """
    if not isinstance(image, TiffImageFile) or image.tag_v2.get(PLANAR) != SEPARATE:
        return
    if set(image.tag_v2.get(BITS, ())) == {16}:
        order = "B" if image.tag_v2.prefix == b"MM" else "L"
        image.tile = [
            tile._replace(
                args=(f"{tile.args[0]};16{order}" if len(image.getbands()) > 1 else image.mode, *tile.args[1:])
            )
            if tile.codec_name == "raw" and isinstance(tile.args, tuple)
            else tile
            for tile in image.tile
        ]


def keyed_alpha(values: NDArray[Any], key: Sequence[int]) -> Bytes:
    """Return the alpha channel (H, W) of an image (H, W, C) of which one color, ``key``, is transparent."""
    return np.where((values == np.array(key)).all(-1), np.uint8(0), np.uint8(255))


def sixteen_bit_color(
    file: bytes, rgb: Bytes, alpha: Bytes | None, applied: int, key: tuple[int, int, int] | None = None
) -> tuple[Bytes, Bytes | None, list[str], NDArray[np.uint16] | None]:
    """Convert 16-bit color channels to 8 bits by rounding. Pillow reads only their high bytes, so OpenCV decodes them.

    OpenCV's values are used only if their high bytes are equal to Pillow's image. Otherwise Pillow's image is returned.

    Args:
        file: Bytes of the image file.
        rgb: (H, W, 3) from Pillow.
        alpha: (H, W) from Pillow, or None.
        applied: EXIF orientation that Pillow has already applied; 1 for none.
        key: Color with 16 bits per channel that is transparent, and which replaces ``alpha``; None if there is none.

    Returns:
        RGB, alpha and notes as `to_rgb`; and the 16-bit values (H, W, 3 or 4), None if they could not be decoded.
    """
    import cv2

    with _log_level:
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        full: Any = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
        cv2.utils.logging.setLogLevel(level)
    high = rgb if alpha is None or key else np.concatenate([rgb, alpha[..., None]], axis=2)
    channels = high.shape[2]  # OpenCV also returns a fourth channel that is no alpha, and the alpha of ``key``
    if full is not None and full.dtype == np.uint16 and full.ndim == 3 and full.shape[2] >= channels:
        full = upright(full[..., [2, 1, 0, 3][:channels]], applied)  # BGR(A) to RGB(A)
        if full.shape == high.shape and np.array_equal(full >> 8, high):
            if key:
                full = _with_alpha(full, keyed_alpha(full, key))
            high = eight_bits(full)
            alpha = high[..., 3] if high.shape[2] == 4 else None
            return high[..., :3], alpha, ["16 bits per channel scaled to 8"], full
    if key:
        alpha = keyed_alpha(rgb, [value >> 8 for value in key])
    return rgb, alpha, ["16 bits per channel cut to the upper 8"], None


def sixteen_bit_gray(image: Image.Image) -> NDArray[np.uint16] | None:
    """Return the 16-bit values of a loaded 16-bit grayscale image, None for other images.

    They are (H, W, 3) with equal channels, or (H, W, 4) with alpha if one gray value is transparent.
    """
    if image.mode not in {"I;16", "I;16B", "I;16L"} and not (image.mode == "I" and image.format in {"PNG", "PPM"}):
        return None
    gray = np.array(image).astype(np.uint16)[..., None]
    if isinstance(image, TiffImageFile) and image.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        gray = np.uint16(65535) - gray  # Pillow inverts such values only if they have 8 bits
    values = np.repeat(gray, 3, axis=2)
    key = image.info.get("transparency")
    return _with_alpha(values, keyed_alpha(gray, [key])) if isinstance(key, int) else values


def _with_alpha(values: NDArray[np.uint16], alpha: Bytes) -> NDArray[np.uint16]:
    return np.concatenate([values, alpha[..., None] * np.uint16(257)], axis=2)


def eight_bits(values: NDArray[np.unsignedinteger[Any]]) -> Bytes:
    """Map 0..65535 to 0..255 as round(v / 257), without ties, because 257 is odd. Bytes are returned as they are."""
    if values.dtype == np.uint8:
        return cast(Bytes, values)
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _from_float(path: Path, values: NDArray[np.float32]) -> Bytes:
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):  # also true for NaN
        raise ImageError(f"{path}: float values must be in [0, 1], got values from {low:g} to {high:g}")
    return np.rint(values * np.float32(255)).astype(np.uint8)


def _stack(gray: Bytes) -> Bytes:
    return np.repeat(gray[..., None], 3, axis=2)


def upright(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return ``array`` (H, W, ...) in upright orientation, given its EXIF orientation (1 to 8)."""
    if orientation >= 5:  # 5 to 8: rows and columns exchanged
        array = array.swapaxes(0, 1)
    if orientation in {3, 4, 7, 8}:  # last row first
        array = array[::-1]
    if orientation in {2, 3, 6, 7}:  # last column first
        array = array[:, ::-1]
    return array
