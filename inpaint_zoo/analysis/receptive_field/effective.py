"""The effective receptive field: the distribution of the central output pixel's gradient, and an image of it.

Source: Luo et al., Understanding the Effective Receptive Field in Deep Convolutional Neural Networks, NeurIPS 2016.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from inpaint_zoo.analysis.receptive_field.walk import sides_for
from inpaint_zoo.errors import ZooError
from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = ["MASS", "EffectiveField", "effective_field", "field_image"]

MASS = 0.95
_DECADES = 4  # decades of the image's logarithmic scale
_MIN_SIDE = 512  # minimum of the image's shorter side
_THEORY, _MASS, _PAPER, _INK = (255, 255, 255), (80, 220, 120), (24, 24, 28), (236, 238, 242)


class EffectiveField(NamedTuple):
    """A measured effective receptive field.

    Attributes:
        gradient: (H, W) float64, gradient magnitude of each input pixel; the sum is 1.
        side: Side in pixels of the smallest square around the central pixel that contains `MASS` of the gradient, at
            most the image size.
        samples: Number of random images averaged over.
    """

    gradient: NDArray[np.float64]
    side: int
    samples: int


def effective_field(net: InpaintingNetwork, height: int, width: int, samples: int = 4, seed: int = 0) -> EffectiveField:
    """Measure the effective receptive field on noise images with a central hole of a quarter of the height and width.

    The function computes the gradient of the last raw prediction at pixel (H // 2, W // 2), summed over the color
    channels, with respect to the image that `predict` gets, including the hole. The theoretical receptive field
    therefore bounds it. Absolute values are summed over color channels and averaged over the images.

    Args:
        net: Network in eval mode, on the device to use.
        height: Height of the image in pixels; padded as the network requires.
        width: Width of the image in pixels.
        samples: Number of noise images.
        seed: Seed of the noise.

    Raises:
        ZooError: If there is no gradient, or if it is zero or not finite.
    """
    rows, columns = sides_for(net, height, width)
    like = next(net.parameters())
    generator = torch.Generator().manual_seed(seed)
    low, high = net.value_range
    mask = torch.zeros(1, 1, rows, columns).to(like)
    mask[..., 3 * rows // 8 : 5 * rows // 8, 3 * columns // 8 : 5 * columns // 8] = 1
    total = np.zeros((rows, columns))
    for _ in range(samples):
        noise = torch.rand(1, 3, rows, columns, generator=generator).to(like) * (high - low) + low
        image = torch.where(mask > 0.5, net.hole_value, noise).requires_grad_()
        *_, prediction = net.predict(image, mask).values()
        pixel = prediction[..., rows // 2, columns // 2].sum()
        if not pixel.requires_grad:
            raise ZooError("The prediction of this network has no gradient, so its effective field cannot be measured.")
        (gradient,) = torch.autograd.grad(pixel, image)
        total += gradient.abs().sum(dim=(0, 1)).double().cpu().numpy()
    mass = float(total.sum())
    if not (np.isfinite(mass) and mass > 0):
        raise ZooError(f"The gradient of this network adds up to {mass}, so its effective field cannot be measured.")
    return EffectiveField(total / mass, half_mass_side(total / mass), samples)


def half_mass_side(gradient: NDArray[np.float64]) -> int:
    """Return the size in pixels of the smallest centered square that holds the share `MASS` of the gradient (H, W)."""
    rows, columns = (np.abs(np.arange(length) - length // 2) for length in gradient.shape)
    distance = np.maximum(rows[:, None], columns)
    held = np.cumsum(np.bincount(distance.ravel(), gradient.ravel()))
    return min(2 * int(np.argmax(held >= MASS * held[-1])) + 1, max(gradient.shape))


def field_image(
    field: EffectiveField, center: tuple[tuple[int, int], tuple[int, int]], title: str
) -> NDArray[np.uint8]:
    """Return an image (H', W', 3) of the gradient on a logarithmic scale, with two outlines.

    A white outline shows the theoretical receptive field, a green one the square of size `side`.

    Args:
        field: The measured field.
        center: First and last row, and first and last column, in the theoretical receptive field of the central pixel:
            `Reach.center`.
        title: The line at the top.
    """
    H, W = field.gradient.shape
    factor = max(1, -(-_MIN_SIDE // min(H, W)))
    decades = np.log10(np.maximum(field.gradient / field.gradient.max(), 10.0**-_DECADES)) / _DECADES + 1
    colors = cv2.applyColorMap((decades * 255).round().astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    large = np.repeat(np.repeat(colors, factor, axis=0), factor, axis=1)
    head = 52
    sheet = Image.new("RGB", (W * factor, H * factor + head), _PAPER)
    sheet.paste(Image.fromarray(np.ascontiguousarray(large)), (0, head))
    draw = ImageDraw.Draw(sheet)
    reach = field.side // 2
    square = tuple((max(side // 2 - reach, 0), min(side // 2 + reach, side - 1)) for side in (H, W))
    for ((top, bottom), (left, right)), color in ((center, _THEORY), (square, _MASS)):
        box = (left * factor, top * factor + head, (right + 1) * factor - 1, (bottom + 1) * factor - 1 + head)
        draw.rectangle(box, outline=color, width=2)
    draw.text((10, 8), title, _INK, ImageFont.load_default(size=15))
    legend = [
        ("white: theoretical receptive field", _THEORY),
        (f"green: {MASS:.0%} of the gradient, {field.side} px", _MASS),
        (f"log scale, {_DECADES} decades", _INK),
    ]
    font, left = ImageFont.load_default(size=12), 10.0
    for text, color in legend:
        draw.text((left, 30), text, color, font)
        left += draw.textlength(text, font) + 20
    return np.asarray(sheet, dtype=np.uint8)
