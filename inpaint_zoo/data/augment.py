"""What training does to a photograph before the hole: crops, flips, colour. Each step a pure function of its draws.

An augmentation is a list of steps, one of which may cut. A step draws from (seed, stream `augment/<op>/<n>`, position
of the sample), n counting the steps of that name: adding one changes no draw of another. Bytes in, bytes out, the
picture (H, W, 3) uint8. The crops, flips and the colour jitter of the papers are here, LaMa's distortions in
`data.distortions`; a new step is one frozen dataclass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from inpaint_zoo.data.crops import FILTERS, Size, cut, windows
from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.masks.args import args_dict, flag, integers_of, option, parse_args, real, reals_of
from inpaint_zoo.masks.draws import Draws

__all__ = ["STEPS", "Augmentation", "Cut", "Step", "create_augmentation", "register_step"]

Picture = NDArray[np.uint8]
T = TypeVar("T", bound="type[Step]")
STEPS: dict[str, type[Step]] = {}
"""Steps by name."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step; it happens with probability `p` (slot 0 of its stream)."""

    p: float = real(1.0, low=0, high=1)
    op: ClassVar[str]
    slots: ClassVar[int] = 0
    """Uniform numbers that `change` takes."""

    def validate(self) -> None:
        """Check arguments against each other; raise ZooError."""

    def change(self, rgb: Picture, u: list[float]) -> Picture:
        """The changed picture, of the same size."""
        raise NotImplementedError

    def change_mask(self, mask: Picture) -> Picture:
        """What the step does to the sample's mask, (H, W): most leave it alone, since it is drawn for the result."""
        return mask


def register_step(op: str) -> Callable[[T], T]:
    """Class decorator: the step can be configured by this name."""

    def register(cls: T) -> T:
        cls.op = op
        STEPS[op] = cls
        return cls

    return register


@dataclass(frozen=True, kw_only=True)
class Cut(Step):
    """A step that brings the picture to the size of the samples. It always happens."""

    filter: str = option("bicubic", tuple(FILTERS))

    def validate(self) -> None:
        """A crop by chance would leave pictures of other sizes."""
        if self.p != 1:
            raise ZooError(f"`p` of {self.op} must be 1: every sample needs its size")

    def crop(self, rgb: Picture, u: list[float], size: Size) -> Picture:
        """The crop, (H, W) = ``size``."""
        raise NotImplementedError


def _windowed(rgb: Picture, rule: str, size: Size, filter_name: str, place: Sequence[float] = (0, 0)) -> Picture:
    draws = (int(place[0] * 2**32), int(place[1] * 2**32))
    return cut(rgb, windows(rule, (rgb.shape[0], rgb.shape[1]), size, draws)[0], filter_name)


@register_step("center_crop")
@dataclass(frozen=True, kw_only=True)
class CenterCrop(Cut):
    """The middle, at the scale that just covers the size."""

    def crop(self, rgb: Picture, u: list[float], size: Size) -> Picture:
        """The same crop as the rule "center"."""
        return _windowed(rgb, "center", size, self.filter)


@register_step("squash")
@dataclass(frozen=True, kw_only=True)
class Squash(Cut):
    """The whole picture resized to the size, proportions lost."""

    def crop(self, rgb: Picture, u: list[float], size: Size) -> Picture:
        """The same as the rule "resize"."""
        return _windowed(rgb, "resize", size, self.filter)


