"""Draw a sheet that shows where attention copies from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from inpaint_zoo.io.drawing import FAINT, INK, PAPER, Bytes, font, outlined, sized
from inpaint_zoo.io.flow import color_key, flow_colors

__all__ = ["attention_sheet"]

_CELL, _GAP, _HEAD, _CAPTION, _KEY = 384, 12, 60, 24, 160
_LEGEND = (
    "Colors: where the attention copies from, relative to the center of the key. White: from the same position. "
    "Outlined: the hole."
)


def attention_sheet(
    offsets: NDArray[Any], image: Bytes, hole: NDArray[np.bool_], result: Bytes, title: str, *, place: int
) -> Bytes:
    """Return a sheet (H', W', 3): image, result, the map of offsets at the image's resolution, and its color key.

    Args:
        offsets: (2, h, w), row and column offsets in positions of a grid that starts at the image's top left corner.
        image: (H, W, 3) uint8 input image.
        hole: (H, W), True = hole.
        result: (H, W, 3) uint8 result.
        title: The line at the top.
        place: Height and width of one grid position in pixels.
    """
    H, W = hole.shape
    colors = flow_colors(offsets[None])[0].repeat(place, axis=0).repeat(place, axis=1)[:H, :W]
    longest = np.hypot(*offsets.astype(np.float64)).max() * place
    scale = _CELL / max(H, W)
    size = (max(1, round(W * scale)), max(1, round(H * scale)))
    width = max(3 * (size[0] + _GAP) + _KEY + 2 * _GAP, int(font(13).getlength(_LEGEND)) + 2 * _GAP)
    sheet = Image.new("RGB", (width, _HEAD + max(size[1], _KEY) + _CAPTION + _GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 10), title, INK, font(18))
    draw.text((_GAP, 36), _LEGEND, FAINT, font(13))
    cells = ((image, f"image, {W} x {H}"), (result, "result"), (colors, f"attention, positions of {place} px"))
    for number, (cell, caption) in enumerate(cells):
        x = _GAP + number * (size[0] + _GAP)
        draw.rectangle((x - 1, _HEAD - 1, x + size[0], _HEAD + size[1]), outline=FAINT)  # maps have white margins
        sheet.paste(outlined(sized(cell, size), hole), (x, _HEAD))
        draw.text((x + size[0] / 2, _HEAD + size[1] + 4), caption, FAINT, font(12), anchor="ma")
    x = _GAP + 3 * (size[0] + _GAP)
    sheet.paste(Image.fromarray(color_key(_KEY)), (x, _HEAD))
    draw.text((x + _KEY / 2, _HEAD + _KEY + 4), f"edge: {longest:.0f} px away", FAINT, font(12), anchor="ma")
    return np.asarray(sheet, dtype=np.uint8)
