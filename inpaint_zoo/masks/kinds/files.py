"""Masks from a folder of files, optionally filtered by hole ratio or read by the rules of LGNet and ISNet.

Source: docs/papers/masks.md, "Mask files of the papers".
"""

# ruff: noqa: D102 - `Kind` documents its methods
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from inpaint_zoo.config import custom, increasing, option, or_null
from inpaint_zoo.io.images import ImageError
from inpaint_zoo.masks.errors import MaskConfigError
from inpaint_zoo.masks.folder import MaskFolder, read_gray
from inpaint_zoo.masks.kind import Mask, Size, register_kind
from inpaint_zoo.masks.transforms import resize_mask

__all__ = ["Files"]


@register_kind("files", section="Mask files of the papers", source="zoo; weizequan/LGNet and ISNet's code for `compat`")
@dataclass(frozen=True)
class Files(MaskFolder):
    """The mask files of a folder, resized to the image.

    `hole_value`: the color of holes; null means white, or black with `compat: isnet`. `bins`: use only files whose hole
    ratio at their own resolution lies in (first, last] of these values. `compat` reads files as a paper's code does:

    - `lgnet`: in training, bicubic resizing and horizontal flips only; in testing, no resizing, so files must have the
      requested size. Gray edges, which the paper's code keeps, become binary as in every mask.
    - `isnet`: the central square is resized bilinearly, and pixels that are exactly 0 become the hole. Files are chosen
      at random unless `pairing: mod` is set; that one-to-one mode does not crop the square. Training adds horizontal
      flips and quarter turns. The paper's code flips image and mask together; `meta` gives `hflip` for this.
    """

    hole_value: str | None = option(None, (None, "white", "black"))
    bins: tuple[float, ...] | None = custom(None, or_null(increasing(0, 1)))
    compat: str | None = option(None, (None, "lgnet", "isnet"))

    def config(self) -> dict[str, Any]:
        return {**super().config(), "hole_value": "black" if self._invert else "white"}

    @property
    def _invert(self) -> bool:
        return self.hole_value == "black" or (self.hole_value is None and self.compat == "isnet")

    @property
    def reading(self) -> tuple[int, bool]:
        if self.compat == "isnet":  # only exactly black pixels are hole
            return (0, True) if self._invert else (254, False)
        return 127, self._invert

    @property
    def paths(self) -> list[Path]:
        return self._in_bins

    @cached_property
    def _in_bins(self) -> list[Path]:
        paths = self.listing()
        if self.bins is None:
            return paths
        low, high = self.bins[0], self.bins[-1]
        with ThreadPoolExecutor() as pool:  # decoding releases Python's global interpreter lock
            ratios = list(pool.map(self._ratio, paths))
        for path, ratio in zip(paths, ratios, strict=True):
            if isinstance(ratio, ImageError):
                self.tell(str(path), f"{ratio}; it belongs to no bin")
        known = [(path, r) for path, r in zip(paths, ratios, strict=True) if not isinstance(r, ImageError)]
        strict = self.compat == "isnet"  # the authors' file lists exclude both bounds
        found = [path for path, r in known if low < r < high or (r == high and not strict)]
        if not found:
            spread = [r for _, r in known] or [0.0]
            color = "black" if self._invert else "white"
            raise MaskConfigError(
                f"files: no mask of {self.root} has a hole ratio in ({low:g}, {high:g}]. With {color} as hole, ratios "
                f"lie from {min(spread):.4g} to {max(spread):.4g}; `hole_value` sets the color of holes."
            )
        return found

    def _ratio(self, path: Path) -> float | ImageError:
        try:
            return float(self.loaded(path)[0].mean(dtype=np.float64))
        except ImageError as error:
            return error

    def _lit(self, path: Path) -> Mask:
        """Return a file's gray values with dark holes."""
        return read_gray(path) if self._invert else 255 - read_gray(path)

    def by_turn(self, train: bool) -> bool:
        return self.pairing == "mod" if self.compat == "isnet" else super().by_turn(train)

    def flips(self, u: list[float]) -> tuple[bool, bool, int]:
        hflip, vflip, turns = super().flips(u)
        vflip = vflip and self.compat is None
        return hflip, vflip, 0 if self.compat == "lgnet" else turns

    def cut(self, path: Path, size: Size, u: list[float], train: bool) -> Mask:
        if self.compat == "isnet":
            gray = self._lit(path)
            if self.pairing != "mod":
                top, left = ((length - min(gray.shape)) // 2 for length in gray.shape)
                gray = gray[top : top + min(gray.shape), left : left + min(gray.shape)]
            return (_resize_gray(gray, size, "BILINEAR") == 0).astype(np.uint8)
        if self.compat == "lgnet" and train:
            return (_resize_gray(255 - self._lit(path), size, "BICUBIC") > 127).astype(np.uint8)
        mask = self.native(path)
        if self.compat == "lgnet" and mask.shape != size:
            raise MaskConfigError(
                f"files: {path} is {mask.shape[0]} x {mask.shape[1]}, the image {size[0]} x {size[1]}; `compat: lgnet` "
                "does not resize test masks, as in the paper's code. Remove `compat` or use masks of the images' size."
            )
        return resize_mask(mask, size)


def _resize_gray(gray: Mask, size: Size, filter_name: str) -> Mask:
    """Resize gray values (H, W) uint8 with one of Pillow's filters."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(gray))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling[filter_name]))