@register_step("random_crop")
@dataclass(frozen=True, kw_only=True)
class RandomCrop(Cut):
    """A place in the picture: at its own resolution, or after the short side was resized to `short_side`.

    `short_side: [a, b]` draws it from a to b: [256, 256] scales the picture so that it just covers a crop of 256
    (GRIG), [256, 384] is GLCIC's. Without it only what is too small is enlarged (contextual attention).
    """

    short_side: tuple[int, int] = integers_of((0, 0), low=0)
    slots: ClassVar[int] = 3

    def validate(self) -> None:
        """The interval must run upwards."""
        super().validate()
        low, high = self.short_side
        if not 0 <= low <= high:
            raise ZooError(f"`short_side` of random_crop must be [low, high], got [{low}, {high}]")

    def crop(self, rgb: Picture, u: list[float], size: Size) -> Picture:
        """Slots: row, column, short side."""
        low, high = self.short_side
        if high == 0:
            return _windowed(rgb, "random", size, self.filter, u[:2])
        side = low + int(u[2] * (high - low + 1))
        H, W = rgb.shape[:2]
        short = min(H, W)
        # at least what covers the crop; sides rounded half up
        target = [
            max((2 * length * side + short) // (2 * short), part) for length, part in zip((H, W), size, strict=True)
        ]
        scaled = _windowed(rgb, "resize", (target[0], target[1]), self.filter)
        return _windowed(scaled, "random", size, self.filter, u[:2])


@register_step("random_resized_crop")
@dataclass(frozen=True, kw_only=True)
class RandomResizedCrop(Cut):
    """A rectangle of random area and proportions, resized to the size: torchvision's rule (AOT-GAN)."""

    scale: tuple[float, float] = reals_of((0.08, 1.0), low=0, high=1)
    ratio: tuple[float, float] = reals_of((3 / 4, 4 / 3), low=0.01, high=100)
    slots: ClassVar[int] = 40

    def validate(self) -> None:
        """Intervals must run upwards."""
        super().validate()
        for name in ("scale", "ratio"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ZooError(f"`{name}` of random_resized_crop must be [low, high] above 0, got [{low:g}, {high:g}]")

    def box(self, source: Size, u: list[float]) -> tuple[int, int, int, int]:
        """Top, left, height, width. Ten tries of four slots: area, proportion, row, column; else the middle."""
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

    def crop(self, rgb: Picture, u: list[float], size: Size) -> Picture:
        """The rectangle, resized."""
        top, left, h, w = self.box((rgb.shape[0], rgb.shape[1]), u)
        return _windowed(rgb[top : top + h, left : left + w], "resize", size, self.filter)


@dataclass(frozen=True, kw_only=True)
class _Flip(Step):
    """A flip of half the pictures. `with_mask`: the sample's mask is flipped with its picture (ISNet)."""

    p: float = real(0.5, low=0, high=1)
    with_mask: bool = flag(False)
    axis: ClassVar[int]

    def change(self, rgb: Picture, u: list[float]) -> Picture:
        import cv2

        return np.asarray(cv2.flip(rgb, self.axis))  # a tenth of numpy's time

    def change_mask(self, mask: Picture) -> Picture:
        return np.flip(mask, self.axis) if self.with_mask else mask


@register_step("hflip")
@dataclass(frozen=True, kw_only=True)
class HorizontalFlip(_Flip):
    """Left and right exchanged."""

    axis: ClassVar[int] = 1


@register_step("vflip")
@dataclass(frozen=True, kw_only=True)
class VerticalFlip(_Flip):
    """Top and bottom exchanged."""

    axis: ClassVar[int] = 0


_GREY = np.array([0.299, 0.587, 0.114])  # luma of Rec. 601, as torchvision weighs


@register_step("color_jitter")
@dataclass(frozen=True, kw_only=True)
class ColorJitter(Step):
    """Brightness, contrast, saturation and hue in random order, after torchvision; strengths as there.

    A strength s means factors 1 - s to 1 + s, for the hue shifts of -s to s turns of the colour circle. What is affine
    in RGB (all but the hue) is composed before it is applied, so bytes are rounded and clipped once, not after each.
    """

    brightness: float = real(0.0, low=0, high=1)
    contrast: float = real(0.0, low=0, high=1)
    saturation: float = real(0.0, low=0, high=1)
    hue: float = real(0.0, low=0, high=0.5)
    slots: ClassVar[int] = 8
    names: ClassVar[tuple[str, ...]] = ("brightness", "contrast", "saturation", "hue")

    def change(self, rgb: Picture, u: list[float]) -> Picture:
        """Slots 0 to 3: strengths; 4 to 7: the order, by size."""
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


def _affine(name: str, factor: float, rgb: Picture, before: NDArray[np.float64]) -> NDArray[np.float64]:
    """``before``, a (3, 4) map of RGB, followed by one change."""
    import cv2

    if name == "brightness":
        return before * factor
    if name == "contrast":  # about the mean grey of the picture as it is by then
        mean = before[:, :3] @ np.array(cv2.mean(rgb)[:3]) + before[:, 3]
        after = before * factor
        after[:, 3] += (1 - factor) * (_GREY @ mean)
        return after
    blend = factor * np.eye(3) + (1 - factor) * np.tile(_GREY, (3, 1))
    return blend @ before


def _apply(rgb: Picture, affine: NDArray[np.float64]) -> Picture:
    import cv2

    if np.array_equal(affine, np.eye(3, 4)):
        return rgb
    return np.asarray(cv2.transform(np.ascontiguousarray(rgb), affine))  # rounded and clipped to bytes


def _turn_hue(rgb: Picture, turns: float) -> Picture:
    import cv2

    hsv = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2HSV_FULL)  # hue of 256 steps
    hsv[..., 0] += np.uint8(round(turns * 256) % 256)  # wraps round
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL))


class Augmentation:
    """A list of steps for samples of one size.

    Args:
        steps: In order.
        size: (H, W) of the samples.

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
        """The numbers of step ``k``; None where it does not happen."""
        draws = Draws(seed, self._streams[k], np.array([position], dtype=np.uint64))
        event, *u = draws.table(0, 1 + self.steps[k].slots)[0].tolist()
        return u if event < self.steps[k].p else None

    def __call__(self, rgb: Picture, seed: int, position: int) -> Picture:
        """The sample at ``position`` of the stream from its photograph: (H, W, 3) uint8."""
        for k, step in enumerate(self.steps):
            u = self._draw(k, seed, position)
            if u is not None:
                rgb = step.crop(rgb, u, self.size) if isinstance(step, Cut) else step.change(rgb, u)
        return np.ascontiguousarray(rgb)

    def on_mask(self, mask: Picture, seed: int, position: int) -> Picture:
        """The mask of the sample at ``position``, (H, W), flipped where the picture is and the step says so."""
        for k, step in enumerate(self.steps):
            if isinstance(step, _Flip) and step.with_mask and self._draw(k, seed, position) is not None:
                mask = step.change_mask(mask)
        return np.ascontiguousarray(mask)

    def config(self) -> list[dict[str, Any]]:
        """The steps with their defaults filled in."""
        return [{"op": step.op, **args_dict(step)} for step in self.steps]


def create_augmentation(steps: Sequence[str | Mapping[str, Any]], size: Size) -> Augmentation:
    """Read a list of steps.

    Args:
        steps: Names, or mappings such as `{op: hflip, p: 0.5}`.
        size: (H, W) of the samples.

    Raises:
        ZooError: An unknown step or argument, a value out of range, or more than one step that cuts.

    Example:
        >>> create_augmentation(["random_resized_crop", {"op": "hflip", "p": 0.1}], (64, 64))
        Augmentation(random_resized_crop, hflip)
    """
    from inpaint_zoo.data import distortions  # noqa: F401 - it registers its steps in this module

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
        raise ZooError(f"`augment` may cut once, but has {' and '.join(cuts)}")
    return Augmentation(found, size)
