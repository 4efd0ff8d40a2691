"""Training augmentations of an image before the hole is made: crops, flips and color changes.

An augmentation is a list of steps, at most one of which crops. Each step is a pure function of its random numbers,
which come from (seed, stream `augment/<op>/<n>`, position of the sample), where n counts the steps of that name. Adding
a step therefore does not change the random numbers of other steps. Input and output are uint8 images (H, W, 3). This
module contains crops, flips and the papers' color jitter, `data.distortions` LaMa's distortions. A new step is one
frozen dataclass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.config import args_dict, custom, flag, interval, interval_of, option, parse_args, real, whole
from inpaint_zoo.data.crops import FILTERS, Size, cut, windows
from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.random import Draws

__all__ = ["STEPS", "Augmentation", "Cut", "Step", "create_augmentation", "register_step"]

DecodedImage = NDArray[np.uint8]
T = TypeVar("T", bound="type[Step]")
STEPS: dict[str, type[Step]] = {}
"""Step classes by name."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """Base class of steps. A step is applied with probability `p` (slot 0 of its stream)."""

    p: float = real(1.0, low=0, high=1)
    op: ClassVar[str]
    slots: ClassVar[int] = 0
    """Number of uniform random numbers that `change` needs."""

    def validate(self) -> None:
        """Check the arguments against each other; raise ZooError if they are invalid."""

    def change(self, rgb: DecodedImage, u: list[float]) -> DecodedImage:
        """Return the changed image, (H, W, 3) uint8 of the same size; ``u`` are uniform numbers in [0, 1)."""
        raise NotImplementedError

    def change_mask(self, mask: DecodedImage) -> DecodedImage:
        """Return the changed mask (H, W). Most steps return it unchanged, because it is made for the final image."""
        return mask


def register_step(op: str) -> Callable[[T], T]:
    """Return a class decorator that registers a step under the name ``op``."""

    def register(cls: T) -> T:
        cls.op = op
        STEPS[op] = cls
        return cls

    return register


@dataclass(frozen=True, kw_only=True)
class Cut(Step):
    """Base class of steps that crop or resize the image to the sample size. They are always applied."""

    filter: str = option("bicubic", tuple(FILTERS))

    def validate(self) -> None:
        """Check that `p` is 1, since otherwise some images would have another size."""
        if self.p != 1:
            raise ZooError(f"`p` of {self.op} must be 1: every sample needs its size")

    def crop(self, rgb: DecodedImage, u: list[float], size: Size) -> DecodedImage:
        """Return the crop (H, W, 3), with (H, W) = ``size``."""
        raise NotImplementedError


def _windowed(
    rgb: DecodedImage, rule: str, size: Size, filter_name: str, place: Sequence[float] = (0, 0)
) -> DecodedImage:
    draws = (int(place[0] * 2**32), int(place[1] * 2**32))
    return cut(rgb, windows(rule, (rgb.shape[0], rgb.shape[1]), size, draws)[0], filter_name)


@register_step("center_crop")
@dataclass(frozen=True, kw_only=True)
class CenterCrop(Cut):
    """Center crop, after resizing the image so that it just covers the size."""

    def crop(self, rgb: DecodedImage, u: list[float], size: Size) -> DecodedImage:
        """Return the same crop as the rule "center" of `data.crops`."""
        return _windowed(rgb, "center", size, self.filter)


@register_step("squash")
@dataclass(frozen=True, kw_only=True)
class Squash(Cut):
    """Resize the whole image to the size without keeping the aspect ratio."""

    def crop(self, rgb: DecodedImage, u: list[float], size: Size) -> DecodedImage:
        """Return the same result as the rule "resize" of `data.crops`."""
        return _windowed(rgb, "resize", size, self.filter)


@register_step("random_crop")
@dataclass(frozen=True, kw_only=True)
class RandomCrop(Cut):
    """Random crop at the image's own resolution, or after resizing the shorter side to `short_side`.

    `short_side: [a, b]` draws the length from a to b: [256, 256] resizes the image so that it just covers a crop of 256
    (GRIG); GLCIC uses [256, 384]. Without it, only images that are too small are enlarged (Contextual Attention).
    """

    short_side: tuple[int, int] = custom((0, 0), interval(whole(0)))
    slots: ClassVar[int] = 3

    def crop(self, rgb: DecodedImage, u: list[float], size: Size) -> DecodedImage:
        """Return the crop. Slots: row, column, short side."""
        low, high = self.short_side
        if high == 0:
            return _windowed(rgb, "random", size, self.filter, u[:2])
        side = low + int(u[2] * (high - low + 1))
        H, W = rgb.shape[:2]
        short = min(H, W)
        # at least what covers the crop; lengths are rounded half up
        target = [
            max((2 * length * side + short) // (2 * short), part) for length, part in zip((H, W), size, strict=True)
        ]
        scaled = _windowed(rgb, "resize", (target[0], target[1]), self.filter)
        return _windowed(scaled, "random", size, self.filter, u[:2])


@register_step("random_resized_crop")
@dataclass(frozen=True, kw_only=True)
class RandomResizedCrop(Cut):
    """Random rectangle of random area and aspect ratio, resized to the size, as in torchvision (AOT-GAN)."""

    scale: tuple[float, float] = interval_of((0.08, 1.0), low=0, high=1)
    ratio: tuple[float, float] = interval_of((3 / 4, 4 / 3), low=0.01, high=100)
    slots: ClassVar[int] = 40

    def validate(self) -> None:
        """Check that no crop can be empty."""
        super().validate()
        if self.scale[0] == 0:
            raise ZooError(f"`scale` of random_resized_crop must be above 0, got {list(self.scale)}.")

    def box(self, source: Size, u: list[float]) -> tuple[int, int, int, int]:
        """Return (top, left, height, width): the first fit of ten tries, else the center."""
        H, W = source
        low, high = (math.log(value) for value in self.ratio)
        for t in range(0, self.slots, 4):
            area = H * W * (self.scale[0] + u[t] * (self.scale[1] - self.scale[0]))
            aspect = math.exp(low + u[t + 1] * (high - low))
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= W and 0 < h <= H:
                return int(u[t + 2] * (H - h + 1)), int(u[t + 3] * (W - w + 1)), h, w
        h, w = H, W
        if self.ratio[0] * H > W:
            h = max(1, round(W / self.ratio[0]))
        elif self.ratio[1] * H < W:
            w = max(1, round(H * self.ratio[1]))
        return (H - h) // 2, (W - w) // 2, h, w

    def crop(self, rgb: DecodedImage, u: list[float], size: Size) -> DecodedImage:
        """Return the rectangle, resized."""
        top, left, h, w = self.box((rgb.shape[0], rgb.shape[1]), u)
        return _windowed(rgb[top : top + h, left : left + w], "resize", size, self.filter)


@dataclass(frozen=True, kw_only=True)
class _Flip(Step):
    """Flip with probability `p`. `with_mask`: also flip the sample's mask (ISNet)."""

    p: float = real(0.5, low=0, high=1)
    with_mask: bool = flag(False)
    axis: ClassVar[int]

    def change(self, rgb: DecodedImage, u: list[float]) -> DecodedImage:
        import cv2

        return np.asarray(cv2.flip(rgb, self.axis))  # ten times faster than NumPy

    def change_mask(self, mask: DecodedImage) -> DecodedImage:
        return np.flip(mask, self.axis) if self.with_mask else mask


