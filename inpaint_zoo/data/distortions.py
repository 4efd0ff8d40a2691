"""The distortions of LaMa's training on Places: perspective, affine, lens, local contrast, color shifts.

The values are those of docs/papers/glama.md, "Training". Values that it leaves open (limits of the lens and of
CLAHE, probabilities of the color steps) are the defaults of the library that the authors used. Warps keep the size,
sample bilinearly and mirror at the border. Unlike crops and flips, their pixels depend on the OpenCV version.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.config import interval_of, real
from inpaint_zoo.data.augment import DecodedImage, Step, register_step

__all__: list[str] = []


def _between(interval: tuple[float, float], u: float) -> float:
    return interval[0] + u * (interval[1] - interval[0])


def _warp(rgb: DecodedImage, matrix: NDArray[Any]) -> DecodedImage:
    """Sample ``rgb`` at the positions ``matrix`` (3, 3) times the positions in the result."""
    import cv2

    H, W = rgb.shape[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpPerspective(np.ascontiguousarray(rgb), matrix, (W, H), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    )


@register_step("perspective")
@dataclass(frozen=True, kw_only=True)
class Perspective(Step):
    """Move the corners inwards by normal numbers; `scale` is the range of their deviation (share of the size)."""

    p: float = real(0.5, low=0, high=1)
    scale: tuple[float, float] = interval_of((0.0, 0.06), low=0, high=0.2)
    slots: ClassVar[int] = 17

    def change(self, rgb: DecodedImage, u: list[float]) -> DecodedImage:
        """Return the warped image. Slots: deviation, then two for each of the eight coordinates."""
        import cv2

        H, W = rgb.shape[:2]
        deviation = _between(self.scale, u[0])
        # |normal| by the Box-Muller method, limited so that corners never cross the center
        moved = [
            min(deviation * math.sqrt(-2 * math.log(1 - a)) * abs(math.cos(2 * math.pi * b)), 0.45)
            for a, b in zip(u[1::2], u[2::2], strict=True)
        ]
        ends = np.array([[0, 0], [W, 0], [W, H], [0, H]], dtype=np.float32)
        signs = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
        shown = ends + signs * np.array(moved).reshape(4, 2) * (W, H)
        return _warp(rgb, cv2.getPerspectiveTransform(ends, shown.astype(np.float32)))


@register_step("affine")
@dataclass(frozen=True, kw_only=True)
class Affine(Step):
    """Scale, rotate and shear about the center; angles in degrees."""

    p: float = real(0.5, low=0, high=1)
    scale: tuple[float, float] = interval_of((0.7, 1.3), low=0.1, high=10)
    rotate: tuple[float, float] = interval_of((-40.0, 40.0), low=-180, high=180)
    shear: tuple[float, float] = interval_of((-0.1, 0.1), low=-60, high=60)
    slots: ClassVar[int] = 3

    def change(self, rgb: DecodedImage, u: list[float]) -> DecodedImage:
        """Return the warped image. Slots: scale, angle, shear."""
        H, W = rgb.shape[:2]
        scale, angle = _between(self.scale, u[0]), math.radians(_between(self.rotate, u[1]))
        slant = math.tan(math.radians(_between(self.shear, u[2])))
        cos, sin = scale * math.cos(angle), scale * math.sin(angle)
        linear = np.array([[cos, cos * slant - sin], [sin, sin * slant + cos]])
        middle = np.array([(W - 1) / 2, (H - 1) / 2])
        forward = np.eye(3)
        forward[:2, :2], forward[:2, 2] = linear, middle - linear @ middle
        return _warp(rgb, np.linalg.inv(forward))


@register_step("optical_distortion")
@dataclass(frozen=True, kw_only=True)
class OpticalDistortion(Step):
    """Radial lens distortion by 1 + k r^2 + k r^4 about a shifted center; r = 1 at one width or height."""

    p: float = real(0.5, low=0, high=1)
    limit: float = real(0.05, low=0, high=1)
    shift: float = real(0.05, low=0, high=1)
    slots: ClassVar[int] = 3

    def change(self, rgb: DecodedImage, u: list[float]) -> DecodedImage:
        """Return the warped image. Slots: distortion, shift right, shift down (shifts in pixels, as in the library)."""
        import cv2

        H, W = rgb.shape[:2]
        k, dx, dy = ((2 * v - 1) * limit for v, limit in zip(u, (self.limit, self.shift, self.shift), strict=True))
        x = ((np.arange(W, dtype=np.float32) - (W / 2 + dx)) / W)[None]
        y = ((np.arange(H, dtype=np.float32) - (H / 2 + dy)) / H)[:, None]
        r2 = x * x + y * y
        factor = 1 + k * r2 * (1 + r2)
        where_x = (x * factor * W + (W / 2 + dx)).astype(np.float32)
        where_y = (y * factor * H + (H / 2 + dy)).astype(np.float32)
        return np.asarray(
            cv2.remap(np.ascontiguousarray(rgb), where_x, where_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        )


@register_step("clahe")
@dataclass(frozen=True, kw_only=True)
class Clahe(Step):
    """Equalize the lightness within 8 x 8 tiles with limited contrast (CLAHE); `clip_limit` is the limit's range."""

    p: float = real(0.5, low=0, high=1)
    clip_limit: tuple[float, float] = interval_of((1.0, 4.0), low=1, high=100)
    slots: ClassVar[int] = 1

    def change(self, rgb: DecodedImage, u: list[float]) -> DecodedImage:
        """Return the changed image. Slot: limit."""
        import cv2

        lab = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2LAB)
        equalize = cv2.createCLAHE(clipLimit=_between(self.clip_limit, u[0]), tileGridSize=(8, 8))
        lab[..., 0] = equalize.apply(np.ascontiguousarray(lab[..., 0]))
        return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB))


