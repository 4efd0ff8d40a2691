"""Where attention copies from, as a picture for people."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from inpaint_zoo.inference.drawing import FAINT, INK, PAPER, Bytes, font, outlined, sized
from inpaint_zoo.io.flow import colour_key, flow_colours

__all__ = ["attention_sheet"]

_CELL, _GAP, _HEAD, _CAPTION, _KEY = 384, 12, 60, 24, 160
_LEGEND = (
    "Colours: where the attention copies from, as seen from the middle of the key. White: from the place itself. "
    "Outlined: the hole."
)


def attention_sheet(
    offsets: NDArray[Any], photo: Bytes, hole: NDArray[np.bool_], result: Bytes, title: str, *, place: int
) -> Bytes:
    """(H', W', 3): photograph, result, the map of offsets at the photograph's size, and the key to its colours.

    Args:
        offsets: (2, h, w), rows and columns, in places of a grid that begins at the photograph's corner.
        photo: (H, W, 3).
        hole: (H, W).
        result: (H, W, 3).
        title: The line above.
        place: Side of a place in pixels.
    """
    H, W = hole.shape
    colours = flow_colours(offsets[None])[0].repeat(place, axis=0).repeat(place, axis=1)[:H, :W]
    longest = np.hypot(*offsets.astype(np.float64)).max() * place
    scale = _CELL / max(H, W)
    size = (max(1, round(W * scale)), max(1, round(H * scale)))
    width = max(3 * (size[0] + _GAP) + _KEY + 2 * _GAP, int(font(13).getlength(_LEGEND)) + 2 * _GAP)
    sheet = Image.new("RGB", (width, _HEAD + max(size[1], _KEY) + _CAPTION + _GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 10), title, INK, font(18))
    draw.text((_GAP, 36), _LEGEND, FAINT, font(13))
    cells = ((photo, f"photograph, {W} x {H}"), (result, "result"), (colours, f"attention, places of {place} px"))
    for number, (picture, caption) in enumerate(cells):
        x = _GAP + number * (size[0] + _GAP)
        draw.rectangle((x - 1, _HEAD - 1, x + size[0], _HEAD + size[1]), outline=FAINT)  # the map's margins are white
        sheet.paste(outlined(sized(picture, size), hole), (x, _HEAD))
        draw.text((x + size[0] / 2, _HEAD + size[1] + 4), caption, FAINT, font(12), anchor="ma")
    x = _GAP + 3 * (size[0] + _GAP)
    sheet.paste(Image.fromarray(colour_key(_KEY)), (x, _HEAD))
    draw.text((x + _KEY / 2, _HEAD + _KEY + 4), f"rim: {longest:.0f} px away", FAINT, font(12), anchor="ma")
    return np.asarray(sheet, dtype=np.uint8)
