"""DiffAugment: colours and places of a batch, changed on its device by differentiable operations.

Source: Zhao et al., NeurIPS 2020, policy "color,translation", as GRIG trains with it (specs/grig.md, 8.2). Random
numbers are drawn on the CPU, so that a seed means the same on every device. With a generator that all processes seed
alike, each sample gets the numbers that it gets in a single process (`own_samples`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from inpaint_zoo.errors import unknown_name
from inpaint_zoo.ops.ranks import own_samples

__all__ = [
    "AugmentStep",
    "Colors",
    "change_colors",
    "check_augment_steps",
    "diff_augment",
    "draw_colors",
    "draw_shifts",
    "translate",
]

AugmentStep = Literal["color", "translation"]


class Colors(NamedTuple):
    """How the colours of each picture change; each (B,).

    Attributes:
        brightness: Added, in units of [-1, 1].
        saturation: Factor of what each channel has beyond the mean of the three.
        contrast: Factor of what each value has beyond the mean of the picture.
    """

    brightness: Tensor
    saturation: Tensor
    contrast: Tensor


def draw_colors(count: int, strength: float = 1.0, generator: torch.Generator | None = None) -> Colors:
    """Colours of ``count`` pictures: brightness in +-0.5, saturation in 1 +- 1, contrast in 1 +- 0.5, uniformly.

    Args:
        count: B.
        strength: Factor of the three intervals; 0 changes nothing.
        generator: Of the CPU; by default torch's own.
    """
    numbers = own_samples(lambda whole: torch.rand(3, whole, generator=generator), count)
    brightness, saturation, contrast = strength * (2 * numbers - 1)
    return Colors(0.5 * brightness, 1 + saturation, 1 + 0.5 * contrast)


def change_colors(x: Tensor, colors: Colors) -> Tensor:
    """Brightness, then saturation, then contrast. Nothing is clamped.

    Args:
        x: (B, 3, H, W) in [-1, 1].
        colors: Of B pictures.
    """
    brightness, saturation, contrast = (value.to(x.device, x.dtype).view(-1, 1, 1, 1) for value in colors)
    x = x + brightness
    grey = x.mean(1, keepdim=True)
    x = (x - grey) * saturation + grey
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * contrast + mean


def draw_shifts(
    count: int, size: tuple[int, int], strength: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """(B, 2) int64: pixels down and to the right, uniformly from whole numbers up to an eighth of each side.

    Args:
        count: B.
        size: (H, W).
        strength: Factor of the eighth, which is rounded half up after it; 0 moves nothing.
        generator: Of the CPU; by default torch's own.
    """

    def shifts(side: int) -> Tensor:
        reach = int(side / 8 * strength + 0.5)
        return own_samples(lambda whole: torch.randint(-reach, reach + 1, (whole,), generator=generator), count)

    return torch.stack([shifts(side) for side in size], 1)


def translate(x: Tensor, shifts: Tensor) -> Tensor:
    """Move each picture by its shift; what comes in is 0, mid-grey in [-1, 1] and known in a mask.

    Args:
        x: (B, C, H, W).
        shifts: (B, 2), pixels down and to the right.

    Example:
        >>> translate(torch.arange(1.0, 5.0).view(1, 1, 2, 2), torch.tensor([[0, 1]]))[0, 0]
        tensor([[0., 1.],
                [0., 3.]])
    """
    B, _, H, W = x.shape
    (rows, in_rows), (columns, in_columns) = (
        _sources(length, shift) for length, shift in zip((H, W), shifts.to(x.device).unbind(1), strict=True)
    )
    item = torch.arange(B, device=x.device)[:, None, None]
    moved = x[item, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    inside = in_rows[:, :, None] & in_columns[:, None, :]
    return moved.masked_fill(~inside[:, None], 0)


def _sources(length: int, shift: Tensor) -> tuple[Tensor, Tensor]:
    """(B, length) each: where a line comes from, and whether that lies in the picture."""
    source = torch.arange(length, device=shift.device) - shift[:, None]
    return source.clamp(0, length - 1), (source >= 0) & (source < length)


def check_augment_steps(name: str, steps: Sequence[str]) -> None:
    """Refuse what is no step of `diff_augment`.

    Raises:
        UnknownNameError: Naming the argument.
    """
    for step in steps:
        if step not in get_args(AugmentStep):
            raise unknown_name(f"`{name}`:", step, get_args(AugmentStep))


def diff_augment(
    pictures: Sequence[Tensor],
    steps: Sequence[AugmentStep],
    moved: Sequence[Tensor] = (),
    generator: torch.Generator | None = None,
) -> list[Tensor]:
    """Change batches that belong together: each gets colours of its own, all move alike.

    Args:
        pictures: Each (B, 3, H, W) in [-1, 1]; results may leave it.
        steps: Which of the two; in this order whatever their order here.
        moved: Each (B, C, H, W), translated with the pictures and otherwise left alone: masks.
        generator: Of the CPU; by default torch's own.

    Returns:
        Pictures, then ``moved``.
    """
    first = pictures[0]
    changed = list(pictures)
    if "color" in steps:
        changed = [change_colors(x, draw_colors(len(x), generator=generator)) for x in changed]
    changed += moved
    if "translation" in steps:
        shifts = draw_shifts(len(first), (first.shape[-2], first.shape[-1]), generator=generator)
        changed = [translate(x, shifts) for x in changed]
    return changed
