"""Compare masks: hole ratios, where the holes are, the amount of edges; contact sheets and histograms with Pillow.

Source: docs/papers/masks.md, "Statistics".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from inpaint_zoo.masks.kind import Mask
from inpaint_zoo.random import Floats

__all__ = ["Measures", "contact_sheet", "histogram", "measure", "summarize"]

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_PAPER, _INK, _FAINT, _BAR = (255, 255, 255), (32, 33, 36), (218, 220, 224), (66, 103, 178)
_KNOWN, _HOLE = (214, 219, 226), (32, 33, 36)
_GAP = 12
_CAPTION = 22


@dataclass(frozen=True)
class Measures:
    """Statistics of N masks; each attribute is an array (N,).

    Attributes:
        ratio: Share of hole pixels in [0, 1].
        center: Share of hole pixels inside the centered rectangle of half the height and half the width.
        border: Share of hole pixels outside that rectangle.
        edge: Number of differing pairs of adjacent pixels (horizontal and vertical) per pixel; thin shapes have more.
        width: Mean width of the holes, relative to the side of the image (the square root of its area): two hole pixels
            for each differing pair. It is the width of a long line, and half the side of a square. NaN without an edge.
    """

    ratio: Floats
    center: Floats
    border: Floats
    edge: Floats
    width: Floats


def measure(batches: Iterable[Mask]) -> Measures:
    """Measure batches of masks (B, H, W); the size may differ between batches."""
    columns = [_measure(batch) for batch in batches]
    return Measures(*(np.concatenate(parts) for parts in zip(*columns, strict=True)))


def _measure(masks: Mask) -> tuple[Floats, ...]:
    H, W = masks.shape[1:]
    inner = masks[:, H // 4 : 3 * H // 4, W // 4 : 3 * W // 4]
    area = inner.shape[1] * inner.shape[2]
    total = np.array([_holes(mask) for mask in masks])
    inside = np.array([_holes(mask) for mask in inner])
    flips = np.array([_flips(mask[1:], mask[:-1]) + _flips(mask[:, 1:], mask[:, :-1]) for mask in masks])
    pixels = H * W
    width = 2 * total / np.where(flips, flips, np.nan) / math.sqrt(pixels)
    return total / pixels, inside / max(area, 1), (total - inside) / max(pixels - area, 1), flips / pixels, width


def _holes(mask: Mask) -> int:
    """Return the number of hole pixels; OpenCV counts them five times as fast as numpy."""
    import cv2

    return cv2.countNonZero(mask) if mask.size else 0


def _flips(mask: Mask, shifted: Mask) -> int:
    """Return the number of pixels that differ."""
    import cv2

    return cv2.countNonZero(cv2.bitwise_xor(mask, shifted)) if mask.size else 0


def summarize(measures: Measures) -> dict[str, float]:
    """Return a table row: mean, std (n - 1), min, quantiles, max, c, b, edge, and shares of empty and full masks."""
    ratio = measures.ratio
    quantiles = zip(_QUANTILES, np.quantile(ratio, _QUANTILES).tolist(), strict=True)
    return {
        "mean": float(ratio.mean()),
        "std": float(ratio.std(ddof=1)) if len(ratio) > 1 else 0.0,
        "min": float(ratio.min()),
        **{f"{100 * q:g}%": value for q, value in quantiles},
        "max": float(ratio.max()),
        "c": float(measures.center.mean()),
        "b": float(measures.border.mean()),
        "edge": float(measures.edge.mean()),
        "empty": float((ratio == 0).mean()),
        "all hole": float((ratio == 1).mean()),
    }


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def contact_sheet(masks: Sequence[Mask], captions: Sequence[str], title: str, cell: int = 256) -> Image.Image:
    """Return a roughly square grid of masks with dark holes and a caption below each mask.

    Args:
        masks: Masks (H, W) of any sizes. Large ones are shrunk to fit a cell, small ones enlarged by whole factors.
        captions: One line for each mask.
        title: The line at the top.
        cell: Longest side of a mask on the sheet in pixels. If it divides the masks' size, thin lines show no moiré.
    """
    columns = math.ceil(math.sqrt(len(masks)))
    rows = math.ceil(len(masks) / columns)
    tiles = [_tile(mask, cell) for mask in masks]
    height = max(tile.height for tile in tiles)
    head = 40
    width = max(columns * (cell + _GAP) + _GAP, int(_font(16).getlength(title)) + 2 * _GAP)
    sheet = Image.new("RGB", (width, head + rows * (height + _CAPTION + _GAP)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, _GAP), title, _INK, _font(16))
    for k, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        x = _GAP + k % columns * (cell + _GAP)
        y = head + k // columns * (height + _CAPTION + _GAP)
        sheet.paste(tile, (x + (cell - tile.width) // 2, y + height - tile.height))
        draw.text((x + cell // 2, y + height + 4), _shorten(caption, cell), _INK, _font(12), anchor="ma")
    return sheet


def _tile(mask: Mask, cell: int) -> Image.Image:
    colors = np.array([_KNOWN, _HOLE], dtype=np.uint8)[mask]
    image = Image.fromarray(colors)
    H, W = mask.shape
    if max(H, W) <= cell:
        factor = cell // max(H, W)
        return image.resize((W * factor, H * factor), Image.Resampling.NEAREST)
    scale = cell / max(H, W)
    return image.resize((max(1, round(W * scale)), max(1, round(H * scale))), Image.Resampling.BOX)


def _shorten(text: str, width: int) -> str:
    font = _font(12)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[1:]
    return "…" + text


def histogram(ratios: Floats, title: str, bins: int = 20) -> Image.Image:
    """Return a bar chart of the distribution of hole ratios (N,) in [0, 1], from 0 to 100 %."""
    width, height, left, bottom, top = 760, 380, 56, 48, 64
    image = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((left, 12), title, _INK, _font(16))
    counts, _ = np.histogram(ratios, bins=bins, range=(0, 1))
    shares = counts / len(ratios)
    span = (width - left - 20) / bins
    floor, room = height - bottom, height - bottom - top
    most = max(float(shares.max()), 1e-9)
    for tick in (0, 0.5, 1):
        y = floor - tick * room
        draw.line((left, y, width - 20, y), _FAINT if tick else _INK)
        draw.text((left - 8, y), f"{100 * tick * most:.1f} %", _INK, _font(11), anchor="rm")
    for k, share in enumerate(shares.tolist()):
        if share:
            x = left + k * span
            draw.rectangle((x + 1, floor - room * share / most, x + span - 1, floor - 1), _BAR)
    for percent in range(0, 101, 10):
        x = left + percent / 100 * bins * span
        draw.text((x, floor + 6), f"{percent}", _INK, _font(11), anchor="ma")
    draw.text((left + bins * span / 2, floor + 24), "hole ratio in %", _INK, _font(12), anchor="ma")
    mean = float(ratios.mean())
    x = left + mean * bins * span
    draw.line((x, top - 8, x, floor), _INK, 2)
    draw.text((x, top - 10), f"mean {100 * mean:.1f} %", _INK, _font(12), anchor="mb")
    return image
