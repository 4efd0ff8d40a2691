"""Draw feature maps on a sheet with Pillow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from inpaint_zoo.io.drawing import FAINT, INK, PAPER, Bytes, font, outlined, sized

__all__ = ["branch_sheet", "principal_colors"]

_CELL, _GAP, _HEAD, _CAPTION, _SIDE = 256, 12, 84, 22, 64
_LEGEND = (
    "Colors: the first three principal components of a map's channels as red, green and blue, computed for each map. "
    "Outlined: the hole."
)


def branch_sheet(maps: dict[str, Tensor], image: Bytes, hole: NDArray[np.bool_], result: Bytes, title: str) -> Bytes:
    """Return a sheet (H', W', 3): image and result, then a column for each phase and a row for each branch.

    Args:
        maps: Feature maps (C, h, w) by name. Names `<column>_<row>` that share a column, such as `phase_1_high` and
            `phase_1_low`, form one column; any other name gets its own column.
        image: (H, W, 3) uint8 input image.
        hole: (H, W), True = hole.
        result: (H, W, 3) uint8 result.
        title: The line at the top.
    """
    columns = _columns(maps)
    rows = list(dict.fromkeys(row for cells in columns.values() for row in cells if row))
    count = max(2, len(rows))
    H, W = hole.shape
    scale = _CELL / max(H, W)
    size = (max(1, round(W * scale)), max(1, round(H * scale)))
    step = (size[0] + _GAP, size[1] + _CAPTION + _GAP)
    legend_width = int(font(13).getlength(_LEGEND)) + 2 * _GAP
    width = max(_GAP + step[0] + _SIDE + len(columns) * step[0], legend_width)
    sheet = Image.new("RGB", (width, _HEAD + count * step[1]), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 10), title, INK, font(18))
    draw.text((_GAP, 36), _LEGEND, FAINT, font(13))

    def place(rgb: Bytes, x: int, row: int, caption: str) -> None:
        y = _HEAD + row * step[1]
        sheet.paste(outlined(sized(rgb, size), hole), (x, y))
        draw.text((x + size[0] / 2, y + size[1] + 3), caption, FAINT, font(12), anchor="ma")

    place(image, _GAP, 0, f"image, {W} x {H}")
    place(result, _GAP, 1, "result")
    left = _GAP + step[0] + _SIDE
    for number, row in enumerate(rows):
        y = _HEAD + number * step[1] + size[1] / 2
        draw.text((left - _GAP, y), row, INK, font(15), anchor="rm")
    for number, (column, cells) in enumerate(columns.items()):
        x = left + number * step[0]
        draw.text((x + size[0] / 2, _HEAD - 6), column.replace("_", " "), INK, font(15), anchor="md")
        for row, (channels, colors) in cells.items():
            caption = f"{channels} channels, {colors.shape[1]} x {colors.shape[0]}"
            place(colors, x, rows.index(row) if row else 0, caption)
    return np.asarray(sheet, dtype=np.uint8)


def _columns(maps: dict[str, Tensor]) -> dict[str, dict[str, tuple[int, Bytes]]]:
    """Return column -> row -> (number of channels, map in colors); the row of a single-map column is ''."""
    split = {name: name.rpartition("_") for name in maps}
    shared = [column for column, _, _ in split.values() if column]
    columns: dict[str, dict[str, tuple[int, Bytes]]] = {}
    for name, (column, _, row) in split.items():
        if shared.count(column) < 2:
            column, row = name, ""
        columns.setdefault(column, {})[row] = (maps[name].shape[0], principal_colors(maps[name]))
    return columns


def principal_colors(features: Tensor) -> Bytes:
    """Return the first three principal components of a feature map (C, h, w) as an RGB image (h, w, 3) uint8.

    Each component is scaled from its 1st to its 99th percentile. Its sign makes the largest weight positive. If there
    are fewer than three channels, the last component is repeated.
    """
    C, h, w = features.shape
    pixels = features.double().flatten(1).T.numpy()  # (h*w, C)
    centerd = pixels - pixels.mean(axis=0)
    _, axes = np.linalg.eigh(centerd.T @ centerd)  # ascending
    axes = axes[:, ::-1][:, [min(k, C - 1) for k in range(3)]]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(3)])
    scores = centerd @ axes
    low, high = np.percentile(scores, [1, 99], axis=0)
    shades = np.clip((scores - low) / np.maximum(high - low, 1e-12), 0, 1)
    return (255 * shades).round().astype(np.uint8).reshape(h, w, 3)
