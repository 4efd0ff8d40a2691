"""The effective receptive field: where the gradient of the central output pixel lies, and a picture of it.

Source: Luo et al., Understanding the Effective Receptive Field in Deep Convolutional Neural Networks, NeurIPS 2016.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from inpaint_zoo.benchmark.receptive_field.walk import sides_for
from inpaint_zoo.errors import ZooError
from inpaint_zoo.interfaces import InpaintingNetwork

__all__ = ["MASS", "EffectiveField", "effective_field", "field_picture"]

MASS = 0.95
_DECADES = 4  # of the picture's logarithmic scale
_PICTURE = 512  # shorter side of the picture at least
_THEORY, _MASS, _PAPER, _INK = (255, 255, 255), (80, 220, 120), (24, 24, 28), (236, 238, 242)


class EffectiveField(NamedTuple):
    """Measured.

    Attributes:
        gradient: (H, W) float64, magnitude for each input pixel, its sum 1.
        side: Of the smallest square around the central pixel that holds `MASS` of it; clipped at the picture.
        samples: Random pictures that the mean is over.
    """

    gradient: NDArray[np.float64]
    side: int
    samples: int


def effective_field(net: InpaintingNetwork, height: int, width: int, samples: int = 4, seed: int = 0) -> EffectiveField:
    """Measure it on pictures of noise, with a hole of a quarter of the sides around the centre.

    The gradient is that of the sum of the last raw prediction's colours at pixel (H // 2, W // 2), with respect to what
    `predict` finds as its image, the hole included: so the theoretical field bounds it. Its absolute values are summed
    over colours and averaged over the pictures.

    Args:
        net: In eval mode, on the device where it shall run.
        height: Of the picture; padded as the network needs it.
        width: ...
        samples: How many pictures.
        seed: Of the noise.

    Raises:
        ZooError: The gradient is zero or not finite everywhere, or there is none.
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
    return EffectiveField(total / mass, _side(total / mass), samples)


def _side(gradient: NDArray[np.float64]) -> int:
    rows, columns = (np.abs(np.arange(length) - length // 2) for length in gradient.shape)
    distance = np.maximum(rows[:, None], columns)
    held = np.cumsum(np.bincount(distance.ravel(), gradient.ravel()))
    return min(2 * int(np.argmax(held >= MASS * held[-1])) + 1, max(gradient.shape))


def field_picture(
    field: EffectiveField, centre: tuple[tuple[int, int], tuple[int, int]], title: str
) -> NDArray[np.uint8]:
    """(H', W', 3): the gradient on a logarithmic scale, white what is seen in theory, green the square of `side`.

    Args:
        field: Measured.
        centre: First and last row, then column, that the central pixel sees in theory: `Reach.centre`.
        title: The line above.
    """
    H, W = field.gradient.shape
    factor = max(1, -(-_PICTURE // min(H, W)))
    decades = np.log10(np.maximum(field.gradient / field.gradient.max(), 10.0**-_DECADES)) / _DECADES + 1
    colours = cv2.applyColorMap((decades * 255).round().astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    large = np.repeat(np.repeat(colours, factor, axis=0), factor, axis=1)
    head = 52
    sheet = Image.new("RGB", (W * factor, H * factor + head), _PAPER)
    sheet.paste(Image.fromarray(np.ascontiguousarray(large)), (0, head))
    draw = ImageDraw.Draw(sheet)
    reach = field.side // 2
    square = tuple((max(side // 2 - reach, 0), min(side // 2 + reach, side - 1)) for side in (H, W))
    for ((top, bottom), (left, right)), colour in ((centre, _THEORY), (square, _MASS)):
        box = (left * factor, top * factor + head, (right + 1) * factor - 1, (bottom + 1) * factor - 1 + head)
        draw.rectangle(box, outline=colour, width=2)
    draw.text((10, 8), title, _INK, ImageFont.load_default(size=15))
    legend = [
        ("white: seen in theory", _THEORY),
        (f"green: {MASS:.0%} of the gradient, {field.side} px", _MASS),
        (f"log scale, {_DECADES} decades", _INK),
    ]
    font, left = ImageFont.load_default(size=12), 10.0
    for text, colour in legend:
        draw.text((left, 30), text, colour, font)
        left += draw.textlength(text, font) + 20
    return np.asarray(sheet, dtype=np.uint8)
