"""ISNet's progressive reconstruction algorithm (PRA): any network fills large holes from their border inwards."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from inpaint_zoo.combinators.wrapper import RepeatingNetwork
from inpaint_zoo.config import checked, whole
from inpaint_zoo.errors import ZooError
from inpaint_zoo.interfaces import InpaintingNetwork, check_pair, check_values
from inpaint_zoo.ops import composite
from inpaint_zoo.registry import register_combinator

__all__ = ["Frame", "Progressive", "progressive"]

CPU_PIXELS = 2**16
"""Maximum number of pixels per forward pass on a CPU. Larger feature maps exceed its caches: with ISNet, a batch of
eight 256x256 images takes 1.4 times as long as the same images one by one."""


class Frame(NamedTuple):
    """Result of one pass: the composite (3, H, W) in [0, 1], and the hole (1, H, W) that this pass filled, 1 = hole."""

    image: Tensor
    hole: Tensor


class _Schedule(NamedTuple):
    """Hole pixels of every pass, for all samples.

    Attributes:
        order: Sample indices (B,), sorted by decreasing number of passes, so that unfinished samples come first.
        left: (B, 1, H, W) in this order: the number of passes in which the pixel belongs to the hole.
        passes: Number of passes of each sample, in the order of the batch.
    """

    order: Tensor
    left: Tensor
    passes: list[int]


class _Pass(NamedTuple):
    """State after a pass.

    Attributes:
        completed: Composites (B, 3, H, W) of all samples, in [0, 1]; the input of the next pass.
        raw: The same composites with unclamped predictions.
        hole: Holes of the samples that this pass filled.
    """

    completed: Tensor
    raw: Tensor
    hole: Tensor


class Progressive(RepeatingNetwork):
    """Progressive reconstruction: runs a network repeatedly, each time with a smaller hole.

    The first pass fills the whole hole. As long as the hole covers more than ``threshold`` of the image, the outermost
    ``kernel_size // 2`` pixels of the filled region count as known, and another pass fills the rest again. Pixels that
    count as known do not change any more. Holes do not shrink from the image border. Each sample has its own number of
    passes, at most 1 + ``max_iterations``; finished samples are left out of further passes. A fully masked sample gets
    a single pass and a warning.

    The state dict is that of the network. A call synchronizes with the device once, for any number of passes.

    Source: ISNet, section III-C, and its released code; docs/papers/isnet.md, "Progressive reconstruction". It is for
    inference only and aims at the visual quality of large holes; in the paper, PSNR decreases slightly.

    Args:
        network: Any network; it keeps its own padding and value range.
        kernel_size: Size in pixels of the square kernel that dilates the known region in each pass; odd, at least 3.
        threshold: Hole ratio in [0, 1] above which another pass follows.
        max_iterations: Maximum number of passes after the first.

    Shape:
        image (B, 3, H, W) in [0, 1], mask (B, 1, H, W) with 1 = hole -> stage `prediction` (B, 3, H, W), the composite
        of the unclamped predictions of all passes. Each pass takes this composite clamped to [0, 1], the range of known
        pixels, because a part of it counts as known.

    Raises:
        ZooError: If an argument is out of range.
    """

    def __init__(
        self, network: InpaintingNetwork, kernel_size: int = 15, threshold: float = 0.2, max_iterations: int = 10
    ) -> None:
        super().__init__(network)
        if kernel_size < 3 or kernel_size % 2 == 0:
            raise ZooError(f"`kernel_size` must be odd and at least 3, got {kernel_size}.")
        if not 0 <= threshold <= 1:
            raise ZooError(f"`threshold` must be a hole ratio from 0 to 1, got {threshold}.")
        checked("`max_iterations`", max_iterations, whole(0))
        self.kernel_size = kernel_size
        self.threshold = threshold
        self.max_iterations = max_iterations

    def predict(self, image: Tensor, mask: Tensor, **options: Any) -> dict[str, Tensor]:
        """Return the unclamped composite of each sample's last pass; ``options`` are passed to the network."""
        schedule = self._schedule(mask)
        for step in self._passes(image, schedule, options):
            last = step.raw
        return {"prediction": last[schedule.order.argsort()]}

    def frames(self, image: Tensor, mask: Tensor, **options: Any) -> list[list[Frame]]:
        """Return the result of every pass for each sample, in order; the last one is the final result.

        Args:
            image: (B, 3, H, W), RGB, known pixels in [0, 1].
            mask: (B, 1, H, W), 1 = hole.
            options: Model-specific keyword arguments of the network.

        Raises:
            ZooError: For invalid input, see `InpaintingNetwork.stages`.
        """
        check_pair(image, mask)
        check_values(image, mask)
        schedule = self._schedule(mask)
        steps = [(step.completed, step.hole) for step in self._passes(image, schedule, options)]
        # the same order as on the device, because both sorts are stable
        order = sorted(range(len(schedule.passes)), key=lambda sample: -schedule.passes[sample])
        places = {sample: place for place, sample in enumerate(order)}
        return [
            [Frame(completed[places[sample]], hole[places[sample]]) for completed, hole in steps[:passes]]
            for sample, passes in enumerate(schedule.passes)
        ]

    def _passes(self, image: Tensor, schedule: _Schedule, options: dict[str, Any]) -> Iterator[_Pass]:
        """Yield the state after each pass, in the order of the schedule."""
        completed = raw = image[schedule.order]
        for number in range(max(schedule.passes)):
            active = sum(passes > number for passes in schedule.passes)
            hole = (schedule.left[:active] > number).to(image.dtype)
            pred = self._raw(completed[:active], hole, options)
            completed = torch.cat([composite(pred.clamp(0, 1), completed[:active], hole), completed[active:]])
            raw = torch.cat([composite(pred, raw[:active], hole), raw[active:]])
            yield _Pass(completed, raw, hole)

    def _raw(self, image: Tensor, hole: Tensor, options: dict[str, Any]) -> Tensor:
        if self.on_pass is not None:
            self.on_pass(len(image))
        together = len(image)
        if image.device.type == "cpu":
            together = max(1, CPU_PIXELS // hole[0].numel())
        raw = []
        for some, holes in zip(torch.split(image, together), torch.split(hole, together), strict=True):
            *_, last = self.network.stages_unchecked(some, holes, **options).values()
            raw.append(last)
        return torch.cat(raw)

    def _schedule(self, mask: Tensor) -> _Schedule:
        if mask.is_meta:  # the mask has no values, so the number of passes is not known
            B = len(mask)
            order = torch.arange(B, device=mask.device)
            return _Schedule(order, (mask > 0.5).int(), [self.passes_on_meta] * B)
        pixels = mask.shape[-2] * mask.shape[-1]
        limit = _largest_count(self.threshold, pixels)
        hole = mask > 0.5
        nothing_known = hole.flatten(1).all(1)
        left = hole.int()
        passes = torch.ones_like(nothing_known, dtype=torch.int64)
        for _ in range(self.max_iterations):
            passes += hole.flatten(1).sum(1) > limit
            hole = ~_grown(~hole, self.kernel_size // 2)
            left += hole
        passes = passes.where(~nothing_known, 1)
        order = passes.argsort(descending=True, stable=True)
        counts, alone = torch.stack([passes, nothing_known]).tolist()  # the only synchronization with the device
        if any(alone):
            samples = ", ".join(str(sample) for sample, found in enumerate(alone) if found)
            warnings.warn(
                f"Sample {samples} has no known pixels to start from, so it is filled in one pass.",
                stacklevel=2,
            )
        return _Schedule(order, left[order], counts)


def _largest_count(threshold: float, pixels: int) -> int:
    """Return the largest number of hole pixels whose ratio, in double precision, does not exceed ``threshold``."""
    count = round(threshold * pixels)
    return count if count / pixels <= threshold else count - 1


def _grown(known: Tensor, radius: int) -> Tensor:
    """Dilate ``known`` (B, 1, H, W), bool, by a square of ``radius`` pixels; positions outside the image are not known.

    It computes the maximum over the window by repeated doubling, which is about thirty times as fast as max pooling on
    a CPU.
    """
    side = 2 * radius + 1
    for dim, padding in ((-1, (radius, radius)), (-2, (0, 0, radius, radius))):
        known = F.pad(known, padding)
        reach = 1
        while reach < side:
            step = min(reach, side - reach)
            length = known.shape[dim] - step
            known = known.narrow(dim, 0, length) | known.narrow(dim, step, length)
            reach += step
    return known


@register_combinator(learned=False)
def progressive(
    network: InpaintingNetwork, kernel_size: int = 15, threshold: float = 0.2, max_iterations: int = 10
) -> Progressive:
    """Large holes filled from their border inwards in several passes: see `Progressive`."""
    return Progressive(network, kernel_size, threshold, max_iterations)
