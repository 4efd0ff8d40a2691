"""Fill large holes at the resolution that a network was trained on, then add detail at each larger resolution."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from inpaint_zoo.inference.strategy.tile import FillWindow, fill_tiles

__all__ = ["Level", "Refine", "fill_coarse_to_fine", "level_sizes"]


class Refine(Protocol):
    """Function that fills a level by optimizing features, see `refine.Refiner`."""

    def __call__(self, image: Tensor, hole: Tensor, coarse: Tensor) -> Tensor | None:
        """Return the filled image (1, 3, h, w), or None if it does not fit into the memory."""


class Level(NamedTuple):
    """An image and its hole at one resolution: (1, 3, h, w) in [0, 1] and (1, 1, h, w) bool."""

    image: Tensor
    hole: Tensor


def level_sizes(size: tuple[int, int], longest: int) -> list[tuple[int, int]]:
    """Return the sizes of all levels, smallest first, each about twice the one before; the last one is ``size``.

    Args:
        size: Height and width of the image.
        longest: Maximum height and width of the smallest level.

    Example:
        >>> level_sizes((1000, 600), 256)
        [(250, 150), (500, 300), (1000, 600)]
    """
    sizes = [size]
    while max(sizes[0]) > longest and min(sizes[0]) >= 32:
        sizes.insert(0, (-(-sizes[0][0] // 2), -(-sizes[0][1] // 2)))
    return sizes


def shrunk(level: Level, size: tuple[int, int]) -> Level:
    """Return a level at a smaller size: means of the known pixels. A pixel that covers a hole pixel is hole."""
    known = (~level.hole).float()
    weight = F.interpolate(known, size, mode="area")
    mean = F.interpolate(torch.where(level.hole, 0.0, level.image), size, mode="area") / weight.clamp_min(1e-6)
    hole = F.interpolate(1 - known, size, mode="area") > 0
    return Level(mean.clamp(0, 1), hole)


def fill_coarse_to_fine(
    fill: FillWindow,
    image: Tensor,
    hole: Tensor,
    longest: int,
    tile: tuple[int, int],
    margin: int,
    blend: int,
    refine: Refine | None = None,
) -> Tensor:
    """Fill an image from its smallest level to its full size.

    The smallest level is filled in one piece. Each further level begins with the enlarged result of the level before.
    Tiles then predict the hole again and see that result around them. The level keeps the low frequencies of the level
    before, so structures stay where they are, and takes its details from the tiles.

    Args:
        fill: Function that fills a window.
        image: (1, 3, H, W) in [0, 1].
        hole: (1, 1, H, W) bool.
        longest: Maximum height and width of the smallest level.
        tile: Height and width of a tile.
        margin: See `fill_tiles`.
        blend: See `fill_tiles`.
        refine: Function that fills a level instead of tiles, as long as it returns a result.

    Returns:
        (1, 3, H, W), filled. Known pixels are unchanged.
    """
    size = (image.shape[-2], image.shape[-1])
    levels = [Level(image, hole)]
    for smaller in reversed(level_sizes(size, longest)[:-1]):
        levels.insert(0, shrunk(levels[0], smaller))
    small = max(levels[0].image.shape[-2:]) <= longest  # not if the image is long and narrow
    result = fill(*levels[0]) if small else fill_tiles(fill, *levels[0], tile, margin, blend)
    for level in levels[1:]:
        coarse = F.interpolate(result, level.image.shape[-2:], mode="bicubic", align_corners=False).clamp(0, 1)
        refined = refine(*level, result) if refine else None
        if refined is None:
            refine = None  # larger levels do not fit either
            refined = fill_tiles(fill, *level, tile, margin, blend, coarse=coarse)
        result = refined
    return result
