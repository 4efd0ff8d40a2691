"""Reading and writing of image files. Every image becomes 8-bit RGB with optional alpha, or an error of one line.

Datasets, masks, commands and the benchmark read all images of users with this module. It checks the header before it
decodes pixels, reads only the first frame, applies the EXIF orientation, and describes each conversion that changes
values in a note. 16-bit values v become round(v / 257), float values v in [0, 1] become round(255 v).
"""

from __future__ import annotations

import io
import re
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin, PngImagePlugin, UnidentifiedImageError

from inpaint_zoo.io.atomic import write_bytes
from inpaint_zoo.io.encoders import encode_deep_png, encode_tiff, tiff_tags
from inpaint_zoo.io.exif import PREFIX, exif_block, upright_exif, with_thumbnail
from inpaint_zoo.io.formats import (
    FORMATS,
    IMAGE_SUFFIXES,
    kind_by_content,
    missing_plugin,
    readable_formats,
    why_not_read,
)
from inpaint_zoo.io.pixels import (
    GRAY_MODES,
    GRAY_NOTE,
    LOW_NOTE,
    ImageError,
    eight_bits,
    is_gray,
    keyed_alpha,
    mend_planes,
    sixteen_bit_color,
    sixteen_bit_gray,
    to_rgb,
    upright,
)
from inpaint_zoo.io.png_chunks import without_bad_metadata
from inpaint_zoo.io.profiles import profile_of_space, srgb_profile
from inpaint_zoo.io.xmp import JPEG_MOST, png_chunk, upright_xmp, xmp_packet

__all__ = [
    "ALPHA_SUFFIXES",
    "DEEP_SUFFIXES",
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "DecodedImage",
    "ImageError",
    "JpegEncoding",
    "decode_image",
    "read_image",
    "read_values",
    "without_room",
    "write_image",
]

MAX_PIXELS = 89_478_485
"""Default limit for H*W of images that are decoded, equal to Pillow's limit against decompression bombs."""

WRITABLE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".ppm"}  # formats that hold RGB
)
"""Extensions that `write_image` supports."""
ALPHA_SUFFIXES = frozenset({".png", ".webp", ".tif", ".tiff"})
"""Extensions for which `write_image` supports an alpha channel."""
DEEP_SUFFIXES = frozenset({".png", ".tif", ".tiff"})
"""Extensions for which `write_image` supports 16 bits per channel."""

DAMAGED_EXIF = "its EXIF block is damaged and was ignored"
DAMAGED_XMP = "its XMP packet is damaged and was left out"
EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"  # of a packet that does not fit into a segment of a JPEG file

_LOW_DEPTHS = {"L;2": 85, "L;4": 17}
"""Factor by which Pillow scales the values of grayscale PNG files with 2 and 4 bits."""
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {"compress_level": 1},  # a quarter of the time of level 6; files are only a few percent larger
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True, "method": 2},  # exact: keep the colors of transparent pixels
    "BMP": {},
    "PPM": {},
}


