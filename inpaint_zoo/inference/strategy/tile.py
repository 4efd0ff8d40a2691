"""Fill holes by overlapping tiles whose results are blended."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inpaint_zoo.inference.strategy.windows import Tile, Window, grid

__all__ = ["FillWindow", "fill_tiles"]

FillWindow = Callable[[Tensor, Tensor], Tensor]
"""Function of an image (1, 3, h, w) in [0, 1] and a hole (1, 1, h, w) bool that returns the filled image."""


def fill_tiles(
    fill: FillWindow,
    image: Tensor,
    hole: Tensor,
    tile: tuple[int, int],
    margin: int,
    blend: int,
    *,
    coarse: Tensor | None = None,
    detail: float = 4.0,
) -> Tensor:
    """Fill the holes of an image tile by tile, beginning with the tiles in which most pixels are known.

    Each tile sees the known pixels and what earlier tiles filled. Where the inner parts of tiles overlap, every tile
    predicts the pixels again, and the result is their mean with weights that fall to 0 at the border of each inner
    part. It therefore has no steps at the borders of tiles.

    Args:
        fill: Function that fills a window.
        image: (1, 3, H, W) in [0, 1].
        hole: (1, 1, H, W) bool.
        tile: Height and width of a tile.
        margin: Context of each tile, see `windows.grid`.
        blend: Width of the blended area, see `windows.grid`.
        coarse: (1, 3, H, W) in [0, 1], a blurred filling. The tiles see it where they do not predict, and the result
            keeps its low frequencies. None for no filling.
        detail: Standard deviation in pixels of the Gaussian that separates low frequencies.

    Returns:
        (1, 3, H, W), filled. Known pixels are unchanged.
    """
    result = torch.where(hole, 0.0 if coarse is None else coarse, image)  # the hole may contain NaN
    missing = hole.clone() if coarse is None else torch.zeros_like(hole)
    weights = torch.zeros_like(hole, dtype=torch.float32)
    tiles = grid((image.shape[-2], image.shape[-1]), tile, margin, blend)
    left = [each for row in tiles for each in row if bool(_part(hole, each.inner).any())]
    open_pixels = {each: _unfilled(each, hole, weights) for each in left}
    while left:
        current = min(left, key=lambda each: (open_pixels[each], each.window))
        left.remove(current)
        _fill_tile(fill, current, result, hole, missing, weights, None if coarse is None else (coarse, detail))
        for each in left:
            if each.window.overlaps(current.window):
                open_pixels[each] = _unfilled(each, hole, weights)
    return result


def _part(x: Tensor, window: Window) -> Tensor:
    rows, columns = window.slices
    return x[..., rows, columns]


def _unfilled(tile: Tile, hole: Tensor, weights: Tensor) -> int:
    """Return the number of hole pixels in a tile's window that no tile has filled."""
    return int((_part(hole, tile.window) & (_part(weights, tile.window) == 0)).sum())


def _fill_tile(
    fill: FillWindow,
    tile: Tile,
    result: Tensor,
    hole: Tensor,
    missing: Tensor,
    weights: Tensor,
    coarse: tuple[Tensor, float] | None,
) -> None:
    """Fill a tile in place: ``result``, ``missing`` (hole without any content) and ``weights`` (sum of the weights)."""
    inner = tile.inner.within(tile.window)
    unknown = _part(missing, tile.window).clone()
    target = _part(hole, tile.inner)
    outer = _outer(tile, inner)
    _part(unknown, outer).copy_(_part(_part(hole, tile.window), outer))
    filled = fill(_part(result, tile.window), unknown)
    new = _part(filled, inner)
    if coarse is not None:
        new = _with_low_frequencies(new, _part(coarse[0], tile.inner), target, coarse[1])
    weight = _ramp(tile) * target
    total = _part(weights, tile.inner) + weight
    old = _part(result, tile.inner)
    old.copy_(torch.where(target, old + (new - old) * (weight / total.clamp_min(1e-12)), old))
    _part(weights, tile.inner).copy_(total)
    _part(missing, tile.inner).logical_and_(~target)


def _outer(tile: Tile, inner: Window) -> Window:
    """Return the part of a tile that its network predicts, in the tile's coordinates.

    It extends halfway from the inner part to the border of the tile, because networks predict least well at the border
    of a hole. What they predict there is not used.
    """
    height, width = tile.window.height, tile.window.width
    return Window(
        inner.top - inner.top // 2,
        inner.left - inner.left // 2,
        inner.bottom + (height - inner.bottom) // 2,
        inner.right + (width - inner.right) // 2,
    )


def _ramp(tile: Tile) -> Tensor:
    """Return the weights (h, w) of a tile's inner part, above 0 and at most 1."""
    top, left, bottom, right = tile.blend
    rows = _slope(tile.inner.height, top, bottom)
    return rows[:, None] * _slope(tile.inner.width, left, right)


def _slope(length: int, before: int, after: int) -> Tensor:
    places = torch.arange(length, dtype=torch.float32) + 0.5
    rise = (places / before).clamp(max=1) if before else torch.ones(length)
    fall = ((length - places) / after).clamp(max=1) if after else torch.ones(length)
    linear = rise * fall
    return linear.square() * (3 - 2 * linear)  # also without a step in its derivative


def _with_low_frequencies(new: Tensor, coarse: Tensor, target: Tensor, sigma: float) -> Tensor:
    """Return ``new`` with the low frequencies of ``coarse``, compared where ``target`` is True."""
    wanted = target[0, 0].float().numpy()
    difference = ((coarse - new) * target)[0].permute(1, 2, 0).contiguous().numpy()
    low = _blur(difference, sigma) / np.maximum(_blur(wanted, sigma), 1e-6)[..., None]
    return (new + torch.from_numpy(low).permute(2, 0, 1)[None]).clamp(0, 1)


def _blur(values: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    import cv2

    blurred = cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, np.float32)
