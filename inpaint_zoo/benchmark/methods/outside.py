"""A model from outside the package as an `InpaintingNetwork`, which converts images and masks by its convention."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from inpaint_zoo.benchmark.convention import Convention
from inpaint_zoo.benchmark.detection import Detector, check_shape
from inpaint_zoo.errors import ZooError
from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.ops import change_range, describe, pad_to_multiple, spread_known

__all__ = ["OutsideNetwork", "Run"]

Run = Callable[[Sequence[Tensor], str], object]
"""Runs a model on its arguments, which follow its convention, for the image with the given key. Returns its output."""


class OutsideNetwork(InpaintingNetwork):
    """A model from outside the package. It takes one image at a time.

    Args:
        run: Runs the model.
        convention: Its convention.
        fixed_range: Whether ``run`` itself guarantees the value ranges.
    """

    def __init__(self, run: Run, convention: Convention, fixed_range: bool = False) -> None:
        super().__init__()
        self.run, self.convention = run, convention
        self.detector = Detector(convention, fixed_range)
        self.value_range, self.padding = convention.range, convention.padding
        self.divisor, self.min_size = convention.multiple_of, convention.min_size
        self.pads_hole = convention.pads_hole
        self.takes_hole_fill = isinstance(convention.hole_value, str)
        # mirrored parts of a filled hole in the padding get the middle of the range, if they count as known
        middle = sum(convention.range) / 2
        self.hole_value = middle if isinstance(convention.hole_value, str) else convention.hole_value

    def stages_unchecked(
        self,
        image: Tensor,
        mask: Tensor,
        *,
        hole_fill: Tensor | None = None,
        scaled_to: tuple[float, float] = (0.0, 1.0),
        **options: Any,
    ) -> dict[str, Tensor]:
        """Return the prediction, resized to the size of ``image``."""
        small, hole = self._resized(image, mask)
        stages = super().stages_unchecked(small, hole, hole_fill=hole_fill, scaled_to=scaled_to, **options)
        if small.shape == image.shape:
            return stages
        return {name: _resize(x, (image.shape[-2], image.shape[-1])) for name, x in stages.items()}

    def native(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the arguments of `predict` for an image in [0, 1] and a mask with 1 = hole."""
        return self.preprocess(*self._resized(image, mask))

    def _resized(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        size = self.convention.size
        if size is None or self.convention.size_by == "pad" or size == (image.shape[-2], image.shape[-1]):
            return image, mask
        small = _resize(image.masked_fill(mask > 0.5, 0), size)
        return small.clamp(0, 1), (_resize(mask, size) > 0).to(mask.dtype)  # no pixel of the hole counts as known

    def preprocess(self, image: Tensor, mask: Tensor, hole_fill: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the arguments of `predict`: image in the native range with the hole filled, and mask, both padded.

        Raises:
            ZooError: If the image is larger than the only size that the model takes.
        """
        known = image.masked_fill(mask > 0.5, 0)
        if self.convention.hole_value == "neighbor_fill":
            hole_fill = spread_known(known, mask)
        elif self.convention.hole_value == "mean":
            count = (1 - mask).sum((2, 3), keepdim=True).clamp(min=1)
            hole_fill = (known.sum((2, 3), keepdim=True) / count).expand_as(image)
        padded, hole = super().preprocess(image, mask, hole_fill)
        target = self._padded_size(padded.shape[-2], padded.shape[-1])
        padding = self.padding if self.pads_hole else "zeros"
        return pad_to_multiple(padded, target, mode=self.padding), pad_to_multiple(hole, target, mode=padding)

    def _padded_size(self, height: int, width: int) -> tuple[int, int]:
        if self.convention.square:
            return max(height, width), max(height, width)
        size = self.convention.size
        if size is None:
            return height, width
        if height > size[0] or width > size[1]:
            raise ZooError(
                f"the image has {height}x{width} px, but `size` is {size[0]}x{size[1]} px: set `size_by: resize`, or "
                "use smaller images"
            )
        return size

    def predict(self, image: Tensor, mask: Tensor, key: str = "") -> dict[str, Tensor]:
        """Run the model on one image.

        Args:
            image: (1, 3, H, W), see `preprocess`.
            mask: (1, 1, H, W), 1 = hole.
            key: Key of the image.

        Raises:
            ZooError: If the model fails, or does not follow its convention.
        """
        arguments = self.arrange(image, mask)
        try:
            with torch.no_grad():
                raw = self.run(arguments, key)
        except ZooError:
            raise
        except Exception as error:  # code from outside the package may raise any error
            given = " and ".join(describe(argument) for argument in arguments)
            raise ZooError(
                f"it failed on {given}: {_last_line(error)}; if it takes other arguments, check `inputs`, "
                "`mask_channels`, `layout`, `size` and `multiple_of` of its convention"
            ) from error
        size = (image.shape[-2], image.shape[-1])
        output = check_shape(raw, size, self.convention.layout).to(image.device)
        output = output.flip(1) if self.convention.channels == "bgr" else output
        self.detector.check(output, image, mask, key)
        return {"prediction": change_range(output, self.convention.output_range, self.convention.range)}

    def arrange(self, image: Tensor, mask: Tensor) -> list[Tensor]:
        """Return the arguments of the model: polarity and channels of the mask, order, layout."""
        convention = self.convention
        inverted = torch.where(mask > 0.5, convention.mask_hole, convention.mask_known).to(image.dtype)
        parts = {
            "image": image.flip(1) if convention.channels == "bgr" else image,
            "mask": inverted.expand(-1, convention.mask_channels, -1, -1),
        }
        arguments = [torch.cat([parts[name] for name in given.split("+")], 1) for given in convention.inputs]
        if convention.layout == "channels_last":
            arguments = [argument.permute(0, 2, 3, 1) for argument in arguments]
        return [argument.contiguous() for argument in arguments]


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size, mode="bilinear", antialias=True, align_corners=False)


def _last_line(error: Exception) -> str:
    """Return the type and the last line of the message, which for TorchScript is the only one without a traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kind = f"{type(error).__name__}: "  # TorchScript's message contains it, too
    return kind + (lines[-1].rstrip(".").removeprefix(kind) if lines else "no message")
