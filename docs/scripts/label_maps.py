"""Draw docs/label_maps.png: masks, and what each kind of label map makes of them.

Run it from the root of the repository after a change of a label map: python docs/scripts/label_maps.py [FILE.png]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

import inpaint_zoo as iz
from inpaint_zoo.io.drawing import font
from inpaint_zoo.losses import mask_to_logits, soft_label

SIDE = 256  # of the masks
ROWS = {  # title: what `create_mask` takes, and how many pixels of the mask are shown
    "thick strokes": ({"name": "lama_thick_256", "seed": 2}, SIDE),
    "thin strokes": ({"name": "lama_thin_256", "seed": 1}, SIDE),
    **{f"NearestNeighbor {n}": ({"name": "nearest_neighbor", "scale": n}, 38) for n in (2, 3, 4)},
    **{f"EveryNLines {n}": ({"name": "every_n_lines", "n": n, "direction": "vertical"}, 38) for n in (2, 3, 4)},
}
PAPER, INK, FAINT = 255, 32, 96
TILE, GAP, HEAD, LEFT, FOOT = 152, 12, 52, 150, 18  # 152 = 4 x 38 = 8 x 19


def label_maps(mask: Tensor) -> dict[str, Tensor]:
    """Return the label maps of a mask (1, 1, 256, 256) by title."""
    lama = iz.create_discriminator("lama", width=1)
    grig = iz.create_discriminator("patchgan70", width=1)
    with torch.no_grad():
        logits = lama(mask.expand(-1, 3, -1, -1))
    return {
        "nearest\nLaMa": mask_to_logits(mask, logits, "nearest"),
        "max\n": mask_to_logits(mask, logits, "max"),
        "area\nGLaMa": mask_to_logits(mask, logits, "area"),
        "coverage\nfields of 142 px": mask_to_logits(mask, logits, "coverage", lama),
        "forged\nGRIG": grig.label_map(mask),
        "soft\nAOT-GAN": soft_label(mask),
    }


def tile(row: int, column: int, values: Tensor) -> Image.Image:
    """Return a map (1, 1, h, w) in [0, 1] as a square: 1 is white. Small maps are enlarged by repetition."""
    if column == 0:  # the mask
        shown = [*ROWS.values()][row][1]
        values = values[..., :shown, :shown]
    gray = Image.fromarray((values[0, 0].clamp(0, 1) * 255).round().to(torch.uint8).numpy())
    how = Image.Resampling.NEAREST if gray.width <= TILE else Image.Resampling.BOX
    return gray.resize((TILE, TILE), how)


def place(row: int, column: int) -> tuple[int, int]:
    """Return the left and upper edge of a tile."""
    return LEFT + column * (TILE + GAP), HEAD + row * (TILE + FOOT + GAP)


def tiles() -> dict[str, dict[str, Tensor]]:
    """Return the maps of the figure: rows by title, each with its columns by title."""
    rows = {}
    for title, (arguments, _) in ROWS.items():
        pixels = iz.create_mask(size=(SIDE, SIDE), **arguments)
        mask = torch.from_numpy(pixels.astype(np.float32))[None, None]
        rows[title] = {"mask\n1 = hole, white": mask, **label_maps(mask)}
    return rows


def draw() -> Image.Image:
    """Return the whole figure."""
    rows = tiles()
    titles = [*next(iter(rows.values()))]
    canvas = Image.new("L", place(len(rows), len(titles)), PAPER)
    pen = ImageDraw.Draw(canvas)
    for column, title in enumerate(titles):
        x = place(0, column)[0] + TILE / 2
        name, note = title.split("\n")
        pen.text((x, 16), name, INK, font(16), anchor="mm")
        pen.text((x, 36), note, FAINT, font(13), anchor="mm")
    for row, (title, columns) in enumerate(rows.items()):
        middle = place(row, 0)[1] + TILE / 2
        pen.text((4, middle - 12), title, INK, font(15), anchor="lm")
        shown = ROWS[title][1]
        part = "whole mask" if shown == SIDE else f"mask: {shown} of {SIDE} px"
        pen.text((4, middle + 10), part, FAINT, font(12), anchor="lm")
        for column, values in enumerate(columns.values()):
            x, y = place(row, column)
            canvas.paste(tile(row, column, values), (x, y))
            pen.rectangle((x - 1, y - 1, x + TILE, y + TILE), outline=FAINT)
            text = f"mean {values.mean():.2f}"
            if column:
                text += f", {values.min():.2f} to {values.max():.2f}"
            pen.text((x + TILE / 2, y + TILE + FOOT / 2), text, FAINT, font(12), anchor="mm")
    return canvas


if __name__ == "__main__":
    file = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1] / "label_maps.png")
    draw().save(file, optimize=True)
