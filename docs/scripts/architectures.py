"""Draw docs/figures/<model>.svg: the blocks of a network with the shapes of their outputs, as they run on an image.

Run it from the root of the repository after a change of a network: python docs/scripts/architectures.py
"""

from __future__ import annotations

import math
import sys
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import torch

import inpaint_zoo as iz

sys.path.insert(0, str(Path(__file__).parent))
from dataflow import MASK, TIMES, Block, trace

FIGURES = Path(__file__).parents[1] / "figures"
COLORS = ("#4a67b5", "#2f8f83", "#d0803a", "#8a5aa8", "#b5495b", "#6b7f2a", "#3a86b8", "#8c6d46")
INK, FAINT, PAPER = "#1f2430", "#6a7180", "#ffffff"
WIDTH, ROW, TOP = 780, 22, 34
ARCS, BARS, TEXT, SHAPE, COUNT = 112, 150, 280, 640, 768  # x: arcs end, widest bar, and the columns of text


class Figure(NamedTuple):
    """How a network is drawn.

    Attributes:
        opened: Classes whose parts are shown instead of them.
        size: Height and width of the image in pixels.
        options: Options of `predict`.
    """

    opened: tuple[str, ...] = ()
    size: int = 256
    options: dict[str, Any] = {}  # noqa: RUF012  # never changed


NETWORKS = {
    "aot_gan": Figure(),
    "autoencoder": Figure(),
    "context_encoder": Figure(size=128),
    "contextual_attention": Figure(("CoarseStage", "FineStage")),
    "gated_conv": Figure(),
    "grig": Figure(options={"steps": 1}),
    "isnet": Figure(("Phase",)),
    "lama": Figure(),
    "lgnet": Figure(("UNet", "LocalResNet")),
    "partial_conv": Figure(),
}


def count(number: int) -> str:
    """Return a number of parameters in a short form."""
    for unit, name in ((10**6, "M"), (10**3, "k")):
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return str(number) if number else ""


def lanes(edges: list[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Return for each edge a lane in which it meets no other edge, short edges first."""
    taken: list[list[tuple[int, int]]] = []
    found = {}
    for start, end in sorted(edges, key=lambda edge: (edge[1] - edge[0], edge)):
        lane = next((n for n, others in enumerate(taken) if all(end <= a or start >= b for a, b in others)), len(taken))
        if lane == len(taken):
            taken.append([])
        taken[lane].append((start, end))
        found[start, end] = lane
    return found


def text(x: float, y: float, content: str, style: str = "") -> str:
    """Return one line of text."""
    return f'<text x="{x:g}" y="{y:g}" {style}>{escape(content)}</text>'


def bar(side: int, size: int) -> float:
    """Return the width of the bar for a feature map of a height, relative to that of the image."""
    return 14 + (BARS - 14) * math.log2(side + 1) / math.log2(size + 1)


def draw(name: str, blocks: list[Block], size: int) -> str:
    """Return the figure of a network as SVG."""
    takes_mask = any(MASK in block.sources for block in blocks)
    title, channels = ("image with hole, mask", 4) if takes_mask else ("image with hole", 3)
    rows = [Block("", "", title, "", ((channels, size, size),), 0), *blocks]
    colors = {kind: COLORS[n % len(COLORS)] for n, kind in enumerate(dict.fromkeys(block.kind for block in blocks))}
    middle, y, places, body = ARCS + BARS / 2, TOP, [], []
    for index, block in enumerate(rows):
        if index and block.group != rows[index - 1].group:
            y += ROW
            body.append(text(TEXT, y + 4, block.group.replace("nets.", ""), f'fill="{FAINT}" font-style="italic"'))
        y += ROW
        places.append(y)
        # feature maps of other sizes are drawn inside the first one
        for depth, (_, side, _) in enumerate(block.shapes):
            width, fill = bar(side, size), colors.get(block.kind, FAINT)
            body.append(
                f'<rect x="{middle - width / 2:g}" y="{y - 7 + 3 * depth}" width="{width:g}" height="{14 - 6 * depth}" '
                f'rx="3" fill="{fill}"' + (f' stroke="{PAPER}"/>' if depth else "/>")
            )
        times = f" {TIMES} {block.times}" if block.times > 1 else ""
        label = f'<tspan font-weight="600">{escape(block.kind)}{times}</tspan>'
        detail = f'<tspan fill="{FAINT}" dx="8">{escape(block.detail)}</tspan>' if block.detail else ""
        body.append(f'<text x="{TEXT}" y="{y + 4}">{label}{detail}</text>')
        shape = " + ".join(f" {TIMES} ".join(map(str, shape)) for shape in block.shapes)
        body.append(text(SHAPE, y + 4, shape, 'text-anchor="end"'))
        body.append(text(COUNT, y + 4, count(block.parameters), f'text-anchor="end" fill="{FAINT}"'))
    body = [*arrows(rows, places, size), *body]
    height = y + ROW
    head = text(TEXT, 18, name, 'font-weight="600"') + text(SHAPE, 18, "output", f'text-anchor="end" fill="{FAINT}"')
    head += text(COUNT, 18, "parameters", f'text-anchor="end" fill="{FAINT}"')
    total = count(sum(block.parameters for block in blocks))
    lines = "\n".join([head, *body])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="{INK}" role="img">\n'
        f"<title>{name}: {len(blocks)} blocks, {total} parameters</title>\n"
        f'<rect width="{WIDTH}" height="{height}" fill="{PAPER}"/>\n{lines}\n</svg>\n'
    )


def arrows(rows: list[Block], places: list[int], size: int) -> list[str]:
    """Return the lines from each block to those that read it; the input is row 0."""
    edges = sorted({(max(source + 1, 0), row) for row, block in enumerate(rows) for source in block.sources})
    lane = lanes([edge for edge in edges if edge[1] - edge[0] > 1])
    middle = ARCS + BARS / 2
    drawn = []
    for start, end in edges:
        above, below = places[start], places[end]
        if end - start == 1:
            drawn.append(f'<path d="M{middle:g} {above + 7}V{below - 7}" stroke="{INK}" stroke-width="1.5"/>')
            continue
        x = ARCS - 8 - 9 * lane[start, end]
        left, right = (middle - bar(rows[row].shapes[0][1], size) / 2 for row in (start, end))
        up, down = above + 3, below - 3
        path = f"M{left:g} {up}H{x + 5}Q{x} {up} {x} {up + 5}V{down - 5}Q{x} {down} {x + 5} {down}H{right:g}"
        tip = f"M{right - 4:g} {below - 6}L{right:g} {below - 3}L{right - 4:g} {below}"
        drawn.append(f'<path d="{path}{tip}" fill="none" stroke="{FAINT}"/>')
    return drawn


def blocks_of(name: str) -> list[Block]:
    """Return the blocks of a network in the order in which they run."""
    figure = NETWORKS[name]
    with torch.device("meta"):
        net = iz.create_model(name)
    return trace(net.to("meta").eval(), figure.size, set(figure.opened), **figure.options)


def figure_of(name: str) -> str:
    """Return the figure of a network as SVG."""
    return draw(name, blocks_of(name), NETWORKS[name].size)


if __name__ == "__main__":
    FIGURES.mkdir(exist_ok=True)
    for network in NETWORKS:
        (FIGURES / f"{network}.svg").write_text(figure_of(network), encoding="utf-8")
