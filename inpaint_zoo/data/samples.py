"""Samples by `Draw`: photograph, augmentation, mask, and what stands in for a photograph that cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from inpaint_zoo.data.augment import Augmentation
from inpaint_zoo.data.photos import PhotoDataset
from inpaint_zoo.data.sampling import PADDING, Draw
from inpaint_zoo.errors import ZooError
from inpaint_zoo.interfaces import MIN_SIDE
from inpaint_zoo.masks import MaskGenerator
from inpaint_zoo.ops import to_uint8
from inpaint_zoo.ops.mosaic import hole_ns

__all__ = ["EvalSamples", "InputMode", "Replaced", "Sample", "TrainSamples", "collate", "make_sample"]

Sample = dict[str, Any]
InputMode = Literal["hole", "mosaic", "hole_ns"]
PATIENCE = 100
"""Unreadable photographs in a row after which it is no accident: the folder is gone."""
BLANK = (64, 64)
ROOM = 2**28
"""Bytes of fillings that each process keeps of an evaluation set, which comes again and again."""


class Replaced(NamedTuple):
    """A photograph that could not be read, and why: one line that begins with its file."""

    key: str
    reason: str


def make_sample(
    rgb: NDArray[np.uint8], mask: NDArray[np.uint8], index: int, name: str, mode: InputMode, bad: list[Replaced]
) -> Sample:
    """One sample from (H, W, 3) and (H, W) bytes.

    They stay bytes all the way to the device: `InpaintingDataModule.on_after_batch_transfer` makes floats there.
    """
    image, hole = torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1))), torch.from_numpy(mask)[None]
    filled = {"input": _filled(image, hole)} if mode == "hole_ns" else {}
    return {"image": image, "mask": hole, "index": index, "name": name, "replaced": bad, **filled}


def _filled(image: Tensor, mask: Tensor) -> Tensor:
    return to_uint8(hole_ns(image[None].float() / 255, mask[None].float()))[0]


def collate(samples: Sequence[Sample]) -> Sample:
    """A batch: tensors stacked, `replaced` of all samples in one list."""
    plain = [{key: value for key, value in sample.items() if key != "replaced"} for sample in samples]
    return {**default_collate(plain), "replaced": [bad for sample in samples for bad in sample["replaced"]]}


class TrainSamples(Dataset[Sample]):
    """Training samples: augmentation and mask follow from (seed, position in the stream) and nothing else.

    A photograph that cannot be read gives its place to the next one of the data that can.

    Args:
        photos: Whole photographs.
        masks: Drawn at the sample's position.
        augmentation: With a step that cuts.
        seed: Of the augmentation.
        mode: What stands in the hole of the networks' input; "hole_ns" is filled here.
    """

    def __init__(
        self,
        photos: PhotoDataset,
        masks: MaskGenerator,
        augmentation: Augmentation,
        seed: int,
        mode: InputMode = "hole",
    ) -> None:
        self.photos, self.masks, self.augmentation = photos, masks, augmentation
        self.seed, self.mode = seed, mode
        if masks.out_size(augmentation.size) != augmentation.size:
            H, W = augmentation.size
            raise ZooError(f"the masks of {masks.name} are larger than the samples of {H} x {W}: not for training")

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, draw: Draw) -> Sample:
        """Sample at ``draw.position`` of the stream, from photograph ``draw.item``."""
        return self.__getitems__([draw])[0]

    def __getitems__(self, draws: Sequence[Draw]) -> list[Sample]:
        """The samples of a batch; their masks are drawn together."""
        masks = self.masks.batch([draw.position for draw in draws], self.augmentation.size)
        return [self._make(draw, mask) for draw, mask in zip(draws, masks, strict=True)]

    def _make(self, draw: Draw, mask: NDArray[np.uint8]) -> Sample:
        item, rgb, bad = self._usable(draw)
        mask = self.augmentation.on_mask(mask, self.seed, draw.position)
        return make_sample(rgb, mask, item, self.photos.keys[item], self.mode, bad)

    def _usable(self, draw: Draw) -> tuple[int, NDArray[np.uint8], list[Replaced]]:
        """The first item from ``draw.item`` on that can be read and cut, augmented; and those before it."""
        bad: list[Replaced] = []
        for step in range(min(PATIENCE, len(self.photos))):
            item = (draw.item + step) % len(self.photos)
            try:
                return item, self.augmentation(self.photos.load(item), self.seed, draw.position), bad
            except ZooError as error:
                bad.append(Replaced(self.photos.keys[item], self.photos.blame(item, error)))
        raise ZooError(f"{len(bad)} photographs in a row cannot be read; the first: {bad[0].reason}")


class EvalSamples(Dataset[Sample]):
    """Fixed samples: the item's crop, and the mask of its number.

    What cannot be read, gets no mask, or is smaller than networks take, is blank and marked by index -1, so that no
    metric counts it.

    Args:
        photos: Cut by their own rule.
        masks: Drawn at the item's number.
        mode: As `TrainSamples`.
    """

    def __init__(self, photos: PhotoDataset, masks: MaskGenerator, mode: InputMode = "hole") -> None:
        self.photos, self.masks, self.mode = photos, masks, mode
        self._fillings: dict[int, Tensor] = {}
        self._room = ROOM

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, draw: Draw) -> Sample:
        """Item ``draw.item``; the first one, marked by index -1, where a rank has none left."""
        item = max(draw.item, 0)
        bad: list[Replaced] = []
        index, name = draw.item, self.photos.keys[item] if draw.item >= 0 else ""
        try:
            rgb, mask = self._drawn(item)
        except ZooError as error:
            if index != PADDING:
                bad.append(Replaced(name, self.photos.blame(item, error)))
            index, name = PADDING, ""
            rgb = np.zeros((*(self.photos.size or BLANK), 3), np.uint8)
            mask = np.zeros(rgb.shape[:2], np.uint8)
            mask[: rgb.shape[0] // 2] = 1
        if item in self._fillings:
            return make_sample(rgb, mask, index, name, "hole", bad) | {"input": self._fillings[item]}
        sample = make_sample(rgb, mask, index, name, self.mode, bad)
        if self.mode == "hole_ns" and index != PADDING and rgb.nbytes <= self._room:
            self._room -= rgb.nbytes
            self._fillings[item] = sample["input"]
        return sample

    def _drawn(self, item: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Photograph and mask of an item."""
        rgb = self.photos.load(item)
        H, W = rgb.shape[:2]
        if min(H, W) < MIN_SIDE:
            raise ZooError(f"is {W} x {H}; networks take {MIN_SIDE} px a side and more, a `size` enlarges it")
        return rgb, self.masks(item, (H, W))