class JpegEncoding(NamedTuple):
    """How a JPEG file is encoded.

    Attributes:
        tables: Quantization tables, each of 64 numbers.
        subsampling: Color resolution: 0 for 4:4:4, 1 for 4:2:2, 2 for 4:2:0.
        progressive: Whether it is a progressive JPEG.
    """

    tables: tuple[tuple[int, ...], ...]
    subsampling: int
    progressive: bool


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """A decoded image in upright orientation.

    Attributes:
        path: File that it was read from.
        rgb: (H, W, 3) uint8.
        alpha: (H, W) uint8; None if the file has no transparency. `rgb` is not multiplied by it.
        notes: Descriptions of the conversions, without the path; empty for a plain 8-bit RGB file.
        format: Pillow's name of the file's format: PNG, JPEG, WEBP, BMP, TIFF, GIF, PPM, AVIF, JPEG2000 or HEIF. MPO
            counts as JPEG.
        exif_orientation: EXIF orientation of the file, 1 to 8; it is already applied to the arrays.
        icc_profile: ICC color profile to write with the pixels: the embedded one if it describes `rgb` (or its only
            channel if `gray`), the sRGB profile for a file in Lab, otherwise None.
        gray: Whether the file is grayscale; all channels of `rgb` are then equal.
        levels: (H, W, 3), or (H, W, 4) with alpha, uint16: all bits of a file with 16 bits per channel; None for other
            files, or if they were not asked for.
        exif: EXIF block without prefix, with orientation 1; None if the file has none.
        xmp: XMP packet with orientation 1 and without thumbnails; None if the file has none.
        dpi: Horizontal and vertical resolution in pixels per inch; None if the file states none.
        jpeg: How a JPEG file was encoded; None for other formats.
    """

    path: Path
    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None
    notes: tuple[str, ...]
    format: str
    exif_orientation: int
    icc_profile: bytes | None
    gray: bool = False
    levels: NDArray[np.uint16] | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    jpeg: JpegEncoding | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width (H, W) in upright orientation."""
        return self.rgb.shape[0], self.rgb.shape[1]

    @property
    def pixels(self) -> NDArray[np.unsignedinteger[Any]]:
        """(H, W, 3) with all bits that were read: uint16 if `levels` is there, else uint8."""
        return self.rgb if self.levels is None else self.levels[..., :3]

    def alpha_like(self, pixels: NDArray[np.generic]) -> NDArray[np.unsignedinteger[Any]] | None:
        """Return the alpha channel in the dtype of ``pixels``, uint8 or uint16; None if there is none."""
        if self.alpha is None or pixels.dtype == np.uint8:
            return self.alpha
        if self.levels is not None and self.levels.shape[2] == 4:
            return self.levels[..., 3]
        return self.alpha.astype(np.uint16) * np.uint16(257)


def read_image(path: str | Path, *, max_pixels: int = MAX_PIXELS, deep: bool = False) -> DecodedImage:
    """Read the first image of a file. It is thread-safe and suppresses Pillow's warnings.

    Args:
        path: A PNG, JPEG, WebP, BMP, TIFF, GIF, PPM, JPEG 2000, AVIF or (with pillow-heif) HEIF file. The format is
            detected from the content, not from the name. Files with the extension of an unsupported format are refused.
        max_pixels: Maximum H*W. Larger images are refused by their header, before they are decoded.
        deep: Also return all bits of files with 16 bits per channel, as `DecodedImage.levels`.

    Raises:
        ImageError: The file is missing, a folder, empty, not an image, truncated, damaged, too large, of a format
            that is not supported here, or has values without a defined meaning as RGB (float values outside [0, 1],
            32-bit integers). The message is one line.
    """
    path = Path(path)
    with _opened(path, max_pixels) as (image, note):
        return _decode(path, image, note, deep)


def decode_image(data: bytes, name: str | Path, *, max_pixels: int = MAX_PIXELS) -> DecodedImage:
    """Decode the bytes of an image file, for example from an archive. ``name`` is used in place of its path.

    Raises:
        ImageError: The same errors as `read_image`.
    """
    path = Path(name)
    if not data:
        raise ImageError(f"{path}: is empty (0 bytes)")
    _refuse_unread(path)
    with _Pillow.quiet(max_pixels), _blaming(path), _parsed(path, io.BytesIO(data), max_pixels) as (image, note):
        return _decode(path, image, note)


def image_size(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Return (H, W) from the header of a file, without decoding it and without applying the EXIF orientation.

    Raises:
        ImageError: The same errors as `read_image`.
    """
    with _opened(Path(path), max_pixels) as (image, _):
        return image.height, image.width


def read_values(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> NDArray[Any]:
    """Read an image with one channel as the stored values (H, W), such as palette indices, 16-bit values or labels.

    Raises:
        ImageError: The same errors as `read_image`; or the image has several channels or float values.
    """
    path = Path(path)
    with _opened(path, max_pixels) as (image, _):
        if len(image.getbands()) > 1 or image.mode == "F":
            raise ImageError(f"{path}: must have one channel of whole numbers, got {image.mode}")
        return np.array(image)


def convert_image(image: Image.Image, name: str = "image", *, deep: bool = False) -> DecodedImage:
    """Convert a Pillow image like `read_image` does. ``name`` is used in place of a path.

    Raises:
        ImageError: The same errors as `read_image`. A lazily opened file is decoded here, so it may be damaged.
    """
    with _Pillow.quiet(MAX_PIXELS), _blaming(Path(name)):
        mend_planes(image)
        return _decode(Path(name), image, None, deep)


@contextmanager
def _opened(path: Path, max_pixels: int) -> Iterator[tuple[Image.Image, str | None]]:
    """Open a file and check its header. All errors, also those while the caller decodes, become a `ImageError`."""
    _check_is_readable_file(path)
    _refuse_unread(path)
    with _Pillow.quiet(max_pixels), _blaming(path), ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("rb"))
        except OSError as error:
            raise ImageError(f"{path}: cannot be opened: {error.strerror}") from None
        yield stack.enter_context(_parsed(path, file, max_pixels))


