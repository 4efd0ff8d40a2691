"""Samples indexed by `Draw`: image, augmentation, mask, and the replacement of unreadable images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from inpaint_zoo.data.augment import Augmentation
from inpaint_zoo.data.datasets import ImageDataset
from inpaint_zoo.data.sampling import PADDING, Draw
from inpaint_zoo.errors import ZooError
from inpaint_zoo.interfaces import MIN_SIDE
from inpaint_zoo.io.image_cache import ImageCache
from inpaint_zoo.masks import MaskGenerator
from inpaint_zoo.ops import to_uint8
from inpaint_zoo.ops.mosaic import hole_ns

__all__ = ["EvalSamples", "InputMode", "Replaced", "Sample", "TrainSamples", "collate", "make_sample"]

Sample = dict[str, Any]
InputMode = Literal["hole", "mosaic", "hole_ns"]
PATIENCE = 100
"""Number of consecutive unreadable images after which loading stops; the folder is then probably gone."""
BLANK = (64, 64)
ROOM = 2**28
"""Bytes of pre-filled images of an evaluation set that each process caches, because the set is read repeatedly."""


class Replaced(NamedTuple):
    """An unreadable image and the reason: one line that starts with its file."""

    key: str
    reason: str


def make_sample(
    rgb: NDArray[np.uint8], mask: NDArray[np.uint8], index: int, name: str, mode: InputMode, bad: list[Replaced]
) -> Sample:
    """Return one sample from an image (H, W, 3) uint8 and a mask (H, W) uint8.

    Both stay uint8 until they are on the device, where `InpaintingDataModule.on_after_batch_transfer` converts them.
    """
    image, hole = torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1))), torch.from_numpy(mask)[None]
    filled = {"hole_fill": _filled(image, hole)} if mode == "hole_ns" else {}
    return {"image": image, "mask": hole, "index": index, "name": name, "replaced": bad, **filled}


def _filled(image: Tensor, mask: Tensor) -> Tensor:
    return to_uint8(hole_ns(image[None].float() / 255, mask[None].float()))[0]


def collate(samples: Sequence[Sample]) -> Sample:
    """Return a batch: stacked tensors, and `replaced` of all samples in one list."""
    plain = [{key: value for key, value in sample.items() if key != "replaced"} for sample in samples]
    return {**default_collate(plain), "replaced": [bad for sample in samples for bad in sample["replaced"]]}


class TrainSamples(Dataset[Sample]):
    """Training samples: augmentation and mask depend only on (seed, position in the stream).

    An unreadable image is replaced by the next readable one.

    Args:
        images: Whole images.
        masks: Mask generator; mask i belongs to position i.
        augmentation: Augmentation with a step that crops.
        seed: Seed of the augmentation.
        mode: Content of the hole in the networks' input; "hole_ns" is computed here.
    """

    def __init__(
        self,
        images: ImageDataset,
        masks: MaskGenerator,
        augmentation: Augmentation,
        seed: int,
        mode: InputMode = "hole",
    ) -> None:
        self.images, self.masks, self.augmentation = images, masks, augmentation
        self.seed, self.mode = seed, mode
        if masks.out_size(augmentation.size) != augmentation.size:
            H, W = augmentation.size
            raise ZooError(
                f"the masks of {masks.name} are larger than the samples of {H} x {W}, so they cannot be used here"
            )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, draw: Draw) -> Sample:
        """Return the sample at ``draw.position`` of the stream, from image ``draw.item``."""
        return self.__getitems__([draw])[0]

    def __getitems__(self, draws: Sequence[Draw]) -> list[Sample]:
        """Return the samples of a batch; their masks are generated together."""
        masks = self.masks.batch([draw.position for draw in draws], self.augmentation.size)
        return [self._make(draw, mask) for draw, mask in zip(draws, masks, strict=True)]

    def _make(self, draw: Draw, mask: NDArray[np.uint8]) -> Sample:
        item, rgb, bad = self._usable(draw)
        mask = self.augmentation.on_mask(mask, self.seed, draw.position)
        return make_sample(rgb, mask, item, self.images.keys[item], self.mode, bad)

    def _usable(self, draw: Draw) -> tuple[int, NDArray[np.uint8], list[Replaced]]:
        """Return the first readable item from ``draw.item`` on, its augmented image, and the unreadable ones before."""
        bad: list[Replaced] = []
        for step in range(min(PATIENCE, len(self.images))):
            item = (draw.item + step) % len(self.images)
            try:
                return item, self.augmentation(self.images.load(item), self.seed, draw.position), bad
            except ZooError as error:
                bad.append(Replaced(self.images.keys[item], self.images.blame(item, error)))
        raise ZooError(f"{len(bad)} images in a row cannot be read; the first: {bad[0].reason}")


class EvalSamples(Dataset[Sample]):
    """Fixed samples: the crop and the mask of each item.

    An item that cannot be read, gets no mask, or is smaller than networks accept, is blank and has index -1, so that no
    metric counts it.

    Args:
        images: Images, cropped by their own rule.
        masks: Mask generator; mask i belongs to item i.
        mode: As in `TrainSamples`.
    """

    def __init__(self, images: ImageDataset, masks: MaskGenerator, mode: InputMode = "hole") -> None:
        self.images, self.masks, self.mode = images, masks, mode
        self._hole_fills: ImageCache[int, Tensor] = ImageCache(ROOM)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, draw: Draw) -> Sample:
        """Return item ``draw.item``; if it is negative (padding of a rank), return the first item with index -1."""
        item = max(draw.item, 0)
        bad: list[Replaced] = []
        index, name = draw.item, self.images.keys[item] if draw.item >= 0 else ""
        try:
            rgb, mask = self._drawn(item)
        except ZooError as error:
            if index != PADDING:
                bad.append(Replaced(name, self.images.blame(item, error)))
            index, name = PADDING, ""
            rgb = np.zeros((*(self.images.size or BLANK), 3), np.uint8)
            mask = np.zeros(rgb.shape[:2], np.uint8)
            mask[: rgb.shape[0] // 2] = 1
        if (hole_fill := self._hole_fills.get(item)) is not None:
            return make_sample(rgb, mask, index, name, "hole", bad) | {"hole_fill": hole_fill}
        sample = make_sample(rgb, mask, index, name, self.mode, bad)
        if self.mode == "hole_ns" and index != PADDING:
            self._hole_fills.keep(item, sample["hole_fill"])
        return sample

    def _drawn(self, item: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return image and mask of an item."""
        rgb = self.images.load(item)
        H, W = rgb.shape[:2]
        if min(H, W) < MIN_SIDE:
            raise ZooError(f"is {W} x {H}; networks need at least {MIN_SIDE} px in height and width, set a `size`")
        return rgb, self.masks(item, (H, W))
