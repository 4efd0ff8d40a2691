"""Draw `gallery.png` for READMEs and slides: a few images, masked, filled by each method, and the ground truth."""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import Image, ImageDraw, ImageFont

from inpaint_zoo.benchmark.report.gallery import masked_rgb, read_hole, read_rgb
from inpaint_zoo.benchmark.report.run_folder import Run

__all__ = ["CELL", "COLUMNS", "GAP", "HEAD", "SIDE", "sheet"]

COLUMNS = 9  # tiles beside each other; the others follow in lines below
LINES = 4  # a larger sheet is unreadable; the page shows all images
CELL, GAP, HEAD, SIDE = 200, 8, 30, 26  # px: side of a tile, distance, height of the titles, width of the masks' names
_PAPER, _INK = "#fbfaf7", "#1d1d1f"


def sheet(run: Run) -> bytes | None:
    """Draw the sheet: the first images, cycling through the mask sets, each with the results of all methods.

    Returns:
        A PNG file, or None if no images were kept.
    """
    titles = ["masked", *run.methods, "ground truth"]
    columns = min(COLUMNS, len(titles))
    lines = -(-len(titles) // columns)  # of one image
    scenes = list(_scenes(run))[: max(2, LINES // lines)]
    if not scenes:
        return None
    width, banner = SIDE + columns * (CELL + GAP), HEAD if run.stamp else 0
    canvas = Image.new("RGB", (width, banner + len(scenes) * lines * (HEAD + CELL + GAP)), _PAPER)
    draw = ImageDraw.Draw(canvas)
    if banner:
        draw.rectangle((0, 0, width, banner), _INK)
        draw.text((width / 2, banner / 2), run.stamp, _PAPER, _font(_fitting(run.stamp, width)), anchor="mm")
    for row, (dataset, mask, number) in enumerate(scenes):
        top = banner + row * lines * (HEAD + CELL + GAP)
        label = Image.new("RGB", (CELL, SIDE), _PAPER)
        ImageDraw.Draw(label).text((CELL / 2, SIDE / 2), mask, _INK, _font(13), anchor="mm")
        canvas.paste(label.rotate(90, expand=True), (0, top + HEAD))
        target = read_rgb(run.target_file(dataset, number))
        results = [run.result_file((method, dataset, mask), number) for method in run.methods]
        filled = [None if file is None else read_rgb(file) for file in results]
        masked = masked_rgb(target, read_hole(run.mask_file(dataset, mask, number)))
        images = [masked, *filled, target]
        for place, (title, image) in enumerate(zip(titles, images, strict=True)):
            x = SIDE + place % columns * (CELL + GAP)
            y = top + place // columns * (HEAD + CELL + GAP)
            draw.text((x + CELL / 2, y + HEAD / 2), title, _INK, _font(15), anchor="mm")
            if image is not None:
                tile = Image.fromarray(image)
                tile.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
                canvas.paste(tile, (x, y + HEAD))
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _scenes(run: Run) -> Iterator[tuple[str, str, int]]:
    """Yield (dataset, mask set, position): each source image once, cycling through the mask sets."""
    turn = 0
    for dataset in run.datasets:
        masks = [mask for name, mask in run.tables if name == dataset]
        groups = list(run.image_groups(dataset).values())
        seen: set[str | int] = set()
        for number in run.gallery_numbers(dataset):
            group = groups[number] if number < len(groups) else number
            mask = masks[turn % len(masks)]
            if group not in seen and run.mask_file(dataset, mask, number).is_file():
                seen.add(group)
                turn += 1
                yield dataset, mask, number


def _fitting(text: str, width: int) -> int:
    """Return the largest font size, at most 17, at which a text fits into a width in pixels."""
    whole = ImageDraw.Draw(Image.new("RGB", (1, 1))).textlength(text, _font(17))
    return max(1, min(17, int(17 * (width - 2 * GAP) / whole)))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)
