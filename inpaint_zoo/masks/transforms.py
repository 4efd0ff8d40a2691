"""Transforms of masks: dilate, erode, invert, flips, rotation, resize.

Source: docs/papers/masks.md, "Transforms and acceptance".
"""

# ruff: noqa: RUF009 - `Transform` documents its methods; `attribute` makes a dataclass field
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np

from inpaint_zoo.config import args_dict, integer, integers_of, option, parse_args, real
from inpaint_zoo.masks.args import Attribute, attribute
from inpaint_zoo.masks.errors import MaskConfigError, unknown
from inpaint_zoo.masks.kind import Canvases, Mask, Size
from inpaint_zoo.random import Draws

__all__ = ["TRANSFORMS", "Transform", "parse_transform", "resize_mask"]

TRANSFORMS: dict[str, type[Transform]] = {}


@dataclass(frozen=True, kw_only=True)
class Transform:
    """Base class of transforms. A transform is applied to a mask with probability `p` (slot 0 of its stream)."""

    p: float = real(1.0, low=0, high=1)
    op: ClassVar[str]
    keeps_ratio: ClassVar[bool] = False

    def validate(self) -> None:
        """Check the arguments against each other; raise MaskConfigError if they are invalid."""

    def check(self, size: Size) -> None:
        """Raise MaskConfigError for sizes that the transform would change."""

    def change(self, mask: Mask, u: float) -> Mask:
        """Return the transformed mask; ``u`` is the uniform number of slot 1, for transforms with a random argument."""
        raise NotImplementedError

    def apply(self, draws: Draws, canvases: Canvases) -> None:
        """Transform masks in place, each with its own random numbers."""
        for canvas, (event, u) in zip(canvases, draws.table(0, 2).tolist(), strict=True):
            if event < self.p:
                canvas[:] = self.change(canvas, u)

    def config(self) -> dict[str, Any]:
        """Return the transform as it is written in a configuration."""
        return {"op": self.op, **args_dict(self)}


T = TypeVar("T", bound=type[Transform])


def _register(op: str) -> Callable[[T], T]:
    def register(cls: T) -> T:
        cls.op = op
        TRANSFORMS[op] = cls
        return cls

    return register


def parse_transform(config: object) -> Transform:
    """Parse a mapping such as ``{op: dilate, k: 3, p: 0.5}``."""
    if not isinstance(config, Mapping) or "op" not in config:
        raise MaskConfigError(f"A transform must be a mapping with `op`, such as {{op: dilate, k: 3}}, got {config!r}.")
    op = config["op"]
    if op not in TRANSFORMS:
        raise unknown("transform", op, TRANSFORMS)
    transform = parse_args(
        TRANSFORMS[op], {key: value for key, value in config.items() if key != "op"}, f"transform {op}"
    )
    transform.validate()
    return transform


@dataclass(frozen=True, kw_only=True)
class _Morphology(Transform):
    k: int = integer(low=1)

    def validate(self) -> None:
        if self.k % 2 == 0:
            raise MaskConfigError(f"transform {self.op}: `k` must be odd, got {self.k}.")

    def _window(self) -> Mask:
        return np.ones((self.k, self.k), dtype=np.uint8)


@_register("dilate")
@dataclass(frozen=True, kw_only=True)
class _Dilate(_Morphology):
    """Grow holes by (k - 1) / 2 pixels on all sides; pixels outside the image have no effect."""

    def change(self, mask: Mask, u: float) -> Mask:
        import cv2

        return np.asarray(cv2.dilate(mask, self._window()), dtype=np.uint8)


@_register("erode")
@dataclass(frozen=True, kw_only=True)
class _Erode(_Morphology):
    """Shrink holes by (k - 1) / 2 pixels, but not at the image border."""

    def change(self, mask: Mask, u: float) -> Mask:
        import cv2

        return np.asarray(cv2.erode(mask, self._window()), dtype=np.uint8)


@_register("invert")
@dataclass(frozen=True, kw_only=True)
class _Invert(Transform):
    """Exchange hole and known pixels."""

    def change(self, mask: Mask, u: float) -> Mask:
        return 1 - mask


@_register("hflip")
@dataclass(frozen=True, kw_only=True)
class _Hflip(Transform):
    """Flip horizontally."""

    keeps_ratio = True

    def change(self, mask: Mask, u: float) -> Mask:
        return mask[:, ::-1].copy()


@_register("vflip")
@dataclass(frozen=True, kw_only=True)
class _Vflip(Transform):
    """Flip vertically."""

    keeps_ratio = True

    def change(self, mask: Mask, u: float) -> Mask:
        return mask[::-1].copy()


@_register("rot90")
@dataclass(frozen=True, kw_only=True)
class _Rot90(Transform):
    """Rotate by k quarter turns counter-clockwise."""

    k: Attribute = attribute(1, one=(0, 1, 2, 3))
    keeps_ratio = True

    def check(self, size: Size) -> None:
        if size[0] != size[1] and any(k % 2 for k in self.k.choices):
            raise MaskConfigError(
                f"transform rot90: an odd `k` would change size {size[0]} x {size[1]}; use {{choice: [0, 2]}}."
            )

    def change(self, mask: Mask, u: float) -> Mask:
        return np.rot90(mask, self.k.pick(np.array([u]))[0]).copy()


_MODES = ("nearest", "any", "area>=.5")


@_register("resize")
@dataclass(frozen=True, kw_only=True)
class _Resize(Transform):
    """Resize to a size; inside a mixture it must equal the mask's size."""

    size: tuple[int, ...] = integers_of(2, low=1)
    mode: str = option("nearest", _MODES)

    def check(self, size: Size) -> None:
        if self.size != size:
            raise MaskConfigError(
                f"transform resize: to {list(self.size)} would change size {size[0]} x {size[1]}; "
                "a mixture must keep its size."
            )

    def change(self, mask: Mask, u: float) -> Mask:
        return resize_mask(mask, (self.size[0], self.size[1]), self.mode)


def resize_mask(mask: Mask, size: Size, mode: str = "nearest") -> Mask:
    """Resize a binary mask to another binary mask.

    Args:
        mask: (H, W) uint8 of 0 and 1.
        size: (H', W') of the result.
        mode: `nearest` uses the source pixel floor(i * in / out). `any` makes a pixel hole if its box
            [i * in / out, (i + 1) * in / out) overlaps a hole, `area>=.5` if at least half of its box is hole.

    Example:
        >>> resize_mask(np.array([[1, 0, 0, 0]], dtype=np.uint8), (1, 2), "any")
        array([[1, 0]], dtype=uint8)
    """
    if mode not in _MODES:
        raise unknown("resize mode", mode, _MODES)
    if mode == "nearest":
        rows, columns = (np.arange(new) * old // new for old, new in zip(mask.shape, size, strict=True))
        return np.ascontiguousarray(mask[rows[:, None], columns])
    # overlaps in units of 1 / out pixels are integers, so their float64 products are exact
    down, across = (_overlap(old, new) for old, new in zip(mask.shape, size, strict=True))
    share = down @ mask.astype(np.float64) @ across.T
    full = mask.shape[0] * mask.shape[1]
    return (share > 0 if mode == "any" else 2 * share >= full).astype(np.uint8)


def _overlap(old: int, new: int) -> np.ndarray:
    """Return (new, old): the overlap of source pixel j with the box of target pixel i, times ``new``."""
    i, j = np.arange(new)[:, None], np.arange(old)
    return np.clip(np.minimum((i + 1) * old, (j + 1) * new) - np.maximum(i * old, j * new), 0, None).astype(np.float64)
