"""Writing of GIF animations."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inpaint_zoo.io.atomic import write_bytes
from inpaint_zoo.io.pixels import ImageError

__all__ = ["write_gif"]

LONGEST_SIDE = 65_535  # GIF stores height and width in 16 bits


def write_gif(path: str | Path, frames: NDArray[np.uint8], *, shown_ms: int = 700, last_ms: int = 2000) -> None:
    """Write an endlessly repeating animation as GIF, atomically.

    All frames share one palette of 256 colors and are not dithered, so equal regions do not flicker. Consecutive equal
    frames are merged into one of the same total duration.

    Args:
        path: Target file; missing parent folders are created.
        frames: (N, H, W, 3) with N >= 1.
        shown_ms: Duration of each frame except the last, in milliseconds.
        last_ms: Duration of the last frame, in milliseconds.

    Raises:
        ImageError: Height or width exceeds 65,535 pixels.
        OSError: The file cannot be written, for example because the disk is full; no file is left behind.
    """
    N, H, W, _ = frames.shape
    if max(H, W) > LONGEST_SIDE:
        raise ImageError(f"{path}: {W} x {H} cannot be written as GIF; the maximum width and height is {LONGEST_SIDE}")
    palette = Image.fromarray(frames.reshape(N * H, W, 3)).quantize(256)
    first, *others = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [shown_ms] * (N - 1) + [last_ms]
    buffer = io.BytesIO()
    first.save(buffer, format="GIF", save_all=True, append_images=others, duration=durations, loop=0)
    write_bytes(path, buffer.getvalue())
