"""ISNet's progressive reconstruction (PRA): large holes are filled from their rim inwards, by any network."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from inpaint_zoo.combinators.around import RepeatingNetwork
from inpaint_zoo.errors import ZooError
from inpaint_zoo.interfaces import InpaintingNetwork, check_pair, check_values
from inpaint_zoo.ops import composite
from inpaint_zoo.registry import register_combinator

__all__ = ["Frame", "Progressive", "progressive"]

CPU_PIXELS = 2**16
"""How much of a batch a CPU is given at once: maps of more leave its caches (ISNet, eight of 256 px: 1.4 times as slow
as one by one)."""


class Frame(NamedTuple):
    """What a pass made: the composite (3, H, W) in [0, 1], and the hole (1, H, W) that was left for it, 1 = hole."""

    image: Tensor
    hole: Tensor


class _Schedule(NamedTuple):
    """Which pixels are hole in which pass, for all samples; on the device but for ``passes``.

    Attributes:
        order: (B,) sample numbers, those of most passes first, so that the ones under way are always the first ones.
        left: (B, 1, H, W) in that order: how many passes find the pixel in the hole.
        passes: Of each sample, in the batch's own order.
    """

    order: Tensor
    left: Tensor
    passes: list[int]


class _Pass(NamedTuple):
    """What a pass leaves.

    Attributes:
        completed: (B, 3, H, W), all samples, in [0, 1]; what the next pass sees.
        raw: As ``completed``, but with the predictions as they are.
        hole: The holes of the samples that it filled.
    """

    completed: Tensor
    raw: Tensor
    hole: Tensor


class Progressive(RepeatingNetwork):
    """A network that is asked again while much of a picture is hole, each time for less.

    The first pass fills the whole hole. While more than ``threshold`` of the picture is hole, a rim of
    ``kernel_size // 2`` pixels of what was filled is taken as known, and the rest is filled anew. A rim that is known
    never changes again; holes do not shrink from the picture's border. Each sample has its own number of passes, at
    most 1 + ``max_iterations``, and finished ones are not passed again; one of whose picture nothing is known is passed
    once, with a warning.

    The state dict is the network's own. The device is waited for once in a call, however many passes it takes.

    Source: ISNet, section III-C and its released code; specs/isnet.md, section 7. For inference; the paper's PSNR falls
    slightly by it, what it is for is how large holes look.

    Args:
        network: Any network; it works at its own sides, in its own range.
        kernel_size: Side of the square by which the known region grows in each pass, in pixels; odd, at least 3.
        threshold: The share of hole, in [0, 1], above which another pass follows.
        max_iterations: Passes beyond the first, at most.

    Shape:
        As every `InpaintingNetwork`; stage `prediction`, the composite of all passes as they were predicted. Each pass
        sees that composite clamped to [0, 1], the range of known pixels, since a part of it becomes known.

    Raises:
        ZooError: An argument out of its range.
    """

    def __init__(
        self, network: InpaintingNetwork, kernel_size: int = 15, threshold: float = 0.2, max_iterations: int = 10
    ) -> None:
        super().__init__(network)
        if kernel_size < 3 or kernel_size % 2 == 0:
            raise ZooError(f"`kernel_size` must be odd and at least 3, got {kernel_size}.")
        if not 0 <= threshold <= 1:
            raise ZooError(f"`threshold` is a share of the picture, 0 to 1, got {threshold}.")
        if max_iterations < 0:
            raise ZooError(f"`max_iterations` must be 0 or more, got {max_iterations}.")
        self.kernel_size = kernel_size
        self.threshold = threshold
        self.max_iterations = max_iterations

    def predict(self, image: Tensor, mask: Tensor, **options: Any) -> dict[str, Tensor]:
        """Return the unclamped composite of each sample's last pass; ``options`` go to the network."""
        schedule = self._schedule(mask)
        for step in self._passes(image, schedule, options):
            last = step.raw
        return {"prediction": last[schedule.order.argsort()]}

    def frames(self, image: Tensor, mask: Tensor, **options: Any) -> list[list[Frame]]:
        """What each pass made of each sample, in order; the last one is what the network itself returns.

        Args:
            image: (B, 3, H, W), RGB in [0, 1] wherever it is known.
            mask: (B, 1, H, W), 1 = hole.
            options: Model-specific keyword arguments of the network.

        Raises:
            ZooError: The arguments break the contract.
        """
        check_pair(image, mask)
        check_values(image, mask)
        schedule = self._schedule(mask)
        steps = [(step.completed, step.hole) for step in self._passes(image, schedule, options)]
        # as the device sorted them: stable, and therefore the same
        order = sorted(range(len(schedule.passes)), key=lambda sample: -schedule.passes[sample])
        places = {sample: place for place, sample in enumerate(order)}
        return [
            [Frame(completed[places[sample]], hole[places[sample]]) for completed, hole in steps[:passes]]
            for sample, passes in enumerate(schedule.passes)
        ]

    def _passes(self, image: Tensor, schedule: _Schedule, options: dict[str, Any]) -> Iterator[_Pass]:
        """What each pass leaves, in the order of the schedule."""
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
            *_, last = self.network.trusted_stages(some, holes, **options).values()
            raw.append(last)
        return torch.cat(raw)

    def _schedule(self, mask: Tensor) -> _Schedule:
        if mask.is_meta:  # shapes alone: no value says how many passes a sample takes
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
        counts, alone = torch.stack([passes, nothing_known]).tolist()  # the one time that the device is waited for
        if any(alone):
            samples = ", ".join(str(sample) for sample, found in enumerate(alone) if found)
            warnings.warn(
                f"Nothing is known of sample {samples}: there is no rim to grow from, so it is filled in one pass.",
                stacklevel=2,
            )
        return _Schedule(order, left[order], counts)


def _largest_count(threshold: float, pixels: int) -> int:
    """The most hole pixels whose share, in double precision, is not above ``threshold``."""
    count = round(threshold * pixels)
    return count if count / pixels <= threshold else count - 1


def _grown(known: Tensor, radius: int) -> Tensor:
    """(B, 1, H, W) bool: what lies within ``radius`` of ``known`` by the chessboard; nothing beyond the border is.

    A window's maximum by doubling: on a CPU some thirty times as fast as max-pooling.
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
    """Large holes filled from their rim inwards, in several passes: see `Progressive`."""
    return Progressive(network, kernel_size, threshold, max_iterations)
