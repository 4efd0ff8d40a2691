"""The interface of every model, and the checks of its arguments.

Callers pass images as float tensors (B, 3, H, W), RGB in [0, 1], and masks as float tensors (B, 1, H, W) with 1 = hole
and 0 = known. Internally, each network has its own value range, hole value and supported sizes. `InpaintingNetwork`
converts the input once and the output once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from inpaint_zoo.errors import ZooError
from inpaint_zoo.ops import change_range, composite, crop_to, describe, pad_to_multiple, spread_known, to_range
from inpaint_zoo.ops.padding import Padding

__all__ = [
    "MIN_SIDE",
    "InpaintingNetwork",
    "Origin",
    "check_network",
    "check_pair",
    "check_values",
    "predict_difference",
]

MIN_SIDE = 16  # every model accepts every height and width of at least this number of pixels


class Origin(NamedTuple):
    """Registry name and options that a network was created with; they are stored in its weight files."""

    name: str
    options: dict[str, Any]


def check_pair(image: Tensor, mask: Tensor) -> None:
    """Check the types, shapes and devices of an image and a mask, without work on the device.

    Args:
        image: Expected: float tensor (B, 3, H, W), H and W at least 16.
        mask: Expected: float tensor (B, 1, H, W) on the device of ``image``.

    Raises:
        ZooError: If a check fails; the message names the argument, what it got and what was expected.
    """
    for name, value, channels in (("image", image, 3), ("mask", mask, 1)):
        if not isinstance(value, Tensor):
            raise ZooError(
                f"`{name}` must be a tensor (B, {channels}, H, W), got {describe(value)}. "
                "Use inpaint() for PIL images, arrays and paths."
            )
        if value.ndim != 4:
            raise ZooError(
                f"`{name}` must be (B, {channels}, H, W), got {describe(value)}. For a single one: `{name}[None]`."
            )
        if value.shape[1] != channels:
            way_out = "If it came from an RGB file, keep one channel: `mask[:, :1]`." if name == "mask" else "Use RGB."
            raise ZooError(f"`{name}` must have {channels} channel(s) in dimension 1, got {describe(value)}. {way_out}")
        if not value.is_floating_point():
            scale = "`image.float() / 255`" if name == "image" else "`mask.float()`"
            raise ZooError(f"`{name}` must be a floating-point tensor, got {describe(value)}. Convert it: {scale}.")
    B, _, H, W = image.shape
    if mask.shape[0] != B or mask.shape[2:] != image.shape[2:]:
        raise ZooError(f"`mask` must be ({B}, 1, {H}, {W}) to match `image`, got {describe(mask)}.")
    if B < 1 or min(H, W) < MIN_SIDE:
        raise ZooError(
            f"`image` must hold at least one image with height and width of at least {MIN_SIDE} px, "
            f"got {describe(image)}. Use inpaint() for smaller images: it pads them."
        )
    if image.device != mask.device:
        raise ZooError(f"`mask` must be on the device of `image` ({image.device}), got {mask.device}.")


def check_values(image: Tensor, mask: Tensor) -> None:
    """Check that the mask is binary and that known pixels lie in [0, 1]. This synchronizes with the device.

    Args:
        image: (B, 3, H, W).
        mask: (B, 1, H, W), 1 = hole, 0 = known.

    Raises:
        ZooError: If a check fails; the message names the argument and a wrong value.
    """
    binary = (mask == 0) | (mask == 1)
    if not bool(binary.all()):
        worst = mask[~binary].flatten()[0].item()
        raise ZooError(
            f"`mask` must hold only 0 (known) and 1 (hole), got {worst:g}. To binarize it: `(mask > 0.5).float()`."
        )
    known = (mask == 0).expand_as(image)
    wrong = known & ~((image >= 0) & (image <= 1))  # negated, so that NaN counts as wrong
    if bool(wrong.any()):
        worst = image[wrong].flatten()[0].item()
        raise ZooError(
            f"`image` must lie in [0, 1] wherever the mask is 0, got {worst:g}. "
            "From [-1, 1]: `(image + 1) / 2`; from bytes: `image.float() / 255`."
        )


def _check_filled(hole_fill: Tensor, mask: Tensor) -> None:
    wrong = (mask > 0.5).expand_as(hole_fill) & ~((hole_fill >= 0) & (hole_fill <= 1))
    if bool(wrong.any()):
        raise ZooError(f"`hole_fill` must lie in [0, 1] in the hole, got {hole_fill[wrong].flatten()[0].item():g}.")


class InpaintingNetwork(nn.Module, ABC):
    """Base class of all inpainting networks.

    A subclass implements `predict` in the conventions of its paper and declares them as class attributes. This class
    checks the arguments, converts value ranges, pads and composites. Known pixels of the result are bit-identical to
    the input. The content of ``image`` in the hole, including NaN, never affects the result.

    Attributes:
        divisor: `predict` takes heights and widths that are multiples of this number. `pad_to_multiple` pads images.
        min_size: `predict` takes heights and widths of at least this number of pixels.
        training_size: Height and width in pixels of the images that the paper trains on. Images of any size are divided
            into windows of about this size.
        value_range: (low, high) of the images that `predict` takes and returns.
        hole_value: Value of hole pixels in the input of `predict`, in ``value_range``.
        padding: Padding mode for images, see `pad_to_multiple`. The hole is set to ``hole_value`` before padding; a
            ``hole_fill`` is padded separately and inserted afterwards.
        pads_hole: Whether the mask is padded in the same way. If False, all padding counts as known.
        takes_hole_fill: Whether the content of the hole in its input affects the result of `predict`, so that a
            ``hole_fill`` makes sense.
        predicts_difference: Whether the predictions are differences from the pre-filled input; see
            `predict_difference`.
        origin: Registry name and options, set by `create_model`.
    """

    divisor: int = 1
    min_size: int = 1
    training_size: int = 256
    value_range: tuple[float, float] = (0.0, 1.0)
    hole_value: float = 0.0
    padding: Padding = "symmetric"
    pads_hole: bool = True
    takes_hole_fill: bool = False
    predicts_difference: bool = False
    origin: Origin | None = None

    @abstractmethod
    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the raw predictions by stage name, in the order of the stages.

        Shape:
            image (B, 3, H, W) in ``value_range`` with ``hole_value`` in the hole, mask (B, 1, H, W) with 1 = hole; H
            and W fit ``divisor`` and ``min_size``. Each result is (B, 3, H, W), scaled like ``value_range``, neither
            composited nor clamped. (After clamping, losses would have no gradient outside the range.)
        """

    def parts(self) -> dict[str, nn.Module]:
        """Return the sub-networks by stage name, each of which takes image and mask (B, 4, H, W); empty by default."""
        return {}

    def stages(
        self,
        image: Tensor,
        mask: Tensor,
        *,
        hole_fill: Tensor | None = None,
        scaled_to: tuple[float, float] = (0.0, 1.0),
        **options: Any,
    ) -> dict[str, Tensor]:
        """Return the raw predictions by stage name, before compositing and clamping, by default scaled to [0, 1].

        Args:
            image: (B, 3, H, W), RGB, known pixels in [0, 1].
            mask: (B, 1, H, W), 1 = hole.
            hole_fill: (B, 3, H, W), in [0, 1] in the hole. It replaces ``hole_value`` in the network's input; its known
                pixels are ignored. For networks trained with a filling (`ops.mosaic`).
            scaled_to: (low, high) of the results. With the network's own ``value_range``, they are not converted.
            options: Model-specific keyword arguments of `predict`.

        Returns:
            One tensor (B, 3, H, W) per stage, in the order of the stages.

        Raises:
            ZooError: If an argument is invalid, or the network takes no filling. Values are checked only in eager eval
                calls. In training, under compile and under export, this check would stall the device.
        """
        self.check(image, mask, hole_fill)
        return self.stages_unchecked(image, mask, hole_fill=hole_fill, scaled_to=scaled_to, **options)

    def check(self, image: Tensor, mask: Tensor, hole_fill: Tensor | None) -> None:
        """Check the arguments of `stages`.

        Raises:
            ZooError: See `stages`.
        """
        check_pair(image, mask)
        if hole_fill is not None:
            self._check_hole_fill(hole_fill, image)
        if not (self.training or torch.compiler.is_compiling()):
            check_values(image, mask)
            if hole_fill is not None:
                _check_filled(hole_fill, mask)

    def _check_hole_fill(self, hole_fill: Tensor, image: Tensor) -> None:
        if not self.takes_hole_fill:
            name = self.origin.name if self.origin else type(self).__name__
            raise ZooError(
                f"'{name}' ignores the content of the hole and takes no `hole_fill`: use `input_mode: hole`."
            )
        if hole_fill.shape != image.shape or hole_fill.dtype != image.dtype or hole_fill.device != image.device:
            wanted = f"{describe(image)} on {image.device} like `image`"
            raise ZooError(f"`hole_fill` must be {wanted}, got {describe(hole_fill)} on {hole_fill.device}.")

    def stages_unchecked(
        self,
        image: Tensor,
        mask: Tensor,
        *,
        hole_fill: Tensor | None = None,
        scaled_to: tuple[float, float] = (0.0, 1.0),
        **options: Any,
    ) -> dict[str, Tensor]:
        """Return `stages` without checks, for arguments that are already checked; does not synchronize the device."""
        size = (image.shape[-2], image.shape[-1])
        predictions = self.predict(*self.preprocess(image, mask, hole_fill), **options)
        return {
            name: change_range(crop_to(x, size).to(image.dtype), self.value_range, scaled_to)
            for name, x in predictions.items()
        }

    def preprocess(self, image: Tensor, mask: Tensor, hole_fill: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the arguments of `predict`: image in the native range with the hole filled, and mask, both padded."""
        low, high = self.value_range
        mask = mask.to(image.dtype)
        if self.predicts_difference and hole_fill is None:
            hole_fill = spread_known(image.masked_fill(mask > 0.5, 0), mask)
        inside = torch.where(mask > 0.5, self.hole_value, to_range(image, low, high))
        padded = pad_to_multiple(inside, self.divisor, self.min_size, self.padding)
        hole = pad_to_multiple(mask, self.divisor, self.min_size, self.padding if self.pads_hole else "zeros")
        if hole_fill is not None:
            filled = pad_to_multiple(to_range(hole_fill, low, high), self.divisor, self.min_size, self.padding)
            padded = torch.where(hole > 0.5, filled, padded)
        return padded, hole

    def to_prediction(self, raw: Tensor, image: Tensor) -> Tensor:
        """Return the prediction of a stage: its raw output, with ``predicts_difference`` added to the image.

        Args:
            raw: Output of the stage's last layer, (B, 3, H, W), scaled like ``value_range``. The middle of the range
                is a difference of 0.
            image: Input of `predict`, (B, 3, H, W).
        """
        return image + raw - sum(self.value_range) / 2 if self.predicts_difference else raw

    def forward(self, image: Tensor, mask: Tensor, **options: Any) -> Tensor:
        """Return the composite of the last stage, (B, 3, H, W) in [0, 1]; for arguments and errors see `stages`."""
        *_, last = self.stages(image, mask, **options).values()
        return composite(last.clamp(0, 1), image, mask)


Network = TypeVar("Network", bound=InpaintingNetwork)


def check_network(name: str, value: object) -> None:
    """Check that an argument is a network, and not the name of a model.

    Args:
        name: Name of the argument, for the message.
        value: Expected: an `InpaintingNetwork`.

    Raises:
        ZooError: If it is anything else.
    """
    if not isinstance(value, InpaintingNetwork):
        way_out = f" Create it first: `create_model('{value}')`." if isinstance(value, str) else ""
        raise ZooError(f"`{name}` must be an InpaintingNetwork, got {describe(value)}.{way_out}")


def predict_difference(network: Network, enabled: bool = True) -> Network:
    """Make a network predict differences from a pre-filled image instead of colors, and return it.

    The hole in its input is filled with `ops.spread_known`, or with the given ``hole_fill``, and every stage adds its
    output to this image. A network thus starts from a plausible result and learns only what to change. This is not
    part of any paper; it serves networks whose training is too short to learn to copy their surroundings. The names
    and shapes of the weights do not change.

    Args:
        network: The network, which is changed in place.
        enabled: False returns the network unchanged, for builders with an option.
    """
    if enabled:
        network.predicts_difference = network.takes_hole_fill = True
    return network
