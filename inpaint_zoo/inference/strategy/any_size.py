"""Fill images of any size: choose how an image is divided, and run the network on the parts."""

from __future__ import annotations

import math
import threading
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.inference.batch import Filler, fill_batch
from inpaint_zoo.inference.optimize import OptimizedNetwork, fast_form
from inpaint_zoo.inference.strategy.coarse_to_fine import Refine, fill_coarse_to_fine
from inpaint_zoo.inference.strategy.crop import Crop, crops_of, fill_crops
from inpaint_zoo.inference.strategy.memory import (
    activation_bytes,
    available_bytes,
    fast_form_bytes,
    format_bytes,
    parse_bytes,
    weight_bytes,
)
from inpaint_zoo.inference.strategy.refine import HasFeatures, Refiner
from inpaint_zoo.inference.strategy.tile import fill_tiles
from inpaint_zoo.inference.strategy.windows import hole_depth
from inpaint_zoo.interfaces import MIN_SIDE, InpaintingNetwork

__all__ = ["AnySize", "Choice", "Strategy", "margins"]

Strategy = Literal["auto", "full", "crop", "tile", "coarse_to_fine"]
"""How an image is divided: not at all, into a crop around each hole, into tiles, or into resolutions and tiles."""

LIBRARIES = 3 * 2**28  # memory of Python, PyTorch and the other libraries in bytes
IMAGE_BYTES = 70  # memory in bytes for each pixel of an image and its copies, before and after the network
MOST_PER_PIXEL = 2**14  # more memory in bytes than any network needs for each pixel of an image of the training size
SHARE = 0.8  # part of the free memory that is used if no maximum is given


class Choice(NamedTuple):
    """What was done with an image.

    Attributes:
        strategy: The strategy, never "auto".
        size: Height and width of the image.
        largest: Height and width of the largest part that the network saw.
        needed: Estimated memory in bytes: libraries, weights, images and activations. None if there was no estimate,
            because the image is not larger than those of the training, and there is more memory than any network needs.
    """

    strategy: Strategy
    size: tuple[int, int]
    largest: tuple[int, int]
    needed: int | None


