"""The contract that every model keeps, and the checks at its border.

Outside: images are float (B, 3, H, W) RGB in [0, 1], masks float (B, 1, H, W) with 1 = hole, 0 = known. Inside, each
network has its own range, hole value and sides; `InpaintingNetwork` converts once on the way in and once on the way
out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from inpaint_zoo.errors import ZooError
from inpaint_zoo.ops import composite, crop_to, from_range, pad_to_multiple, to_range
from inpaint_zoo.ops.padding import Padding

__all__ = ["MIN_SIDE", "InpaintingNetwork", "Origin", "check_pair", "check_values"]

MIN_SIDE = 16  # every model takes every height and width from here up


class Origin(NamedTuple):
    """What a network was built as: its registry name and the options given; written into its weight files."""

    name: str
    options: dict[str, Any]


def _describe(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    return type(value).__name__


def check_pair(image: Tensor, mask: Tensor) -> None:
    """Refuse an image and mask whose types, shapes or devices break the contract. Costs nothing on the device.

    Raises:
        ZooError: Names the argument, what it got and what it wants.
    """
    for name, value, channels in (("image", image, 3), ("mask", mask, 1)):
        if not isinstance(value, Tensor):
            raise ZooError(
                f"`{name}` must be a tensor (B, {channels}, H, W), got {_describe(value)}. "
                "inpaint() takes pictures, arrays and paths."
            )
        if value.ndim != 4:
            raise ZooError(
                f"`{name}` must be (B, {channels}, H, W), got {_describe(value)}. A single one: `{name}[None]`."
            )
        if value.shape[1] != channels:
            way_out = "If it came from an RGB file, keep one channel: `mask[:, :1]`." if name == "mask" else "Use RGB."
            raise ZooError(
                f"`{name}` must have {channels} channel(s) in dimension 1, got {_describe(value)}. {way_out}"
            )
        if not value.is_floating_point():
            scale = "`image.float() / 255`" if name == "image" else "`mask.float()`"
            raise ZooError(f"`{name}` must be a floating-point tensor, got {_describe(value)}. Bytes: {scale}.")
    B, _, H, W = image.shape
    if mask.shape[0] != B or mask.shape[2:] != image.shape[2:]:
        raise ZooError(f"`mask` must be ({B}, 1, {H}, {W}) to match `image`, got {_describe(mask)}.")
    if B < 1 or min(H, W) < MIN_SIDE:
        raise ZooError(
            f"`image` must hold at least one picture with sides from {MIN_SIDE} px up, got {_describe(image)}. "
            "inpaint() pads smaller ones."
        )
    if image.device != mask.device:
        raise ZooError(f"`mask` must be on the device of `image` ({image.device}), got {mask.device}.")


def check_values(image: Tensor, mask: Tensor) -> None:
    """Refuse a mask that is not binary and known pixels that are not in [0, 1]. Waits for the device.

    Raises:
        ZooError: Names the argument, the worst value and what it must be.
    """
    binary = (mask == 0) | (mask == 1)
    if not bool(binary.all()):
        worst = mask[~binary].flatten()[0].item()
        raise ZooError(
            f"`mask` must hold only 0 (known) and 1 (hole), got {worst:g}. Grey masks: `(mask > 0.5).float()`."
        )
    known = (mask == 0).expand_as(image)
    wrong = known & ~((image >= 0) & (image <= 1))  # written so that NaN counts as wrong
    if bool(wrong.any()):
        worst = image[wrong].flatten()[0].item()
        raise ZooError(
            f"`image` must lie in [0, 1] wherever the mask is 0, got {worst:g}. "
            "From [-1, 1]: `(image + 1) / 2`; from bytes: `image.float() / 255`."
        )


def _check_filled(filling: Tensor, mask: Tensor) -> None:
    wrong = (mask > 0.5).expand_as(filling) & ~((filling >= 0) & (filling <= 1))
    if bool(wrong.any()):
        raise ZooError(f"`filling` must lie in [0, 1] in the hole, got {filling[wrong].flatten()[0].item():g}.")


class InpaintingNetwork(nn.Module, ABC):
    """A network that fills holes, under the contract of this file.

    A subclass implements `predict` in its paper's own conventions and states them as class attributes; checks,
    conversion, padding and compositing happen here. Known pixels of the result are bit-identical to the input's, and
    nothing that lies under the hole of ``image``, NaN included, can change it.

    Attributes:
        divisor: Sides that `predict` accepts are multiples of it.
        min_size: ... and at least this; `pad_to_multiple` sees to both.
        value_range: (low, high) of the images that `predict` takes and gives.
        hole_value: What `predict` finds in the holes, in ``value_range``.
        padding: How the image grows to those sides, its hole already filled; a filling takes its place afterwards.
        pads_hole: Whether the mask grows in the same way; else all that is added counts as known.
        takes_filling: Whether what stands in the hole reaches `predict`'s result, so that a filling can take its place.
        origin: Registry name and options, set by `create_model`.
    """

    divisor: int = 1
    min_size: int = 1
    value_range: tuple[float, float] = (0.0, 1.0)
    hole_value: float = 0.0
    padding: Padding = "symmetric"
    pads_hole: bool = True
    takes_filling: bool = False
    origin: Origin | None = None

    @abstractmethod
    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Raw predictions by stage name, the last one last.

        Shape:
            image (B, 3, H, W) in ``value_range`` with ``hole_value`` in the hole, mask (B, 1, H, W), 1 = hole; H and W
            suit ``divisor`` and ``min_size``. Each result (B, 3, H, W) in the units of ``value_range``, neither
            composited nor clamped: a clamp would leave losses without a gradient outside the range.
        """

    def parts(self) -> dict[str, nn.Module]:
        """Sub-networks by stage name, in order; each takes one tensor (B, 4, H, W), image and mask. None by default."""
        return {}

    def stages(
        self, image: Tensor, mask: Tensor, *, filling: Tensor | None = None, **options: Any
    ) -> dict[str, Tensor]:
        """Raw predictions before compositing, mapped to [0, 1], by stage name in order: what losses and pictures need.

        Args:
            image: (B, 3, H, W), RGB in [0, 1] wherever it is known.
            mask: (B, 1, H, W), 1 = hole.
            filling: (B, 3, H, W), in [0, 1] in the hole, the only part of it that counts: what the network finds there
                instead of ``hole_value``. For networks trained so (`ops.mosaic`).
            options: Model-specific keyword arguments of `predict`.

        Raises:
            ZooError: The arguments break the contract, or the network takes no filling. Values are checked in eager
                eval calls only: in a training step, under compile or export the check would stall the device.
        """
        self.check(image, mask, filling)
        return self.trusted_stages(image, mask, filling=filling, **options)

    def check(self, image: Tensor, mask: Tensor, filling: Tensor | None) -> None:
        """Refuse what `stages` refuses; its arguments."""
        check_pair(image, mask)
        if filling is not None:
            self._check_filling(filling, image)
        if not (self.training or torch.compiler.is_compiling()):
            check_values(image, mask)
            if filling is not None:
                _check_filled(filling, mask)

    def _check_filling(self, filling: Tensor, image: Tensor) -> None:
        if not self.takes_filling:
            name = self.origin.name if self.origin else type(self).__name__
            raise ZooError(f"'{name}' never sees what stands in the hole: it takes no `filling` (`input_mode: hole`).")
        if filling.shape != image.shape or filling.dtype != image.dtype or filling.device != image.device:
            wanted = f"{_describe(image)} on {image.device} as `image`"
            raise ZooError(f"`filling` must be {wanted}, got {_describe(filling)} on {filling.device}.")

    def trusted_stages(
        self, image: Tensor, mask: Tensor, *, filling: Tensor | None = None, **options: Any
    ) -> dict[str, Tensor]:
        """As `stages`, for what another network's border has checked already: nothing waits for the device."""
        size = (image.shape[-2], image.shape[-1])
        low, high = self.value_range
        predictions = self.predict(*self.native(image, mask, filling), **options)
        return {name: from_range(crop_to(x, size).to(image.dtype), low, high) for name, x in predictions.items()}

    def native(self, image: Tensor, mask: Tensor, filling: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What `predict` takes: the image in its own range, its hole filled, and the mask, both padded."""
        low, high = self.value_range
        mask = mask.to(image.dtype)
        inside = torch.where(mask > 0.5, self.hole_value, to_range(image, low, high))
        padded = pad_to_multiple(inside, self.divisor, self.min_size, self.padding)
        hole = pad_to_multiple(mask, self.divisor, self.min_size, self.padding if self.pads_hole else "zeros")
        if filling is not None:
            filled = pad_to_multiple(to_range(filling, low, high), self.divisor, self.min_size, self.padding)
            padded = torch.where(hole > 0.5, filled, padded)
        return padded, hole

    def forward(self, image: Tensor, mask: Tensor, **options: Any) -> Tensor:
        """The finished inpainting (B, 3, H, W) in [0, 1]; arguments and errors as `stages`."""
        *_, last = self.stages(image, mask, **options).values()
        return composite(last.clamp(0, 1), image, mask)
