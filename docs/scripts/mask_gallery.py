"""Draw docs/figures/masks_<section>.png: every mask generator that needs no files, at several hole ratios.

Each row shows masks of one generator at 256 px, from the smallest to the largest hole among the first masks of seed 0.
Run it from the root of the repository after a change of the masks: python docs/scripts/mask_gallery.py
It also writes the list of figures into docs/mask_gallery.md.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import inpaint_zoo as iz
from inpaint_zoo.io.drawing import font
from inpaint_zoo.masks import mask_info

DOCS = Path(__file__).parents[1]
PAGE = DOCS / "mask_gallery.md"
SIZE, TILE, GAP, LEFT, LABEL = 256, 128, 10, 190, 18
COLUMNS, CANDIDATES, ZOOM = 6, 48, 4
PAPER, INK, FAINT, HOLE, KNOWN = 255, 32, 110, 250, 60


def candidates(name: str) -> np.ndarray:
    """Return the different masks among the first ones of a generator, by their hole ratios: (N, 256, 256) uint8."""
    size = (512, 512) if name.endswith("_512") else (SIZE, SIZE)
    masks = iz.create_generator(name, seed=0).batch(range(CANDIDATES), size)
    different = np.stack(list({mask.tobytes(): mask for mask in np.asarray(masks)}.values()))
    return different[np.argsort(different.mean((1, 2)), kind="stable")]


def chosen(name: str) -> list[np.ndarray]:
    """Return masks of a generator, evenly spread over its hole ratios."""
    masks = candidates(name)
    places = np.unique(np.linspace(0, len(masks) - 1, COLUMNS).round().astype(int))
    return [masks[place] for place in places]


def tile(mask: np.ndarray) -> Image.Image:
    """Return a mask as it is shown: hole white, known pixels dark, scaled down by means."""
    step = mask.shape[0] // TILE
    share = mask.reshape(TILE, step, TILE, step).mean((1, 3))
    if ((share > 0) & (share < 1)).mean() > 0.5:  # a pattern that would be a gray area: its first pixels, enlarged
        share = mask[: TILE // ZOOM, : TILE // ZOOM].repeat(ZOOM, 0).repeat(ZOOM, 1)
    return Image.fromarray((KNOWN + (HOLE - KNOWN) * share).round().astype(np.uint8))


def sheet(names: list[str]) -> Image.Image:
    """Return the figure of some generators, one row each."""
    row = TILE + LABEL + GAP
    image = Image.new("L", (LEFT + COLUMNS * (TILE + GAP), len(names) * row + GAP), PAPER)
    draw = ImageDraw.Draw(image)
    for number, name in enumerate(names):
        y = GAP + number * row
        draw.text((GAP, y + TILE // 2 - 8), name, INK, font(15))
        for column, mask in enumerate(chosen(name)):
            x = LEFT + column * (TILE + GAP)
            image.paste(tile(mask), (x, y))
            draw.text((x, y + TILE + 2), f"{mask.mean():.1%} hole", FAINT, font(12))
    levels = image.point([round(value / 17) for value in range(256)])  # sixteen gray levels
    levels.putpalette([gray for level in range(16) for gray in [17 * level] * 3])
    return levels


def sections() -> dict[str, list[str]]:
    """Return the generators without files, by the section of docs/papers/masks.md that describes them."""
    found: dict[str, list[str]] = {}
    for name in iz.list_masks():
        found.setdefault(mask_info(name).section, []).append(name)
    return found


def file_name(section: str) -> str:
    """Return the name of a section's figure."""
    return "masks_" + re.sub(r"\W+", "_", section.lower()) + ".png"


def listing() -> str:
    """Return the Markdown with all figures."""
    parts = []
    for section, names in sections().items():
        rows = "\n".join(f"| `{name}` | {mask_info(name).summary} |" for name in names)
        link = "papers/masks.md#" + re.sub(r"[^\w -]", "", section.lower()).replace(" ", "-")
        table = f"| mask | description |\n| --- | --- |\n{rows}\n"
        figure = f"![Masks: {', '.join(names)}](figures/{file_name(section)})"
        parts.append(f"## {section}\n{table}\n{figure}\n\n[How they are made]({link})\n")
    return "\n".join(parts)


if __name__ == "__main__":
    for title, generators in sections().items():
        sheet(generators).save(DOCS / "figures" / file_name(title), bits=4, optimize=True)
    head, _, rest = PAGE.read_text(encoding="utf-8").partition("<!-- masks -->\n")
    end = "<!-- /masks -->"
    PAGE.write_text(f"{head}<!-- masks -->\n{listing()}{end}{rest.partition(end)[2]}", encoding="utf-8")
