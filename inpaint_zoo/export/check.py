"""Compare an exported file, run by its own runtime, with the network that it was exported from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inpaint_zoo.data import sample_files
from inpaint_zoo.errors import ZooError
from inpaint_zoo.export.errors import ExportError, SizeError
from inpaint_zoo.inference.batch import to_tensors
from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.io.images import read_image

__all__ = ["TOLERANCE", "Difference", "check_file", "check_sizes", "sample_pair"]

TOLERANCE = {"fp32": 1e-3, "fp16": 5e-3, "bf16": 2e-2, "int8": 5e-2}
"""Largest accepted difference in the hole, for values in [0, 1]: of any pixel for fp32, of the mean otherwise."""


class Difference(NamedTuple):
    """How much an exported file differs from the network, for one image.

    Attributes:
        size: Height and width of the image.
        largest: Largest absolute difference, for values in [0, 1].
        mean: Mean absolute difference in the hole.
        psnr_network: PSNR of the network's result in dB.
        psnr_file: PSNR of the file's result in dB.
    """

    size: tuple[int, int]
    largest: float
    mean: float
    psnr_network: float
    psnr_file: float


def sample_pair(index: int, size: tuple[int, int], split: str = "test") -> tuple[Tensor, Tensor]:
    """Return a sample image that ships with scikit-image, (1, 3, H, W) in [0, 1], and a mask (1, 1, H, W), 1 = hole.

    Args:
        index: Number of the image and of the mask; images are repeated.
        size: Height and width; images are cropped around their center, or mirrored if they are smaller.
        split: Split of the sample images. No shipped weights were trained on "test".
    """
    files = sorted(sample_files(split).items())
    rgb = read_image(files[index % len(files)][1]).rgb
    missing = [max(side - length, 0) for side, length in zip(size, rgb.shape[:2], strict=True)]
    rgb = np.pad(rgb, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")
    top, left = ((length - side) // 2 for side, length in zip(size, rgb.shape[:2], strict=True))
    crop = np.ascontiguousarray(rgb[top : top + size[0], left : left + size[1]])
    image, mask = to_tensors(crop[None], _hole(index, size)[None])
    return image, mask.float()


def _hole(index: int, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a hole (H, W) of a box and a stroke through the image, which every size has."""
    height, width = size
    hole = np.zeros(size, dtype=bool)
    top, left = (height * (1 + index % 3)) // 8, (width * (2 + index % 4)) // 8
    hole[top : top + height // 3, left : left + width // 3] = True
    hole[(3 * height) // 4 : (3 * height) // 4 + max(2, height // 32)] = True
    return hole


def check_sizes(net: InpaintingNetwork, smallest: int, size: tuple[int, int] | None) -> list[tuple[int, int]]:
    """Return three sizes at which a file is compared: its only size three times, or different ones if it has several.

    Args:
        net: The network.
        smallest: Smallest height and width that the file takes.
        size: The file's only size; None if it takes several sizes.
    """
    if size is not None:
        return [size] * 3
    step, side = net.divisor, max(smallest, 48 // net.divisor * net.divisor)
    return [(smallest, smallest), (side + 2 * step, side + step), (side + step, side + 3 * step)]


def check_file(
    net: InpaintingNetwork, file: InpaintingNetwork, sizes: Sequence[tuple[int, int]], precision: str
) -> list[Difference]:
    """Compare a file with the network at the given sizes, on sample images.

    Args:
        net: The network.
        file: The loaded file.
        sizes: Heights and widths.
        precision: Precision of the file; a key of `TOLERANCE`.

    Raises:
        SizeError: If the file fails for one of the sizes.
        ExportError: If they differ by more than `TOLERANCE` allows, or a known pixel is changed.
    """
    found = []
    for index, size in enumerate(sizes):
        image, mask = sample_pair(index, size)
        with torch.no_grad():
            expected = net(image, mask)
            try:
                result = file(image, mask)
            except ZooError as error:
                raise SizeError(f"the file fails for {size[0]}x{size[1]} px: {error}") from error
        known = mask.expand_as(image) < 0.5
        if not torch.equal(result[known], image[known]):
            raise ExportError("the file changes known pixels")
        difference = (result - expected).abs()
        mean = float(difference[~known].mean())
        each = Difference(size, float(difference.max()), mean, _psnr(expected, image), _psnr(result, image))
        worst = each.largest if precision == "fp32" else each.mean
        if not worst <= TOLERANCE[precision]:  # also if it is NaN
            what = "" if precision == "fp32" else "mean "
            raise ExportError(
                f"the file does not compute what the network computes: at {size[0]}x{size[1]} px, the {what}difference "
                f"is {worst:.2g}, the limit for {precision} is {TOLERANCE[precision]:g}"
            )
        found.append(each)
    return found


def _psnr(result: Tensor, truth: Tensor) -> float:
    return float(-10 * (result - truth).square().mean().clamp(min=1e-10).log10())