@register_step("brightness_contrast")
@dataclass(frozen=True, kw_only=True)
class BrightnessContrast(Step):
    """Map a value v to (1 + c) v + 255 b, with c in +-`contrast` and b in +-`brightness`."""

    p: float = real(0.5, low=0, high=1)
    brightness: float = real(0.2, low=0, high=1)
    contrast: float = real(0.2, low=0, high=1)
    slots: ClassVar[int] = 2

    def change(self, rgb: DecodedImage, u: list[float]) -> DecodedImage:
        """Return the changed image. Slots: contrast, brightness."""
        gain, offset = 1 + self.contrast * (2 * u[0] - 1), 255 * self.brightness * (2 * u[1] - 1)
        levels = np.rint(np.clip(np.arange(256) * gain + offset, 0, 255)).astype(np.uint8)
        return np.asarray(levels[rgb])


@register_step("hue_saturation_value")
@dataclass(frozen=True, kw_only=True)
class HueSaturationValue(Step):
    """Shift hue, saturation and value by up to +-these limits: hue in units of 2 degrees, the others in 8-bit steps."""

    p: float = real(0.5, low=0, high=1)
    hue: float = real(5.0, low=0, high=90)
    saturation: float = real(30.0, low=0, high=255)
    value: float = real(5.0, low=0, high=255)
    slots: ClassVar[int] = 3

    def change(self, rgb: DecodedImage, u: list[float]) -> DecodedImage:
        """Return the changed image. Slots: hue, saturation, value."""
        import cv2

        hsv = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2HSV)
        levels = np.arange(256.0)
        hue, saturation, value = (
            (2 * v - 1) * limit for v, limit in zip(u, (self.hue, self.saturation, self.value), strict=True)
        )
        tables = np.stack(
            [np.mod(np.rint(levels + hue), 180), np.clip(levels + saturation, 0, 255), np.clip(levels + value, 0, 255)]
        )
        changed = cv2.LUT(hsv, np.rint(tables).astype(np.uint8).T[None])
        return np.asarray(cv2.cvtColor(changed, cv2.COLOR_HSV2RGB))