@register_step("hflip")
@dataclass(frozen=True, kw_only=True)
class HorizontalFlip(_Flip):
    """Flip left and right."""

    axis: ClassVar[int] = 1


@register_step("vflip")
@dataclass(frozen=True, kw_only=True)
class VerticalFlip(_Flip):
    """Flip top and bottom."""

    axis: ClassVar[int] = 0


_LUMA = np.array([0.299, 0.587, 0.114])  # luma weights of Rec. 601, as in torchvision


@register_step("color_jitter")
@dataclass(frozen=True, kw_only=True)
class ColorJitter(Step):
    """Change brightness, contrast, saturation and hue in random order; strengths as in torchvision's `ColorJitter`.

    A strength s means factors from 1 - s to 1 + s, and for the hue shifts from -s to s turns of the color circle.
    Consecutive operations that are affine in RGB (all except hue) are composed before they are applied, so pixels are
    rounded and clipped once and not after each operation.
    """

    brightness: float = real(0.0, low=0, high=1)
    contrast: float = real(0.0, low=0, high=1)
    saturation: float = real(0.0, low=0, high=1)
    hue: float = real(0.0, low=0, high=0.5)
    slots: ClassVar[int] = 8
    names: ClassVar[tuple[str, ...]] = ("brightness", "contrast", "saturation", "hue")

    def change(self, rgb: DecodedImage, u: list[float]) -> DecodedImage:
        """Return the changed image. Slots 0 to 3: strengths; slots 4 to 7: their sorted order is the order of steps."""
        affine = np.eye(3, 4)
        for k in sorted(range(4), key=lambda k: u[4 + k]):
            strength = getattr(self, self.names[k])
            if not strength:
                continue
            drawn = strength * (2 * u[k] - 1)
            if self.names[k] == "hue":
                rgb, affine = _turn_hue(_apply(rgb, affine), drawn), np.eye(3, 4)
            else:
                affine = _affine(self.names[k], 1 + drawn, rgb, affine)
        return _apply(rgb, affine)