@contextmanager
def _parsed(path: Path, file: IO[bytes], max_pixels: int) -> Iterator[tuple[Image.Image, str | None]]:
    """Yield the opened image of a file, and a note about removed metadata (or None)."""
    file, note = without_bad_metadata(file)
    with ExitStack() as stack:
        try:
            formats = readable_formats(file.read(16))
            image = stack.enter_context(Image.open(file, formats=formats))
        except Image.DecompressionBombError as error:  # only its message contains the size
            number = re.search(r"\((\d+) pixels", str(error))
            raise _too_large(path, int(number[1]) if number else 2 * max_pixels, max_pixels) from None
        except UnidentifiedImageError:
            raise ImageError(f"{path}: {_why_unidentified(file)}") from None
        if max_pixels < image.height * image.width:
            raise _too_large(path, image.height * image.width, max_pixels)
        mend_planes(image)
        yield image, note


@contextmanager
def _blaming(path: Path) -> Iterator[None]:
    try:
        yield
    except ImageError:
        raise
    except Exception as error:  # decoders raise many kinds of exceptions for damaged or malicious files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{path}: damaged or truncated image: {reason}") from error


def write_image(
    path: str | Path,
    rgb: NDArray[np.unsignedinteger[Any]],
    alpha: NDArray[np.unsignedinteger[Any]] | None = None,
    *,
    quality: int | None = None,
    subsampling: int | None = None,
    jpeg: JpegEncoding | None = None,
    icc_profile: bytes | None = None,
    exif: bytes | None = None,
    xmp: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    gray: bool = False,
) -> None:
    """Write an image atomically. The extension of ``path`` selects the format.

    PNG, BMP, TIFF, PPM and (without ``quality``) WebP are lossless; JPEG is not.

    Args:
        path: Target file with the extension .png, .jpg, .jpeg, .jpe, .jfif, .webp, .bmp, .tif, .tiff or .ppm. Missing
            parent folders are created.
        rgb: (H, W, 3) uint8, or uint16 for 16 bits per channel in PNG and TIFF; other formats get 8 bits.
        alpha: (H, W) of the same dtype; only for PNG, WebP and TIFF.
        quality: 1 to 100 for JPEG (95 if None) and WebP (lossless if None); other formats ignore it.
        subsampling: Color resolution of JPEG: 0 for 4:4:4 (if None), 1 for 4:2:2, 2 for 4:2:0.
        jpeg: Encoding of the JPEG file that the image comes from. Its tables, subsampling and kind are used for JPEG,
            as far as ``quality`` and ``subsampling`` do not replace them.
        icc_profile: ICC color profile to embed, such as `DecodedImage.icc_profile`. It is ignored if it is for another
            color space, and for formats that cannot hold it.
        exif: EXIF block to embed, such as `DecodedImage.exif`; a thumbnail in it is replaced by one of ``rgb``. BMP and
            PPM cannot hold it, and JPEG at most 65,527 bytes.
        xmp: XMP packet to embed, such as `DecodedImage.xmp`. BMP and PPM cannot hold it, and JPEG at most `JPEG_MOST`
            bytes.
        dpi: Resolution in pixels per inch, for JPEG, PNG and TIFF.
        gray: Whether to write only the first channel, as a grayscale image.

    Raises:
        ImageError: The format does not support the request, or the arrays have a wrong shape or dtype.
        OSError: The file cannot be written, for example because the disk is full; no file is left behind.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    name = FORMATS.get(suffix, "")
    if suffix not in WRITABLE_SUFFIXES:
        raise ImageError(f"{path}: cannot be written: the name must end in .png, .jpg, .webp, .bmp, .tif or .ppm")
    if rgb.dtype not in (np.uint8, np.uint16) or rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
        raise ImageError(f"{path}: `rgb` must be (H, W, 3) uint8 or uint16, got {rgb.shape} {rgb.dtype}")
    if alpha is not None:
        if alpha.dtype != rgb.dtype or alpha.shape != rgb.shape[:2]:
            raise ImageError(f"{path}: `alpha` must be {rgb.shape[:2]} {rgb.dtype}, got {alpha.shape} {alpha.dtype}")
        if suffix not in ALPHA_SUFFIXES:
            raise ImageError(f"{path}: {name} has no alpha channel. Write PNG, WebP or TIFF, or omit `alpha`.")
    channels = [rgb[..., :1] if gray else rgb] + ([] if alpha is None else [alpha[..., None]])
    values: NDArray[Any] = np.concatenate(channels, axis=2)
    parts = _Metadata(profile_of_space(icc_profile, gray), exif, xmp)
    profile, exif, xmp = parts._replace(**dict.fromkeys(parts.without_room(name, gray)))
    if exif is not None:
        exif = with_thumbnail(exif, eight_bits(rgb))
    if name == "TIFF":
        if values.shape[2] == 2 and values.dtype == np.uint16:  # Pillow reads no such file
            values = values[..., [0, 0, 0, 1]]
        with _Pillow.quiet(MAX_PIXELS):  # it warns about EXIF blocks that are damaged in part
            encoded = encode_tiff(values, profile, exif, dpi, xmp)
        write_bytes(path, encoded)
        return
    if values.dtype == np.uint16 and name == "PNG":
        write_bytes(path, encode_deep_png(values, profile, exif, dpi, xmp))
        return
    values = eight_bits(values)
    values = np.ascontiguousarray(values[..., 0] if values.shape[2] == 1 else values)
    options = dict(_SAVE_OPTIONS[name])
    if name == "JPEG":
        options = _jpeg_options(quality, subsampling, jpeg)
    elif quality is not None and name == "WEBP":
        options = {"quality": quality, "exact": True}
    if profile is not None:
        options["icc_profile"] = profile
    if exif is not None:
        options["exif"] = PREFIX + exif
    if xmp is not None:
        options |= {"pnginfo": _png_text(xmp)} if name == "PNG" else {"xmp": xmp}
    if dpi is not None and name in {"PNG", "JPEG"}:
        options["dpi"] = dpi
    buffer = io.BytesIO()
    try:
        Image.fromarray(values).save(buffer, format=name, **options)
    except (OSError, ValueError, SystemError) as error:  # such as more than 65,500 JPEG or 16,383 WebP pixels on a side
        raise ImageError(f"{path}: {rgb.shape[1]} x {rgb.shape[0]} cannot be written as {name}: {error}") from None
    write_bytes(path, buffer.getvalue())


def without_room(path: Path, image: DecodedImage) -> list[str]:
    """Return a note for each part of an image that `write_image` leaves out, because a format has no room for it."""
    name = FORMATS.get(path.suffix.lower(), "")
    parts = _Metadata(image.icc_profile, image.exif, image.xmp)
    notes = [
        f"{_PART_NAMES[part]} left out, since {path.suffix} cannot hold its {size} bytes"
        for part, size in parts.without_room(name, image.gray).items()
    ]
    if name == "TIFF" and image.exif is not None:
        with _Pillow.quiet(MAX_PIXELS):
            _, unfit = tiff_tags(image.exif)
        notes += [f"EXIF tag {tag} left out, since its value is damaged or does not fit into TIFF" for tag in unfit]
    return notes


class _Metadata(NamedTuple):
    """Metadata to embed in a file."""

    profile: bytes | None
    exif: bytes | None
    xmp: bytes | None

    def without_room(self, name: str, gray: bool) -> dict[str, int]:
        """Return the parts for which the format ``name`` has no room, with their numbers of bytes."""
        found = {}
        for part, data in self._asdict().items():
            most = 0 if (part, name, gray) == ("profile", "WEBP", True) else _MOST_BYTES[part].get(name, 0)
            if data is not None and len(data) > most:
                found[part] = len(data)
        return found


_PART_NAMES = {"profile": "color profile", "exif": "EXIF block", "xmp": "XMP packet"}
_ANY = 2**32
_MOST_BYTES = {
    # Pillow refuses larger profiles of PNG; JPEG divides a profile into at most 255 segments; WebP is always RGB
    "profile": {"PNG": PngImagePlugin.MAX_TEXT_CHUNK, "JPEG": 255 * 65519, "WEBP": _ANY, "TIFF": _ANY},
    "exif": {"PNG": _ANY, "JPEG": 65533 - len(PREFIX), "WEBP": _ANY, "TIFF": _ANY},
    "xmp": {"PNG": _ANY, "JPEG": JPEG_MOST, "WEBP": _ANY, "TIFF": _ANY},
}
"""Largest number of bytes of each part by format; a format that is missing cannot hold the part."""


def _png_text(xmp: bytes) -> PngImagePlugin.PngInfo:
    text = PngImagePlugin.PngInfo()
    text.add(b"iTXt", png_chunk(xmp))
    return text


def _jpeg_options(quality: int | None, subsampling: int | None, jpeg: JpegEncoding | None) -> dict[str, Any]:
    """Return the options of Pillow for a JPEG file."""
    options = dict(_SAVE_OPTIONS["JPEG"])
    if jpeg is not None:
        options |= {"subsampling": jpeg.subsampling, "progressive": jpeg.progressive}
        if quality is None:
            options = {**options, "quality": -1, "qtables": [list(table) for table in jpeg.tables]}
    if quality is not None:
        options["quality"] = quality
    if subsampling is not None:
        options["subsampling"] = subsampling
    return options


def _check_is_readable_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
        size = path.stat().st_size
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be opened: {error.strerror}") from None
    if stat.S_ISDIR(mode):
        raise ImageError(f"{path}: is a folder, but an image file was expected")
    if not stat.S_ISREG(mode):  # opening a pipe could block forever
        raise ImageError(f"{path}: is not a regular file")
    if size == 0:
        raise ImageError(f"{path}: is empty (0 bytes)")


def _refuse_unread(path: Path) -> None:
    if reason := why_not_read(path):
        raise ImageError(f"{path}: {reason}")


def _why_unidentified(file: IO[bytes]) -> str:
    file.seek(0)
    name = kind_by_content(file.read(16))
    if name is None:
        return "is not a PNG, JPEG, WebP, BMP, TIFF, GIF, PPM, JPEG 2000, AVIF or HEIF image"
    if hint := missing_plugin(name):
        return hint
    kinds = "damaged, or of a kind that cannot be read such as float RGB" if name == "TIFF" else "damaged"
    return f"begins like a {name} file but is {kinds}"


def _too_large(path: Path, pixels: int, max_pixels: int) -> ImageError:
    text = f"{path}: {pixels:,} pixels are more than the {max_pixels:,} allowed; not decoded"
    return ImageError(f"{text} (max_pixels raises the limit)")


class _Pillow:
    """Process-wide settings of Pillow while at least one thread reads: no warnings, and the limit of pixels.

    With `warnings.catch_warnings` in each thread, the filters could be restored in the wrong order. Therefore the first
    reader changes the settings and the last one restores them.
    """

    lock = threading.Lock()
    readers = 0
    restore = ExitStack()

    @classmethod
    @contextmanager
    def quiet(cls, max_pixels: int) -> Iterator[None]:
        with cls.lock:
            if cls.readers == 0:
                cls.restore.enter_context(warnings.catch_warnings())
                warnings.filterwarnings("ignore", module=rf"PIL\b|{__name__}")
                cls.restore.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
            cls.readers += 1
            if Image.MAX_IMAGE_PIXELS is not None and max_pixels > Image.MAX_IMAGE_PIXELS:
                Image.MAX_IMAGE_PIXELS = max_pixels  # each reader also checks its own max_pixels
        try:
            yield
        finally:
            with cls.lock:
                cls.readers -= 1
                if cls.readers == 0:
                    cls.restore.close()


def _decode(path: Path, image: Image.Image, note: str | None, deep: bool = False) -> DecodedImage:
    notes = [note] if note else []
    rawmode = str(image.tile[0].args) if getattr(image, "tile", None) else ""  # type: ignore[attr-defined]
    whole = _file_of(image) if ";16" in rawmode else b""
    packet = xmp_packet(image)  # before Pillow removes the orientation of a TIFF image from it
    if image.format == "TIFF":  # Pillow rotates TIFF images when it loads them, and then drops the orientation
        orientation, pending = _orientation(image, notes), 1
        image.load()
    else:
        image.load()
        orientation = pending = _orientation(image, notes)
    if orientation != 1:
        notes.append(f"rotated according to EXIF orientation {orientation}")

    rgb, alpha, converted = to_rgb(path, image)
    levels = sixteen_bit_gray(image) if deep else None
    key = image.info.get("transparency")  # in the depth of the file, which Pillow does not take into account
    if ";16" in rawmode and image.mode in {"RGB", "RGBA", "LA"}:
        applied = orientation if image.format == "TIFF" else 1
        rgb, alpha, converted, levels = sixteen_bit_color(
            whole, rgb, alpha, applied, key if isinstance(key, tuple) else None
        )
    elif rawmode in _LOW_DEPTHS and isinstance(key, int):
        alpha = keyed_alpha(rgb[..., :1], [key * _LOW_DEPTHS[rawmode]])
    if levels is None or not deep:
        levels = None
        notes.extend(converted)
    elif image.mode in GRAY_MODES:
        notes.extend(each for each in converted if each in (LOW_NOTE, GRAY_NOTE))
    profile = _profile(image)
    if profile is None and image.info.get("icc_profile") and image.mode != "CMYK":
        notes.append("a color profile of another color space left out")
    exif, xmp = _exif(image, notes), _xmp(image, packet or xmp_packet(image), notes)
    if getattr(image, "is_animated", False):
        notes.append(f"first of {image.n_frames} frames taken")  # type: ignore[attr-defined]
    return DecodedImage(
        path=path,
        rgb=np.ascontiguousarray(upright(rgb, pending)),
        alpha=None if alpha is None else np.ascontiguousarray(upright(alpha, pending)),
        notes=tuple(notes),
        format="JPEG" if image.format == "MPO" else str(image.format),
        exif_orientation=orientation,
        icc_profile=profile,
        gray=is_gray(image),
        levels=None if levels is None else np.ascontiguousarray(upright(levels, pending)),
        exif=exif,
        xmp=xmp,
        dpi=_dpi(image),
        jpeg=_jpeg_encoding(image),
    )


def _exif(image: Image.Image, notes: list[str]) -> bytes | None:
    try:
        block = exif_block(image)
        return upright_exif(block) if block else None
    except Exception:  # the pixels may be valid even if the EXIF block is damaged
        if DAMAGED_EXIF not in notes:
            notes.append(DAMAGED_EXIF)
        return None


def _xmp(image: Image.Image, packet: bytes | None, notes: list[str]) -> bytes | None:
    if any(data.startswith(EXTENDED_XMP) for _, data in getattr(image, "applist", ())):
        notes.append("an extension of its XMP packet was left out")
    try:
        return upright_xmp(packet) if packet else None
    except ValueError:
        notes.append(DAMAGED_XMP)
        return None


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    try:
        x, y = (float(each) for each in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if all(1 <= each < 2**16 for each in (x, y)) else None  # False for NaN


def _jpeg_encoding(image: Image.Image) -> JpegEncoding | None:
    tables = getattr(image, "quantization", None)
    if image.format not in {"JPEG", "MPO"} or not tables:
        return None
    sampling = JpegImagePlugin.get_sampling(image)
    return JpegEncoding(
        tuple(tuple(tables[key]) for key in sorted(tables)),
        sampling if sampling in (0, 1, 2) else 0,
        bool(image.info.get("progressive")),
    )


def _profile(image: Image.Image) -> bytes | None:
    """Return the color profile of the pixels that `to_rgb` returns for an image; None if there is none."""
    if image.mode == "LAB":
        return srgb_profile()
    if image.mode == "CMYK":  # the profile is for CMYK and was not used in the conversion to RGB
        return None
    return profile_of_space(image.info.get("icc_profile"), image.mode in GRAY_MODES)


def _file_of(image: Image.Image) -> bytes:
    """Return the bytes of the file of an image whose pixels are not loaded yet."""
    file: IO[bytes] = image.fp  # type: ignore[attr-defined]
    place = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(place)
    return data


def _orientation(image: Image.Image, notes: list[str]) -> int:
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # the pixels may be valid even if the EXIF block is damaged
        notes.append(DAMAGED_EXIF)
        return 1
    return value if value in range(1, 9) else 1
