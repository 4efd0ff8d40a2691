"""Mask banks: masks that are generated once and written to a folder, for the kind `files` and for other programs.

A bank contains `000000.png`, `000001.png`, ... (8 bits, 255 = hole), `manifest.csv` with one line per mask, and
`bank.json` with the settings. `bank.json` is written first. Each mask file is written atomically, so the same call
continues a bank whose writing was interrupted.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from inpaint_zoo.io.atomic import TEMPORARY_PREFIX, write_bytes
from inpaint_zoo.masks.errors import MaskConfigError
from inpaint_zoo.masks.generator import MaskGenerator
from inpaint_zoo.masks.kind import Mask, Size

__all__ = ["BATCH", "crc32", "encode_png", "write_bank"]

BATCH = 64
_COLUMNS = ("index", "file", "ratio", "crc32", "name", "seed", "stream", "size", "config_sha256")
_OURS = re.compile(r"\d{6,}\.png|manifest\.csv|bank\.json")


def crc32(mask: Mask) -> int:
    """Return a checksum: the CRC-32 of the mask's bits, packed in C order.

    Example:
        >>> crc32(np.eye(8, dtype=np.uint8))
        2463264601
    """
    return zlib.crc32(np.packbits(mask.reshape(-1).astype(bool)).tobytes())


def encode_png(mask: Mask) -> bytes:
    """Encode a mask (H, W) as a single-channel 8-bit PNG, 255 = hole."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(mask * np.uint8(255)).save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()


def write_bank(
    generator: MaskGenerator,
    n: int,
    size: Size,
    out: Path,
    *,
    overwrite: bool = False,
    advance: Callable[[int], None] = lambda done: None,
) -> Path:
    """Write masks 0 ... n - 1 to a folder, or complete an unfinished bank that has the same settings.

    Args:
        generator: The mask generator.
        n: Number of masks.
        size: (H, W) in pixels.
        out: The folder; it may be missing, empty, or contain an unfinished bank with the same settings.
        overwrite: Replace the files of an earlier bank; other files in the folder are never changed.
        advance: Called with the number of masks written since the last call.

    Returns:
        The path of `manifest.csv`.

    Raises:
        MaskConfigError: If the folder contains something else, or a bank with other settings or more masks.
    """
    if n < 1:
        raise MaskConfigError(f"`n` must be at least 1, got {n}.")
    description = {
        "name": generator.name,
        "seed": generator.seed,
        "stream": generator.stream,
        "size": list(size),
        "mask_size": list(generator.out_size(size)),
        "config_sha256": generator.identity(),
        "config": generator.config(),
    }
    _prepare(out, description, overwrite)
    surplus = sorted(path.name for path in out.glob("*.png") if _OURS.fullmatch(path.name) and int(path.stem) >= n)
    if surplus:
        raise MaskConfigError(
            f"{out} already contains more than {n} masks, such as {surplus[0]} (--overwrite replaces the bank)."
        )
    common = (generator.name, generator.seed, generator.stream, f"{size[0]}x{size[1]}", description["config_sha256"])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for first in range(0, n, BATCH):
        indices = range(first, min(first + BATCH, n))
        for index, mask in zip(indices, generator.batch(indices, size), strict=True):
            path = out / f"{index:06d}.png"
            if not path.exists():
                write_bytes(path, encode_png(mask))
            writer.writerow((index, path.name, repr(int(mask.sum()) / mask.size), crc32(mask), *common))
        advance(len(indices))
    manifest = out / "manifest.csv"
    write_bytes(manifest, text.getvalue().encode())
    return manifest


def _prepare(out: Path, description: dict[str, Any], overwrite: bool) -> None:
    """Prepare the folder, or raise an error if it cannot be used."""
    if out.exists() and not out.is_dir():
        raise MaskConfigError(f"{out} is a file; expected a folder.")
    held = [path for path in out.iterdir() if not path.name.startswith(TEMPORARY_PREFIX)] if out.exists() else []
    label = out / "bank.json"
    if held and not overwrite:
        if not label.is_file():
            raise MaskConfigError(f"{out} is not empty and is not a mask bank; choose another folder (or --overwrite).")
        if _read(label) != description:
            raise MaskConfigError(f"{out} contains a bank with other settings; choose another folder (or --overwrite).")
        return
    for path in held:
        if _OURS.fullmatch(path.name) and path.is_file():
            path.unlink()
    write_bytes(label, json.dumps(description, indent=2, ensure_ascii=False).encode() + b"\n")


def _read(label: Path) -> object:
    try:
        return json.loads(label.read_bytes())
    except ValueError:
        return None
