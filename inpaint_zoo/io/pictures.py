"""Photographs in and out: whatever a picture file holds becomes 8-bit RGB plus alpha, or one clear line says why not.

The only door through which pictures of users enter: datasets, masks, the commands and the benchmark all read here. The
header is checked before a pixel is decoded, only the first frame is taken, the EXIF orientation is applied, and every
conversion that changes values is noted in words. 16 bits become 8 by rounding v / 257, floats in [0, 1] by rounding
255 v.
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
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from inpaint_zoo.io.atomic import write_bytes
from inpaint_zoo.io.pixels import PictureError, sixteen_bit_colour, to_rgb, upright

__all__ = [
    "ALPHA_SUFFIXES",
    "MAX_PIXELS",
    "PICTURE_SUFFIXES",
    "Picture",
    "PictureError",
    "decode_picture",
    "read_picture",
    "write_picture",
]

MAX_PIXELS = 89_478_485
"""Largest H*W that is decoded unless the caller allows more: Pillow's own limit against decompression bombs."""

_FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".gif": "GIF",
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".pbm": "PPM",
}
PICTURE_SUFFIXES = frozenset(_FORMATS)
"""File name endings, in lower case, that are taken for pictures when a folder is listed."""
WRITABLE_SUFFIXES = PICTURE_SUFFIXES - {".gif", ".pgm", ".pbm"}
"""The endings among them that `write_picture` takes: formats that hold RGB."""
ALPHA_SUFFIXES = frozenset({".png", ".webp", ".tif", ".tiff"})
"""... and those whose format `write_picture` gives an alpha channel."""

_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {"compress_level": 1},  # level 1: a quarter of the time of level 6 for a few per cent of size
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True, "method": 2},  # exact: colours under full transparency stay
    "BMP": {},
    "TIFF": {"compression": "tiff_adobe_deflate"},
    "PPM": {},
}
_MAGIC = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"RIFF": "WebP",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"GIF8": "GIF",
}


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded photograph, upright.

    Attributes:
        path: Where it was read.
        rgb: (H, W, 3) uint8.
        alpha: (H, W) uint8, or None when the file has no transparency. Kept apart: `rgb` is not multiplied by it.
        notes: What was converted, in words, without the path; empty for a plain 8-bit RGB file.
        format: Pillow's name of the file's format: PNG, JPEG, WEBP, BMP, TIFF, GIF or PPM (MPO counts as JPEG).
        exif_orientation: 1 to 8 as the file said; already applied to the arrays.
        icc_profile: The embedded colour profile if it describes `rgb`, to be written back with it.
    """

    path: Path
    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None
    notes: tuple[str, ...]
    format: str
    exif_orientation: int
    icc_profile: bytes | None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) after rotation."""
        return self.rgb.shape[0], self.rgb.shape[1]


