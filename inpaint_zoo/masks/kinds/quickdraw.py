"""Masks from Quick-Draw drawings, processed as in GDN's script for LGNet.

Source: docs/papers/masks.md, "Quick-Draw masks".
"""

# ruff: noqa: D102 - `Kind` documents its methods
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inpaint_zoo.config import integer, interval_of, option
from inpaint_zoo.masks.accept import Accept, redraw_component
from inpaint_zoo.masks.errors import MaskConfigError
from inpaint_zoo.masks.folder import MaskFolder, corner, read_gray
from inpaint_zoo.masks.kind import Canvases, Mask, Notes, Size, register_kind
from inpaint_zoo.random import Draws

__all__ = ["QdImd"]


class _HalfOpen(Accept):
    """lo <= ratio < hi, as in the script's bins."""

    def keeps(self, ratio: float) -> bool:
        return (self.lo or 0.0) <= ratio < (1.0 if self.hi is None else self.hi)

    def __str__(self) -> str:
        return f"[{self.lo}, {self.hi})"


@register_kind("qd_imd", section="Quick-Draw masks", source="Evergrow/GDN_Inpainting; files of karfly/qd-imd")
@dataclass(frozen=True)
class QdImd(MaskFolder):
    """Quick-Draw strokes: rotated and scaled by 1.5, thickened by 14 to 27 px, cropped, kept up to 60 % of hole.

    `hole_range`: masks are redrawn until their hole ratio is in [lo, hi). `margin`: width in pixels of the border that
    stays known; the script uses 23 at size 256 for the two smallest bins.
    """

    hole_value: str = option("black", ("white", "black"))
    margin: int = integer(0, low=0, pixels=True)
    hole_range: tuple[float, ...] = interval_of((0.0, 0.6), low=0, high=1, strict=True)
    max_tries: int = integer(1000, low=1)
    on_fail: str = option("raise", ("raise", "closest"))

    @property
    def reading(self) -> tuple[int, bool]:
        return 127, self.hole_value == "black"

    def check(self, size: Size) -> None:
        if 2 * self.margin >= min(size):
            raise MaskConfigError(f"qd_imd: `margin` {self.margin} leaves no pixel of size {size[0]} x {size[1]}.")

    def cut(self, path: Path, size: Size, u: list[float], train: bool) -> Mask:
        import cv2

        gray = read_gray(path) if self.hole_value == "black" else 255 - read_gray(path)
        H, W = gray.shape
        side = 14 + int(14 * u[5])
        turn = cv2.getRotationMatrix2D((W / 2, H / 2), -180 + int(361 * u[4]), 1.5)
        turned = cv2.warpAffine(gray, turn, (W, H), borderMode=cv2.BORDER_CONSTANT, borderValue=255)
        # thresholding commutes with dilation: this equals the script's erosion of the gray known region
        hole = (np.asarray(turned) <= 127).astype(np.uint8)
        thick = np.asarray(cv2.dilate(hole, np.ones((side, side), dtype=np.uint8)), dtype=np.uint8)
        mask = corner("qd_imd", path, thick, size, u[6:])
        if self.margin:
            mask = np.pad(mask[self.margin : -self.margin, self.margin : -self.margin], self.margin)
        return mask

    def draw(self, draws: Draws, canvases: Canvases, size: Size, notes: Notes | None) -> None:
        lo, hi = self.hole_range
        redraw_component(
            draws,
            canvases,
            lambda rows, part, found: MaskFolder.draw(self, rows, part, size, found),
            accept=_HalfOpen(lo=lo, hi=hi, max_tries=self.max_tries, on_fail=self.on_fail),
            what=f"qd_imd with hole_range {[lo, hi]} at size {size[0]} x {size[1]}",
            notes=notes,
        )
