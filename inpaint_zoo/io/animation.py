"""Pictures that move: one GIF of several."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inpaint_zoo.io.atomic import write_bytes
from inpaint_zoo.io.pixels import PictureError

__all__ = ["write_gif"]

LONGEST_SIDE = 65_535  # sides are stored in 16 bits


def write_gif(path: str | Path, frames: NDArray[np.uint8], *, shown_ms: int = 700, last_ms: int = 2000) -> None:
    """Write an animation that repeats for ever, whole or not at all.

    All frames share 256 colours and are not dithered, so that what is equal in them does not flicker; neighbours that
    are equal become one, shown for as long.

    Args:
        path: Folders on the way are made.
        frames: (N, H, W, 3), at least one.
        shown_ms: How long each is shown.
        last_ms: ... but the last one.

    Raises:
        PictureError: Too large for a GIF.
        OSError: The disk is full or the place not writable; nothing is left behind.
    """
    N, H, W, _ = frames.shape
    if max(H, W) > LONGEST_SIDE:
        raise PictureError(f"{path}: {W} x {H} cannot be written as GIF, whose sides are at most {LONGEST_SIDE}")
    palette = Image.fromarray(frames.reshape(N * H, W, 3)).quantize(256)
    first, *others = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [shown_ms] * (N - 1) + [last_ms]
    buffer = io.BytesIO()
    first.save(buffer, format="GIF", save_all=True, append_images=others, duration=durations, loop=0)
    write_bytes(path, buffer.getvalue())