def read_picture(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read the first picture of a file. Safe in threads; shows no warning of Pillow.

    Args:
        path: A PNG, JPEG, WebP, BMP, TIFF, GIF or PPM file; its content decides, not its name.
        max_pixels: Larger pictures are refused by their header, before anything is decoded.

    Raises:
        PictureError: One line for whatever hinders: missing, a folder, empty, no picture, truncated, damaged, too
            large, or of a kind that has no one meaning as RGB (float beyond [0, 1], 32-bit integers, Lab).
    """
    path = Path(path)
    with _opened(path, max_pixels) as image:
        return _decode(path, image)


def decode_picture(data: bytes, name: str | Path, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read the bytes of a picture file that lies inside another one; ``name`` stands where its path would.

    Raises:
        PictureError: As `read_picture`.
    """
    path = Path(name)
    if not data:
        raise PictureError(f"{path}: is empty (0 bytes)")
    with _Pillow.quiet(max_pixels), _blaming(path), _parsed(path, io.BytesIO(data), max_pixels) as image:
        return _decode(path, image)


def picture_size(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """(H, W) as the header of a file says: nothing decoded, no EXIF orientation applied. Errors as `read_picture`."""
    with _opened(Path(path), max_pixels) as image:
        return image.height, image.width


def convert_picture(image: Image.Image, name: str = "image") -> Picture:
    """Bring a Pillow image to the form of `read_picture`; ``name`` stands in errors where a path would.

    Raises:
        PictureError: As `read_picture`; a lazily opened file may turn out to be damaged here.
    """
    with _Pillow.quiet(MAX_PIXELS), _blaming(Path(name)):
        return _decode(Path(name), image)


@contextmanager
def _opened(path: Path, max_pixels: int) -> Iterator[Image.Image]:
    """Open a file by its header; whatever goes wrong, here or while the caller decodes, becomes a `PictureError`."""
    _check_is_readable_file(path)
    with _Pillow.quiet(max_pixels), _blaming(path), ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("rb"))
        except OSError as error:
            raise PictureError(f"{path}: cannot be opened: {error.strerror}") from None
        yield stack.enter_context(_parsed(path, file, max_pixels))


@contextmanager
def _parsed(path: Path, file: IO[bytes], max_pixels: int) -> Iterator[Image.Image]:
    with ExitStack() as stack:
        try:
            image = stack.enter_context(Image.open(file, formats=sorted(set(_FORMATS.values()))))
        except Image.DecompressionBombError as error:  # its text is all that tells the size
            number = re.search(r"\((\d+) pixels", str(error))
            raise _too_large(path, int(number[1]) if number else 2 * max_pixels, max_pixels) from None
        except UnidentifiedImageError:
            raise PictureError(f"{path}: {_why_unidentified(file)}") from None
        if max_pixels < image.height * image.width:
            raise _too_large(path, image.height * image.width, max_pixels)
        yield image


@contextmanager
def _blaming(path: Path) -> Iterator[None]:
    try:
        yield
    except PictureError:
        raise
    except Exception as error:  # decoders fed with hostile bytes raise nearly anything; all of it is the file's fault
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(f"{path}: damaged or truncated picture: {reason}") from error


def write_picture(
    path: str | Path,
    rgb: NDArray[np.uint8],
    alpha: NDArray[np.uint8] | None = None,
    *,
    quality: int | None = None,
    icc_profile: bytes | None = None,
) -> None:
    """Write a picture, whole or not at all; the suffix of ``path`` chooses the format.

    PNG, WebP, BMP, TIFF and PPM return exactly these bytes when read again; JPEG does not.

    Args:
        path: Must end in .png, .jpg, .jpeg, .webp, .bmp, .tif, .tiff or .ppm. Folders on the way are made.
        rgb: (H, W, 3) uint8.
        alpha: (H, W) uint8; PNG, WebP and TIFF only.
        quality: 1 to 100 for JPEG (95 if None). WebP is lossless unless a quality is given; other formats ignore it.
        icc_profile: Colour profile to embed, as `Picture.icc_profile`.

    Raises:
        PictureError: The format cannot hold what is asked, or the arrays are no picture.
        OSError: The disk is full or the place not writable; nothing is left behind.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    name = _FORMATS.get(suffix, "")
    if suffix not in WRITABLE_SUFFIXES:
        raise PictureError(f"{path}: cannot be written: the name must end in .png, .jpg, .webp, .bmp, .tif or .ppm")
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
        raise PictureError(f"{path}: `rgb` must be (H, W, 3) uint8, got {rgb.shape} {rgb.dtype}")
    if alpha is not None:
        if alpha.dtype != np.uint8 or alpha.shape != rgb.shape[:2]:
            raise PictureError(f"{path}: `alpha` must be {rgb.shape[:2]} uint8, got {alpha.shape} {alpha.dtype}")
        if suffix not in ALPHA_SUFFIXES:
            raise PictureError(f"{path}: {name} holds no alpha channel; write PNG, WebP or TIFF, or leave alpha out")
        rgb = np.concatenate([rgb, alpha[..., None]], axis=2)
    options = dict(_SAVE_OPTIONS[name])
    if quality is not None and name in {"JPEG", "WEBP"}:
        options = {"quality": quality, "subsampling": 0} if name == "JPEG" else {"quality": quality, "exact": True}
    if icc_profile is not None and name in {"PNG", "JPEG", "WEBP", "TIFF"}:
        options["icc_profile"] = icc_profile
    buffer = io.BytesIO()
    try:
        Image.fromarray(np.ascontiguousarray(rgb)).save(buffer, format=name, **options)
    except (OSError, ValueError, SystemError) as error:  # such as more than 65,500 JPEG or 16,383 WebP pixels on a side
        raise PictureError(f"{path}: {rgb.shape[1]} x {rgb.shape[0]} cannot be written as {name}: {error}") from None
    write_bytes(path, buffer.getvalue())


def _check_is_readable_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
        size = path.stat().st_size
    except FileNotFoundError:
        raise PictureError(f"{path}: no such file") from None
    except OSError as error:
        raise PictureError(f"{path}: cannot be opened: {error.strerror}") from None
    if stat.S_ISDIR(mode):
        raise PictureError(f"{path}: is a folder, a picture file was expected")
    if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
        raise PictureError(f"{path}: is not a regular file")
    if size == 0:
        raise PictureError(f"{path}: is empty (0 bytes)")


def _why_unidentified(file: IO[bytes]) -> str:
    file.seek(0)
    head = file.read(16)
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            kinds = "damaged, or of a kind that cannot be read such as float RGB" if name == "TIFF" else "damaged"
            return f"begins like a {name} file but is {kinds}"
    return "is not a PNG, JPEG, WebP, BMP, TIFF, GIF or PPM picture"


def _too_large(path: Path, pixels: int, max_pixels: int) -> PictureError:
    text = f"{path}: {pixels:,} pixels are more than the {max_pixels:,} allowed; not decoded"
    return PictureError(f"{text} (max_pixels raises the limit)")


class _Pillow:
    """What Pillow keeps for the whole process, set while at least one thread reads: its warnings and its bomb limit.

    `warnings.catch_warnings` in each thread would restore the filters in the wrong order; the first reader in and the
    last one out do it for all.
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
                Image.MAX_IMAGE_PIXELS = max_pixels  # every reader compares with its own max_pixels as well
        try:
            yield
        finally:
            with cls.lock:
                cls.readers -= 1
                if cls.readers == 0:
                    cls.restore.close()


def _decode(path: Path, image: Image.Image) -> Picture:
    notes: list[str] = []
    rawmode = str(image.tile[0].args) if getattr(image, "tile", None) else ""  # type: ignore[attr-defined]
    whole = _file_of(image) if ";16" in rawmode else b""
    if image.format == "TIFF":  # Pillow rotates these itself while it loads them, and forgets the orientation
        orientation, pending = _orientation(image, notes), 1
        image.load()
    else:
        image.load()
        orientation = pending = _orientation(image, notes)
    if orientation != 1:
        notes.append(f"rotated as EXIF orientation {orientation} asks")

    rgb, alpha, converted = to_rgb(path, image)
    if ";16" in rawmode and image.mode in {"RGB", "RGBA", "LA"}:
        rgb, alpha, converted = sixteen_bit_colour(whole, rgb, alpha, orientation if image.format == "TIFF" else 1)
    notes.extend(converted)
    icc_profile = image.info.get("icc_profile") or None
    if image.mode in {"CMYK", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F", "1"}:
        icc_profile = None  # it describes other channels than those of rgb
    if getattr(image, "is_animated", False):
        notes.append(f"first of {image.n_frames} frames taken")  # type: ignore[attr-defined]
    return Picture(
        path=path,
        rgb=np.ascontiguousarray(upright(rgb, pending)),
        alpha=None if alpha is None else np.ascontiguousarray(upright(alpha, pending)),
        notes=tuple(notes),
        format="JPEG" if image.format == "MPO" else str(image.format),
        exif_orientation=orientation,
        icc_profile=icc_profile,
    )


def _file_of(image: Image.Image) -> bytes:
    """The bytes of the file behind a picture whose pixels are not loaded yet."""
    file: IO[bytes] = image.fp  # type: ignore[attr-defined]
    place = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(place)
    return data


def _orientation(image: Image.Image, notes: list[str]) -> int:
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # a broken EXIF block is no reason to refuse good pixels
        notes.append("its EXIF block is damaged and was ignored")
        return 1
    return value if value in range(1, 9) else 1