def _affine(name: str, factor: float, rgb: DecodedImage, before: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``before``, an affine map of RGB as a (3, 4) matrix, followed by one operation."""
    import cv2

    if name == "brightness":
        return before * factor
    if name == "contrast":  # relative to the mean gray value after the previous operations
        mean = before[:, :3] @ np.array(cv2.mean(rgb)[:3]) + before[:, 3]
        after = before * factor
        after[:, 3] += (1 - factor) * (_LUMA @ mean)
        return after
    blend = factor * np.eye(3) + (1 - factor) * np.tile(_LUMA, (3, 1))
    return blend @ before


def _apply(rgb: DecodedImage, affine: NDArray[np.float64]) -> DecodedImage:
    import cv2

    if np.array_equal(affine, np.eye(3, 4)):
        return rgb
    return np.asarray(cv2.transform(np.ascontiguousarray(rgb), affine))  # rounds and clips to uint8


def _turn_hue(rgb: DecodedImage, turns: float) -> DecodedImage:
    import cv2

    hsv = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2HSV_FULL)  # the hue has 256 steps
    hsv[..., 0] += np.uint8(round(turns * 256) % 256)  # wraps around
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL))


class Augmentation:
    """A list of steps for samples of one size.

    Args:
        steps: The steps, in order.
        size: (H, W) of the samples in pixels.

    Attributes:
        cuts: Whether one of the steps makes the crop.
    """

    def __init__(self, steps: Sequence[Step], size: Size) -> None:
        self.steps, self.size = tuple(steps), size
        self.cuts = any(isinstance(step, Cut) for step in steps)
        names = [step.op for step in steps]
        self._streams = [f"augment/{op}/{names[:k].count(op)}" for k, op in enumerate(names)]

    def __repr__(self) -> str:
        return f"Augmentation({', '.join(step.op for step in self.steps)})"

    def _draw(self, k: int, seed: int, position: int) -> list[float] | None:
        """Return the random numbers of step ``k``; None if it is not applied."""
        draws = Draws(seed, self._streams[k], np.array([position], dtype=np.uint64))
        event, *u = draws.table(0, 1 + self.steps[k].slots)[0].tolist()
        return u if event < self.steps[k].p else None

    def __call__(self, rgb: DecodedImage, seed: int, position: int) -> DecodedImage:
        """Return the sample at ``position`` of the stream from its image: (H, W, 3) uint8."""
        for k, step in enumerate(self.steps):
            u = self._draw(k, seed, position)
            if u is not None:
                rgb = step.crop(rgb, u, self.size) if isinstance(step, Cut) else step.change(rgb, u)
        return np.ascontiguousarray(rgb)

    def on_mask(self, mask: DecodedImage, seed: int, position: int) -> DecodedImage:
        """Return the mask (H, W) of the sample at ``position``, flipped with its image by steps with `with_mask`."""
        for k, step in enumerate(self.steps):
            if isinstance(step, _Flip) and step.with_mask and self._draw(k, seed, position) is not None:
                mask = step.change_mask(mask)
        return np.ascontiguousarray(mask)

    def config(self) -> list[dict[str, Any]]:
        """Return the steps with their defaults filled in."""
        return [{"op": step.op, **args_dict(step)} for step in self.steps]


def create_augmentation(steps: Sequence[str | Mapping[str, Any]], size: Size) -> Augmentation:
    """Create an augmentation from a list of steps.

    Args:
        steps: Names, or mappings such as `{op: hflip, p: 0.5}`.
        size: (H, W) of the samples in pixels.

    Raises:
        ZooError: If a step or argument is unknown, a value is out of range, or more than one step crops.

    Example:
        >>> create_augmentation(["random_resized_crop", {"op": "hflip", "p": 0.1}], (64, 64))
        Augmentation(random_resized_crop, hflip)
    """
    if isinstance(steps, str | Mapping) or not isinstance(steps, Sequence):
        raise ZooError(f"`augment` must be a list of steps such as [hflip], got {steps!r}")
    found = []
    for entry in steps:
        config = {"op": entry} if isinstance(entry, str) else dict(entry) if isinstance(entry, Mapping) else {}
        op = config.pop("op", None)
        if op not in STEPS:
            raise unknown_name("step of `augment`:", op, STEPS, f"Known: {', '.join(STEPS)}.")
        step = parse_args(STEPS[op], config, op)
        step.validate()
        found.append(step)
    cuts = [step.op for step in found if isinstance(step, Cut)]
    if len(cuts) > 1:
        raise ZooError(f"`augment` may contain only one step that crops, got {' and '.join(cuts)}")
    return Augmentation(found, size)
