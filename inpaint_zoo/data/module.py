"""The datamodule of all training: photographs and masks by specification, each sample a pure function of its place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import yaml
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from inpaint_zoo.data.crops import Size, cut, windows
from inpaint_zoo.data.photos import PhotoDataset, Problem, create_dataset
from inpaint_zoo.data.sampling import Draw, EvalSampler, ResumableLoader, StreamSampler
from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.masks import MaskGenerator, create_generator
from inpaint_zoo.masks.draws import Draws

__all__ = ["EvalSamples", "InpaintingDataModule", "TrainSamples"]

Spec = Mapping[str, Any]
Sample = dict[str, Any]
TRAIN_CROPS = ("random", "center", "resize")


def _sample(rgb: NDArray[np.uint8], mask: NDArray[np.uint8], index: int, name: str) -> Sample:
    """Bytes all the way to the device; `InpaintingDataModule.on_after_batch_transfer` makes floats of them there."""
    image = torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))
    return {"image": image, "mask": torch.from_numpy(mask)[None], "index": index, "name": name}


class TrainSamples(Dataset[Sample]):
    """Training samples: crop, flip and mask follow from (seed, position in the stream) and nothing else.

    Args:
        photos: Whole photographs.
        masks: Drawn at the sample's position.
        size: (H, W) of the crops.
        crop: random: a place in the photograph; center: the middle at the scale that just covers; resize: squashed.
        flip: Chance of a horizontal flip.
        seed: Of crops and flips.
    """

    def __init__(
        self, photos: PhotoDataset, masks: MaskGenerator, size: Size, crop: str, flip: float, seed: int
    ) -> None:
        self.photos, self.masks, self.size = photos, masks, size
        self.crop, self.flip, self.seed = crop, flip, seed

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, draw: Draw) -> Sample:
        """Sample at ``draw.position`` of the stream, from photograph ``draw.item``."""
        numbers = Draws(self.seed, "augment", np.array([draw.position], dtype=np.uint64)).table(0, 3)[0]
        rgb = self.photos.load(draw.item)
        place = (int(numbers[0] * 2**32), int(numbers[1] * 2**32))
        rgb = cut(rgb, windows(self.crop, (rgb.shape[0], rgb.shape[1]), self.size, place)[0])
        if numbers[2] < self.flip:
            rgb = rgb[:, ::-1]
        return _sample(rgb, self.masks(draw.position, self.size), draw.item, self.photos.keys[draw.item])


class EvalSamples(Dataset[Sample]):
    """Fixed samples: the item's crop, and the mask of its number.

    Args:
        photos: Cut by their own rule.
        masks: Drawn at the item's number.
    """

    def __init__(self, photos: PhotoDataset, masks: MaskGenerator) -> None:
        self.photos, self.masks = photos, masks

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, draw: Draw) -> Sample:
        """Item ``draw.item``; the first one, marked by index -1, where a rank has none left."""
        item = max(draw.item, 0)
        rgb = self.photos.load(item)
        mask = self.masks(item, (rgb.shape[0], rgb.shape[1]))
        return _sample(rgb, mask, draw.item, self.photos.keys[item] if draw.item >= 0 else "")


class InpaintingDataModule(LightningDataModule):
    """Photographs with holes, for training, validation, testing and prediction.

    Batches are dicts: image (B, 3, H, W) float in [0, 1], mask (B, 1, H, W) float with 1 = hole, index (B,) (-1 marks
    an item that only evens out the ranks of an evaluation), name (list of B). Every sample is a pure function of (seed,
    its position in the training stream); evaluation masks of (seed, item). Neither workers nor ranks, batch size or a
    resume change them.

    Args:
        train: Dataset as `create_dataset` takes it; ``crop`` is random (default), center or resize.
        val: Dataset of the validation, in its own crop.
        test: Dataset of `test` and `predict`.
        masks: Masks of the training: a name, a mapping as `create_generator` takes it, or a YAML file with one.
        eval_masks: Masks of validation, testing and prediction; by default those of the training.
        batch_size: Training samples of a batch, on one process.
        eval_batch_size: Samples of a batch in evaluation.
        workers: Processes that load, for each process that trains; 0 loads in it.
        flip: Chance of a horizontal flip in training.
        epoch_samples: Training samples of an epoch, over all processes; by default one pass over the data.
        drop_last: Leave out a last training batch that is not full.
        seed: Of order, crops, flips and masks.
    """

    def __init__(
        self,
        train: dict[str, Any] | None = None,
        val: dict[str, Any] | None = None,
        test: dict[str, Any] | None = None,
        masks: str | dict[str, Any] = "center",
        eval_masks: str | dict[str, Any] | None = None,
        batch_size: int = 8,
        eval_batch_size: int = 8,
        workers: int = 2,
        flip: float = 0.5,
        epoch_samples: int | None = None,
        drop_last: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.specs: dict[str, dict[str, Any] | None] = {"train": train, "val": val, "test": test}
        self.mask_spec = masks
        self.eval_mask_spec = masks if eval_masks is None else eval_masks
        self.batch_size, self.eval_batch_size, self.workers = batch_size, eval_batch_size, workers
        self.flip, self.epoch_samples, self.drop_last, self.seed = flip, epoch_samples, drop_last, seed
        self._photos: dict[str, PhotoDataset] = {}
        for key in ("batch_size", "eval_batch_size"):
            if getattr(self, key) < 1:
                raise ZooError(f"`{key}` must be 1 or more, got {getattr(self, key)}.")
        if not 0 <= flip <= 1:
            raise ZooError(f"`flip` must lie in [0, 1], got {flip}.")

    def photos(self, split: Literal["train", "val", "test"]) -> PhotoDataset:
        """The photographs of a split; those of the training whole.

        Raises:
            ZooError: The configuration names none, or wrongly.
        """
        if split not in self._photos:
            spec = self.specs[split]
            if spec is None:
                raise ZooError(f"The data have no `{split}` set.")
            if split == "train":
                self._train_rule()
                spec = {key: value for key, value in spec.items() if key not in ("size", "crop", "seed")}
            self._photos[split] = create_dataset(spec)
        return self._photos[split]

    def _train_rule(self) -> tuple[Size, str]:
        spec = self.specs["train"] or {}
        crop = spec.get("crop", "random")
        if crop not in TRAIN_CROPS:
            raise unknown_name("crop of the training set:", crop, TRAIN_CROPS)
        size: Any = spec.get("size")
        sides = size if isinstance(size, list | tuple) else [size, size]
        if len(sides) != 2 or not all(isinstance(side, int) and side >= 1 for side in sides):
            raise ZooError(f"the training set needs a `size`: N or [H, W], got {size!r}")
        return (int(sides[0]), int(sides[1])), crop

    def _generator(self, spec: str | Mapping[str, Any], stream: str) -> MaskGenerator:
        if isinstance(spec, str) and spec.endswith((".yaml", ".yml")):
            path = Path(spec)
            if not path.is_file():
                raise ZooError(f"No mask file {path}.")
            spec = yaml.safe_load(path.read_text(encoding="utf-8"))
        return create_generator(spec, seed=self.seed, stream=stream)

    def train_samples(self) -> TrainSamples:
        """The samples of the training, by `Draw`."""
        size, crop = self._train_rule()
        masks = self._generator(self.mask_spec, "train")
        return TrainSamples(self.photos("train"), masks, size, crop, self.flip, self.seed)

    def eval_samples(self, split: Literal["val", "test"]) -> EvalSamples:
        """The fixed samples of a split, by `Draw`."""
        photos = self.photos(split)
        if photos.size is None and self.eval_batch_size > 1:
            raise ZooError(f"the {split} set keeps every size, so `eval_batch_size` must be 1: set it, or a `size`")
        return EvalSamples(photos, self._generator(self.eval_mask_spec, split))

    def check(self) -> list[Problem]:
        """Photographs of all splits that cannot be read."""
        names = [split for split, spec in self.specs.items() if spec is not None]
        return [problem for split in names for problem in self.photos(split).check(max(1, self.workers))]  # type: ignore[arg-type]

    # Loaders

    def _loading(self) -> dict[str, Any]:
        pinned = self.trainer is not None and "cuda" in str(self.trainer.strategy.root_device)
        return {"num_workers": self.workers, "pin_memory": pinned, "persistent_workers": self.workers > 0}

    def _ranks(self) -> dict[str, int]:
        if self.trainer is None:
            return {}
        return {"rank": self.trainer.global_rank, "ranks": self.trainer.world_size}

    def train_dataloader(self) -> ResumableLoader:
        """The training stream, from the trainer's epoch on.

        Raises:
            ZooError: An epoch holds no full batch.
        """
        samples = self.train_samples()
        sampler = StreamSampler(
            len(samples.photos),
            length=self.epoch_samples,
            batch_size=self.batch_size,
            seed=self.seed,
            drop_last=self.drop_last,
            **self._ranks(),
        )
        if not len(sampler):
            raise ZooError(
                f"An epoch of {sampler.length} samples holds no full batch of {self.batch_size} on "
                f"{sampler.num_replicas} process(es): set epoch_samples, or a smaller batch_size."
            )
        if self.trainer is not None:
            progress: Any = self.trainer.fit_loop.epoch_progress.current
            sampler.set_epoch(progress.processed)
        return ResumableLoader(samples, sampler, **self._loading())

    def _eval_loader(self, split: Literal["val", "test"]) -> DataLoader[Sample]:
        samples = self.eval_samples(split)
        sampler = EvalSampler(len(samples.photos), **self._ranks())
        return DataLoader(samples, batch_size=self.eval_batch_size, sampler=sampler, **self._loading())

    def val_dataloader(self) -> DataLoader[Sample] | list[DataLoader[Sample]]:
        """The validation set in order; without one, nothing to validate on."""
        return [] if self.specs["val"] is None else self._eval_loader("val")

    def test_dataloader(self) -> DataLoader[Sample]:
        """The test set in order."""
        return self._eval_loader("test")

    def predict_dataloader(self) -> DataLoader[Sample]:
        """The test set in order."""
        return self._eval_loader("test")

    def on_after_batch_transfer(self, batch: Sample, dataloader_idx: int) -> Sample:
        """Make floats of the bytes, on the device."""
        image, mask = batch["image"], batch["mask"]
        floats: dict[str, Tensor] = {"image": image.float() / 255, "mask": mask.float()}
        return {**batch, **floats}
