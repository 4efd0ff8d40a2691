"""Changes of an image and its hole before the model, and of the result after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.errors import ZooError
from inpaint_zoo.inference.batch import Levels

__all__ = ["NO_EDITS", "NO_EXPANSION", "Edits", "checked_edits", "parse_expand"]

NO_EXPANSION = (0, 0, 0, 0)


class Edits(NamedTuple):
    """Changes of the hole and of the size of an image.

    Attributes:
        dilate: Distance in pixels by which the hole grows.
        feather: Width in pixels of the band of known pixels around the hole in which the filling fades out. With 0,
            known pixels are unchanged.
        expand: Pixels to add at the top, right, bottom and left, which are hole.
    """

    dilate: int = 0
    feather: int = 0
    expand: tuple[int, int, int, int] = NO_EXPANSION

    def size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return (H, W) with the added pixels."""
        top, right, bottom, left = self.expand
        return size[0] + top + bottom, size[1] + left + right

    def pixels(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return (H, W, C) with the added pixels, which repeat the nearest ones."""
        return np.pad(pixels, (*self._widths, (0, 0)), mode="edge") if any(self.expand) else pixels

    def alpha(self, alpha: Levels, opaque: NDArray[np.bool_] | None = None) -> Levels:
        """Return an alpha channel (H, W) that is opaque in the added pixels.

        Args:
            alpha: The channel of the image.
            opaque: (H', W') with the added pixels, where the result is opaque, too; None if there are none.
        """
        most = np.iinfo(alpha.dtype).max
        if any(self.expand):
            alpha = np.pad(alpha, self._widths, constant_values=most)
        return alpha if opaque is None else np.where(opaque, alpha.dtype.type(most), alpha)

    def hole(self, hole: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the hole (H, W), grown by `dilate`, with the added pixels."""
        if any(self.expand):
            hole = np.pad(hole, self._widths, constant_values=True)
        return _grown(hole, self.dilate)

    def seen(self, hole: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the hole that the model fills, given the result of `hole`: also the band of `feather`."""
        return _grown(hole, self.feather)

    def blended(self, filled: NDArray[Any], image: NDArray[Any], hole: NDArray[np.bool_]) -> NDArray[Any]:
        """Return the result (H, W, 3): the filling inside ``hole`` (H, W), which fades out over `feather` pixels.

        Whole numbers are rounded.
        """
        import cv2

        if not self.feather or not hole.any():
            return filled
        distance = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 5)
        share = np.clip(1 - distance / (self.feather + 1), 0, 1)[..., None]
        real = np.result_type(image.dtype, np.float32)
        mixed = image + share * (filled.astype(real) - image)
        if np.issubdtype(image.dtype, np.integer):
            mixed = np.rint(mixed)
        mixed = mixed.astype(image.dtype)
        return np.where(share == 0, image, np.where(hole[..., None], filled, mixed))

    @property
    def _widths(self) -> tuple[tuple[int, int], tuple[int, int]]:
        top, right, bottom, left = self.expand
        return (top, bottom), (left, right)


NO_EDITS = Edits()


def checked_edits(dilate: int = 0, feather: int = 0, expand: Sequence[int] = NO_EXPANSION) -> Edits:
    """Return the edits of arguments of `inpaint`.

    Raises:
        ZooError: A number is no whole number of at least 0, or ``expand`` has not four of them.
    """
    if isinstance(expand, str) or not isinstance(expand, Sequence) or len(expand) != 4:
        raise ZooError(f"`expand` must be (top, right, bottom, left) in pixels, got {expand!r}.")
    for name, values in (("dilate", (dilate,)), ("feather", (feather,)), ("expand", tuple(expand))):
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
                raise ZooError(f"`{name}` must be a whole number of pixels of at least 0, got {value!r}.")
    top, right, bottom, left = map(int, expand)
    return Edits(int(dilate), int(feather), (top, right, bottom, left))


def parse_expand(text: str) -> tuple[int, int, int, int]:
    """Return the numbers of TOP,RIGHT,BOTTOM,LEFT, as in CSS.

    Raises:
        ZooError: The text is not four whole numbers of at least 0, one of which is above 0.

    Example:
        >>> parse_expand("0,128,0,128")
        (0, 128, 0, 128)
    """
    words = text.split(",")
    if len(words) != 4 or not all(word.strip().isdecimal() for word in words) or not any(map(int, words)):
        raise ZooError(f"--expand must be TOP,RIGHT,BOTTOM,LEFT in pixels, such as 0,128,0,128, got '{text}'.")
    top, right, bottom, left = map(int, words)
    return top, right, bottom, left


def _grown(hole: NDArray[np.bool_], distance: int) -> NDArray[np.bool_]:
    import cv2

    if not distance or not hole.any():
        return hole
    return np.asarray(cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 5) <= distance)
