"""Windows of an image: one around each hole, or a grid of overlapping tiles."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tile", "Window", "around", "grid", "hole_depth", "hole_windows"]

BLOCK = 16  # holes are grouped on a grid of blocks of this size in pixels
MAX_PAIRS = 400  # number of groups up to which all pairs are considered for merging


class Window(NamedTuple):
    """A rectangle of an image: rows [top, bottom) and columns [left, right)."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns as slices."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def union(self, other: Window) -> Window:
        """Return the smallest window that contains both."""
        return Window(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )

    def overlaps(self, other: Window) -> bool:
        """Return whether both have a pixel in common."""
        rows = self.top < other.bottom and other.top < self.bottom
        return rows and self.left < other.right and other.left < self.right

    def within(self, outer: Window) -> Window:
        """Return the window in the coordinates of a window that contains it."""
        return Window(self.top - outer.top, self.left - outer.left, self.bottom - outer.top, self.right - outer.left)


class Tile(NamedTuple):
    """A tile of a grid.

    Attributes:
        window: What the network sees.
        inner: What is taken from its prediction; the inner windows of neighboring tiles overlap by the blend.
        blend: Width of the blend at the top, left, bottom and right in pixels; 0 at borders of the image.
    """

    window: Window
    inner: Window
    blend: tuple[int, int, int, int]


def around(box: Window, context: int, least: int, multiple: int, size: tuple[int, int]) -> Window:
    """Return the window around a hole, inside an image.

    Args:
        box: Bounding box of the hole.
        context: Number of known pixels on each side.
        least: Minimum height and width, where the image is large enough.
        multiple: Height and width become multiples of this number, where the image is large enough.
        size: Height and width of the image.
    """
    rows = _stretch(box.top - context, box.bottom + context, least, multiple, size[0])
    columns = _stretch(box.left - context, box.right + context, least, multiple, size[1])
    return Window(rows[0], columns[0], rows[1], columns[1])


def _stretch(start: int, stop: int, least: int, multiple: int, length: int) -> tuple[int, int]:
    extent = min(math.ceil(max(stop - start, least) / multiple) * multiple, length)
    first = (start + stop - extent) // 2
    first = min(max(first, 0), length - extent)
    return first, first + extent


def hole_windows(hole: NDArray[np.bool_], near: int) -> list[tuple[Window, NDArray[np.bool_]]]:
    """Return the bounding boxes of the separate holes of an image, with the pixels of each hole inside its box.

    Holes that are closer than ``near`` pixels count as one. So do holes for which one common window is smaller than two
    separate ones. The order is from top to bottom.

    Args:
        hole: (H, W).
        near: Distance in pixels; also the context that a window has around its hole.
    """
    import cv2

    H, W = hole.shape
    rows, columns = -(-H // BLOCK), -(-W // BLOCK)
    padded = np.zeros((rows * BLOCK, columns * BLOCK), np.bool_)
    padded[:H, :W] = hole
    touched = padded.reshape(rows, BLOCK, columns, BLOCK).any((1, 3))
    blocks = np.asarray(touched, np.uint8)
    kernel = np.ones((2 * max(1, near // (2 * BLOCK)) + 1,) * 2, np.uint8)
    labels = cv2.connectedComponents(cv2.dilate(blocks, kernel), connectivity=8)[1]
    labels[blocks == 0] = 0
    boxes = {}
    for label in np.unique(labels[labels > 0]).tolist():
        y, x = np.nonzero(labels == label)
        boxes[label] = Window(
            int(y.min()) * BLOCK,
            int(x.min()) * BLOCK,
            min((int(y.max()) + 1) * BLOCK, H),
            min((int(x.max()) + 1) * BLOCK, W),
        )
    groups = _merged([(box, {label}) for label, box in boxes.items()], near)
    found = []
    for box, members in groups:
        own = np.isin(labels, list(members)).astype(np.uint8)
        inside = np.kron(own, np.ones((BLOCK, BLOCK), np.uint8))[:H, :W][box.slices].astype(np.bool_)
        inside &= hole[box.slices]
        y, x = (np.nonzero(inside.any(axis))[0] for axis in (1, 0))
        tight = Window(int(y[0]), int(x[0]), int(y[-1]) + 1, int(x[-1]) + 1)
        moved = Window(box.top + tight.top, box.left + tight.left, box.top + tight.bottom, box.left + tight.right)
        found.append((moved, inside[tight.slices]))
    return sorted(found, key=lambda each: each[0])


def _merged(groups: list[tuple[Window, set[int]]], context: int) -> list[tuple[Window, set[int]]]:
    """Merge two groups as long as their common window has fewer pixels than their own windows together."""
    while 1 < len(groups) <= MAX_PAIRS:
        areas = [_area(box, context) for box, _ in groups]
        best = max(
            (areas[i] + areas[j] - _area(groups[i][0].union(groups[j][0]), context), i, j)
            for i in range(len(groups))
            for j in range(i + 1, len(groups))
        )
        saved, i, j = best
        if saved <= 0:
            break
        (first, one), (second, other) = groups[i], groups[j]
        groups = [group for k, group in enumerate(groups) if k not in (i, j)] + [(first.union(second), one | other)]
    return groups


def _area(box: Window, context: int) -> int:
    return (box.height + 2 * context) * (box.width + 2 * context)


def hole_depth(hole: NDArray[np.bool_]) -> float:
    """Return the largest distance in pixels of a hole pixel to the nearest known pixel; infinity if none is known."""
    import cv2

    if hole.all():
        return math.inf
    return float(cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3).max())


def grid(size: tuple[int, int], tile: tuple[int, int], margin: int, blend: int) -> list[list[Tile]]:
    """Return overlapping tiles that cover an image, by rows and columns.

    Args:
        size: Height and width of the image.
        tile: Height and width of a tile; smaller where the image is smaller.
        margin: Context in pixels between the border of a tile and the area that it provides alone, at least
            ``blend`` / 2.
        blend: Width in pixels of the area in which two neighboring tiles are blended, even.
    """
    rows, columns = (_intervals(length, side, margin, blend) for length, side in zip(size, tile, strict=True))
    return [
        [
            Tile(
                Window(row[0], column[0], row[1], column[1]),
                Window(row[2], column[2], row[3], column[3]),
                (
                    blend if row[2] > 0 else 0,
                    blend if column[2] > 0 else 0,
                    blend if row[3] < size[0] else 0,
                    blend if column[3] < size[1] else 0,
                ),
            )
            for column in columns
        ]
        for row in rows
    ]


def _intervals(length: int, side: int, margin: int, blend: int) -> list[tuple[int, int, int, int]]:
    """Return start and end of each tile along one axis, and of its inner part."""
    side = min(side, length)
    count = 1 if side == length else math.ceil((length - 2 * margin) / (side - 2 * margin))
    starts = [round(k * (length - side) / max(count - 1, 1)) for k in range(count)]
    cuts = [(starts[k] + side + starts[k + 1]) // 2 for k in range(count - 1)]  # middle of the overlap
    half = blend // 2
    first = [0] + [cut - half for cut in cuts]
    last = [cut + half for cut in cuts] + [length]
    return [(start, start + side, a, b) for start, a, b in zip(starts, first, last, strict=True)]