class AnySize:
    """Filler that divides images as a strategy says, so that they fit into the memory; see `Filler`.

    - "full": the whole image in one pass, padded as the network requires.
    - "crop": a crop around each separate hole.
    - "tile": overlapping tiles with blended borders.
    - "coarse_to_fine": in a crop around each hole, first at the resolution of the training, then with details from
      tiles at each larger resolution.
    - "auto": "full" for images of up to twice the size of the training images; else "crop" if the crops are not larger
      than this, "tile" if every hole pixel is close to known pixels, and "coarse_to_fine" for all others. Functions and
      networks without parameters get the whole image.

    Args:
        net: The model.
        strategy: How images are divided.
        max_memory: Maximum memory in bytes or as text such as "4GiB": of the process for a network on the CPU, of the
            weights and activations for one on a GPU. None for 80 % of the free memory.
        refine: With "coarse_to_fine", optimize the features of the network at each resolution that fits into the
            memory, instead of running tiles. Only for LaMa and its variants.
        fast: Use the fast form of the network, see `inpaint`.
        runs: A form of the network that runs instead, such as one in another precision.

    Attributes:
        choices: What was done with the images so far.

    Raises:
        ZooError: The strategy is unknown, the memory is not a size, or the model cannot be refined.
    """

    def __init__(
        self,
        net: Filler,
        strategy: Strategy = "auto",
        *,
        max_memory: str | int | None = None,
        refine: bool = False,
        fast: bool = True,
        runs: InpaintingNetwork | None = None,
    ) -> None:
        if strategy not in get_args(Strategy):
            raise unknown_name("strategy", strategy, get_args(Strategy))
        if refine and not isinstance(net, HasFeatures):
            name = getattr(getattr(net, "origin", None), "name", type(net).__name__)
            raise ZooError(
                f"`refine` optimizes the features of LaMa's encoder, which '{name}' does not have: use lama."
            )
        if refine and strategy not in ("auto", "coarse_to_fine"):
            raise ZooError(f"`refine` works with the strategy coarse_to_fine only, got '{strategy}'.")
        self.net, self.strategy, self.refine, self.fast, self.runs = net, strategy, refine, fast, runs
        self.max_memory = None if max_memory is None else parse_bytes(max_memory)
        self.choices: list[Choice] = []
        self._lock = threading.Lock()
        self._refiner: Refiner | None = None
        inner = net.network if isinstance(net, OptimizedNetwork) else net
        self._learned = isinstance(inner, InpaintingNetwork) and next(inner.parameters(), None) is not None
        self._training_size = inner.training_size if isinstance(inner, InpaintingNetwork) else 256
        self._multiple = math.lcm(inner.divisor, 8) if isinstance(inner, InpaintingNetwork) else 8
        self._min_size = max(inner.min_size, MIN_SIDE) if isinstance(inner, InpaintingNetwork) else MIN_SIDE

    def __call__(self, image: Tensor, mask: Tensor, **options: Any) -> Tensor:
        """Fill images (B, 3, H, W) in [0, 1] with masks (B, 1, H, W), 1 = hole; ``options`` are those of the model.

        Raises:
            ZooError: A part does not fit into the memory, or an option does not go with the strategy.
        """
        budget = self._budget(image)
        if self._fits_surely(image, budget):
            self._record("full", image, (image.shape[-2], image.shape[-1]), None)
            return self._run(image, mask > 0.5, **options)
        if len(image) > 1 and self._needed(image.shape[-2], image.shape[-1]) * len(image) > budget:
            return torch.cat([self(image[k : k + 1], mask[k : k + 1], **_of(options, k)) for k in range(len(image))])
        if self.strategy == "full" or not self._divides(image, budget):
            needed = self._needed(image.shape[-2], image.shape[-1]) * len(image)
            self._check(needed, budget, "the whole image", image)
            self._record("full", image, (image.shape[-2], image.shape[-1]), needed)
            return self._run(image, mask > 0.5, **options)
        if options.get("hole_fill") is not None:
            raise ZooError("A filling of the hole needs the strategy 'full'.")
        with torch.no_grad():
            parts = [self._divided(image[k : k + 1], mask[k : k + 1] > 0.5, budget, options) for k in range(len(image))]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def padded_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size to which an image can be padded by reflection without a change of its result.

        Images that have this size in common can form a batch. It is the image's own size if the image may be divided,
        or if the network pads in another way.
        """
        inner = self.net.network if isinstance(self.net, OptimizedNetwork) else self.net
        whole = self.strategy == "full" or (
            self.strategy == "auto" and max(height, width) <= 2 * self._training_size and not self.refine
        )
        if not (whole and self._learned and isinstance(inner, InpaintingNetwork)):
            return height, width
        if inner.padding != "symmetric" or not inner.pads_hole:
            return height, width
        divisor = inner.divisor
        return (
            math.ceil(max(height, self._min_size) / divisor) * divisor,
            math.ceil(max(width, self._min_size) / divisor) * divisor,
        )

    def _run(self, image: Tensor, hole: Tensor, **options: Any) -> Tensor:
        net = self.runs if self.runs is not None else fast_form(self.net) if self.fast else self.net
        return fill_batch(net, image, hole, **options)

    def _fits_surely(self, image: Tensor, budget: float) -> bool:
        """Return whether an image fits without an estimate, whose imports take longer than a small network."""
        if self.strategy not in ("auto", "full") or self.refine:
            return False
        pixels = len(image) * max(image.shape[-2], self._min_size) * max(image.shape[-1], self._min_size)
        return max(image.shape[-2:]) <= self._training_size and pixels * MOST_PER_PIXEL <= budget

    def _divides(self, image: Tensor, budget: float) -> bool:
        if self.strategy != "auto" or not self._learned:
            return self.strategy != "auto"
        H, W = image.shape[-2:]
        small = max(H, W) <= 2 * self._training_size and not self.refine
        return not small or self._needed(H, W) * len(image) > budget

    def _divided(self, image: Tensor, hole: Tensor, budget: float, options: dict[str, Any]) -> Tensor:
        device = image.device
        image, hole = image.cpu(), hole.cpu()
        strategy, crops = self._choose(hole, budget)
        if strategy == "tile":
            result = self._tiles(image, hole, budget, options)
        else:
            result = self._crops(strategy, image, hole, crops, budget, options)
        return result.to(device)

    def _choose(self, hole: Tensor, budget: float) -> tuple[Strategy, list[Crop]]:
        """Return the strategy for an image that is divided, and the crops that it needs."""
        crops = [] if self.strategy == "tile" else crops_of(hole, self._training_size, self._multiple)
        if self.strategy != "auto":
            return self.strategy, crops
        if not self.refine and all(self._in_one_piece(crop, budget) for crop in crops):
            return "crop", crops
        shallow = hole_depth(hole[0, 0].numpy()) <= self._training_size / 8
        return ("tile" if shallow and not self.refine else "coarse_to_fine"), crops

    def _in_one_piece(self, crop: Crop, budget: float) -> bool:
        height, width = crop.window.height, crop.window.width
        return max(height, width) <= 2 * self._training_size and self._needed(height, width) <= budget

    def _crops(
        self,
        strategy: Strategy,
        image: Tensor,
        hole: Tensor,
        crops: list[Crop],
        budget: float,
        options: dict[str, Any],
    ) -> Tensor:
        largest = max(((each.window.height, each.window.width) for each in crops), key=math.prod, default=(0, 0))
        if strategy == "crop":
            needed = self._needed(*largest) if crops else 0
            self._check(needed, budget, f"a crop of {largest[1]} x {largest[0]}", image)
            self._record("crop", image, largest, needed)
            return fill_crops(lambda part, unknown, _: self._run(part, unknown, **options), image, hole, crops)
        side = self._tile_side(image, budget)
        tile = (min(side, largest[0]), min(side, largest[1]))
        self._record("coarse_to_fine", image, tile, self._needed(*tile) if crops else 0)
        refine = self._refined(budget) if self.refine else None

        def fill(part: Tensor, unknown: Tensor, own: Tensor) -> Tensor:
            fits = max(part.shape[-2:]) <= 2 * self._training_size
            longest = 2 * side if fits and not self.refine else min(3 * self._training_size // 2, side)
            if fits and self._needed(part.shape[-2], part.shape[-1]) > budget:
                longest = side
            # other holes of the crop are filled, too, so that tiles see no hole around theirs
            return fill_coarse_to_fine(
                lambda x, h: self._run(x, h, **options),
                part,
                unknown,
                longest,
                (side, side),
                *margins(side),
                refine=refine,
            )

        return fill_crops(fill, image, hole, crops)

    def _refined(self, budget: float) -> Refine:
        if self._refiner is None:
            assert isinstance(self.net, InpaintingNetwork)
            self._refiner = Refiner(self.net, budget)
        self._refiner.budget = budget
        return self._refiner

    def _tiles(self, image: Tensor, hole: Tensor, budget: float, options: dict[str, Any]) -> Tensor:
        side = self._tile_side(image, budget)
        tile = (min(side, image.shape[-2]), min(side, image.shape[-1]))
        self._record("tile", image, tile, self._needed(*tile))
        return fill_tiles(lambda x, h: self._run(x, h, **options), image, hole, (side, side), *margins(side))

    def _tile_side(self, image: Tensor, budget: float) -> int:
        """Return the side of the tiles: twice the size of the training, at least a quarter, as the memory allows."""
        side = math.ceil(2 * self._training_size / self._multiple) * self._multiple
        least = math.ceil(max(self._min_size, self._training_size // 4) / self._multiple) * self._multiple
        while side > least and self._needed(side, side) > budget:
            side = max(side // 2 // self._multiple * self._multiple, least)
        self._check(self._needed(side, side), budget, f"a tile of {side} x {side}", image)
        return side

    def _needed(self, height: int, width: int) -> int:
        """Return the memory in bytes for the activations of one part."""
        return activation_bytes(self.net, height, width)

    def _budget(self, image: Tensor) -> float:
        """Return the memory in bytes that is left for activations."""
        device = self._device()
        if self.max_memory is None:
            return SHARE * available_bytes(device)
        return self.max_memory - self._fixed(image)

    def _device(self) -> torch.device:
        parameter = next(self.net.parameters(), None) if isinstance(self.net, torch.nn.Module) else None
        return torch.device("cpu") if parameter is None else parameter.device

    def _fixed(self, image: Tensor) -> int:
        """Return the memory in bytes that does not depend on how the image is divided."""
        weights = copied = 0
        if isinstance(self.net, torch.nn.Module):
            weights = copied = weight_bytes(self.net)
            if self._device().type == "cpu":
                copied = fast_form_bytes(self.net)
        if self.fast and not isinstance(self.net, OptimizedNetwork):
            weights += copied
        if self._device().type != "cpu":
            return weights
        return weights + LIBRARIES + IMAGE_BYTES * len(image) * image.shape[-2] * image.shape[-1]

    def _check(self, needed: int, budget: float, part: str, image: Tensor) -> None:
        if needed <= budget or not self._learned:
            return
        H, W = image.shape[-2:]
        limit = "the free memory" if self.max_memory is None else f"the maximum of {format_bytes(self.max_memory)}"
        raise ZooError(
            f"An image of {W} x {H} does not fit into {limit}: {part} takes about "
            f"{format_bytes(self._fixed(image) + needed)}. Use the strategy 'auto', or allow more memory."
        )

    def _record(self, strategy: Strategy, image: Tensor, largest: tuple[int, int], needed: int | None) -> None:
        with self._lock:
            size = (image.shape[-2], image.shape[-1])
            total = None if needed is None else self._fixed(image) + needed
            self.choices.append(Choice(strategy, size, largest, total))


def _of(options: dict[str, Any], k: int) -> dict[str, Any]:
    """Return the options for the image at position ``k`` of a batch."""
    filling = options.get("hole_fill")
    return options if filling is None else {**options, "hole_fill": filling[k : k + 1]}


def margins(side: int) -> tuple[int, int]:
    """Return the margin of tiles and the width of their blend, for tiles of a side in pixels."""
    return side // 8, side // 16 * 2
