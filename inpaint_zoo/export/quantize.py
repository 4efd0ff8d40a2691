"""Quantize the convolutions of an exported ONNX file to 8 bits, by ONNX Runtime's static quantization."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from inpaint_zoo.export.check import sample_pair
from inpaint_zoo.export.writers import Sizes
from inpaint_zoo.io.atomic import atomic_path
from inpaint_zoo.ops import spread_known

__all__ = ["quantize"]

IMAGES = 8  # for calibration; none of them is an image of the comparison
CALIBRATION_SIDE = 256
FIRST_IMAGE = 100


def quantize(path: Path, sizes: Sizes, filled: bool) -> None:
    """Replace a float32 file by one whose convolutions have 8-bit inputs and weights, calibrated on sample images.

    The first and the last convolution stay in float32, because they take and return colors. The weights use 7 of the 8
    bits, so that processors without VNNI instructions do not overflow.

    Args:
        path: The file.
        sizes: Sizes that it takes.
        filled: Whether it takes images whose hole is filled.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    feeds = _feeds(sizes, filled)

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # the package has no types
        def get_next(self) -> dict[str, Any] | None:
            return next(feeds, None)

    model = onnx.load(path)
    convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"]
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with atomic_path(path) as temporary:
            quantize_static(
                model,
                temporary,
                Reader(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                nodes_to_exclude=[convolutions[0], convolutions[-1]],
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
    finally:
        logging.disable(before)


def _feeds(sizes: Sizes, filled: bool) -> Iterator[dict[str, Any]]:
    """Yield the inputs of the calibration."""
    side = max(-(-CALIBRATION_SIDE // sizes.divisor) * sizes.divisor, sizes.smallest)
    for number in range(FIRST_IMAGE, FIRST_IMAGE + IMAGES):
        image, mask = sample_pair(number, sizes.only or (side, side), "train")
        if filled:
            image = torch.where(mask > 0.5, spread_known(image * (1 - mask), mask), image)
        yield {"image": image.numpy(), "mask": mask.numpy()}
