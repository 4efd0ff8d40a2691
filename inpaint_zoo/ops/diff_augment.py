"""DiffAugment: differentiable random changes of color and translations of a batch, on the batch's device.

Source: Zhao et al., NeurIPS 2020, policy "color,translation", as GRIG uses it (docs/papers/grig.md, "DiffAugment").
Random numbers are drawn on the CPU, so that a seed gives the same result on every device. If all processes seed the
random generator equally, each sample gets the numbers that it gets in a single process (`own_samples`).
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
    """Parameters of the color change of each image; each (B,).

    Attributes:
        brightness: Added to every value, for images in [-1, 1].
        saturation: Factor of the difference between each channel and the mean of the pixel's three channels.
        contrast: Factor of the difference between each value and the mean of the image.
    """

    brightness: Tensor
    saturation: Tensor
    contrast: Tensor


def draw_colors(count: int, strength: float = 1.0, generator: torch.Generator | None = None) -> Colors:
    """Draw color changes uniformly: brightness in [-0.5, 0.5], saturation in [0, 2], contrast in [0.5, 1.5].

    Args:
        count: Number of images, B.
        strength: Factor of the deviations from no change; 0 changes nothing.
        generator: CPU random generator; None uses PyTorch's global one.
    """
    numbers = own_samples(lambda whole: torch.rand(3, whole, generator=generator), count)
    brightness, saturation, contrast = strength * (2 * numbers - 1)
    return Colors(0.5 * brightness, 1 + saturation, 1 + 0.5 * contrast)


def change_colors(x: Tensor, colors: Colors) -> Tensor:
    """Change brightness, then saturation, then contrast, without clamping.

    Args:
        x: (B, 3, H, W) in [-1, 1].
        colors: Color changes of B images.
    """
    brightness, saturation, contrast = (value.to(x.device, x.dtype).view(-1, 1, 1, 1) for value in colors)
    x = x + brightness
    gray = x.mean(1, keepdim=True)
    x = (x - gray) * saturation + gray
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * contrast + mean


def draw_shifts(
    count: int, size: tuple[int, int], strength: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Draw shifts down and to the right in pixels, (B, 2) int64, uniformly up to an eighth of height and width.

    Args:
        count: Number of images, B.
        size: (H, W).
        strength: Factor of the eighth, applied before rounding half up; 0 moves nothing.
        generator: CPU random generator; None uses PyTorch's global one.
    """

    def shifts(side: int) -> Tensor:
        reach = int(side / 8 * strength + 0.5)
        return own_samples(lambda whole: torch.randint(-reach, reach + 1, (whole,), generator=generator), count)

    return torch.stack([shifts(side) for side in size], 1)


def translate(x: Tensor, shifts: Tensor) -> Tensor:
    """Translate each image by its shift.

    New pixels are 0, which is mid-gray for images in [-1, 1] and known in a mask.

    Args:
        x: (B, C, H, W).
        shifts: Shifts down and to the right in pixels, (B, 2).

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
    """Return the source index of each row or column, clamped to the image, and whether it lies inside; (B, length)."""
    source = torch.arange(length, device=shift.device) - shift[:, None]
    return source.clamp(0, length - 1), (source >= 0) & (source < length)


def check_augment_steps(name: str, steps: Sequence[str]) -> None:
    """Check that ``steps`` are steps of `diff_augment`.

    Raises:
        UnknownNameError: If a step is unknown; the message contains the argument's name ``name``.
    """
    for step in steps:
        if step not in get_args(AugmentStep):
            raise unknown_name(f"`{name}`:", step, get_args(AugmentStep))


def diff_augment(
    images: Sequence[Tensor],
    steps: Sequence[AugmentStep],
    moved: Sequence[Tensor] = (),
    generator: torch.Generator | None = None,
) -> list[Tensor]:
    """Augment several batches that belong together, with independent color changes and common translations.

    Args:
        images: Batches of images, each (B, 3, H, W) in [-1, 1]; the results may exceed this range.
        steps: The steps to apply; "color" always precedes "translation".
        moved: Batches (B, C, H, W), such as masks, that are translated with the images but otherwise unchanged.
        generator: CPU random generator; None uses PyTorch's global one.

    Returns:
        The augmented images, then the translated ``moved``.
    """
    first = images[0]
    changed = list(images)
    if "color" in steps:
        changed = [change_colors(x, draw_colors(len(x), generator=generator)) for x in changed]
    changed += moved
    if "translation" in steps:
        shifts = draw_shifts(len(first), (first.shape[-2], first.shape[-1]), generator=generator)
        changed = [translate(x, shifts) for x in changed]
    return changed
