"""Rows of small images for the report: the stages of networks, and the spectra of results."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inpaint_zoo.benchmark.report.gallery import QUALITY, read_rgb
from inpaint_zoo.benchmark.report.run_folder import Run
from inpaint_zoo.benchmark.report.typography import MINUS

__all__ = ["Strip", "Tile", "data_uri", "stage_strips", "within_budget"]

BUDGET = 12_000_000  # characters of the images of one section; further images stay in the folder
SIDE = 384  # px; larger images are shown smaller


@dataclass(frozen=True)
class Tile:
    """One image: its data URI, its title, and what its gray values mean."""

    image: str
    title: str
    caption: str = ""


@dataclass(frozen=True)
class Strip:
    """A row of images.

    Attributes:
        dataset, mask: Labels.
        image: Key of the image.
        method: Label of the method; empty if the row shows several.
        tiles: The images.
    """

    dataset: str
    mask: str
    image: str
    method: str
    tiles: tuple[Tile, ...]


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """Return an image (H, W) or (H, W, 3) as WebP, at most SIDE px wide and high."""
    image = Image.fromarray(pixels)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=QUALITY, method=4)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def within_budget(strips: Iterable[Strip]) -> list[Strip]:
    """Return rows until their images exceed BUDGET."""
    spent = 0
    found = []
    for strip in strips:
        found.append(strip)
        spent += sum(len(tile.image) for tile in strip.tiles)
        if spent > BUDGET:
            break
    return found


def stage_strips(run: Run) -> list[Strip]:
    """Return the stages of the methods that the suite names, for each image of the gallery, until BUDGET is spent."""
    return within_budget(_stages(run))


def _stages(run: Run) -> Iterator[Strip]:
    for dataset, mask in run.tables:
        for number, image in run.gallery_keys(dataset).items():
            for method in run.suite.get("gallery", {}).get("stages", ()):
                cell = (method, dataset, mask)
                result = run.result_file(cell, number)
                folder = run.folder / "cells" / run.cells[cell][0] / "stages" if cell in run.cells else None
                if result is None or folder is None or not (folder / "stages.json").is_file():
                    continue
                files = json.loads((folder / "stages.json").read_text(encoding="utf-8")).get(str(number), [])
                if files:
                    tiles = tuple(_tile(each, data_uri(read_rgb(folder / each["file"]))) for each in files)
                    yield Strip(dataset, mask, image, method, tiles)


def _tile(described: Mapping[str, Any], image: str) -> Tile:
    scale = described["scale"]
    if scale is None:
        return Tile(image, described["name"])
    return Tile(image, f"{described['name']}: change", f"gray: none; white: +{scale:g}; black: {MINUS}{scale:g}")
