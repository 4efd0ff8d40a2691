"""The datamodule of all training: photographs and masks by specification, each sample a pure function of its place."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, get_args

from lightning.pytorch import LightningDataModule
from lightning.pytorch.trainer.states import TrainerFn
from torch.utils.data import DataLoader

from inpaint_zoo.data.augment import Augmentation, create_augmentation
from inpaint_zoo.data.crops import Size
from inpaint_zoo.data.fetching import is_remote
from inpaint_zoo.data.overlap import Overlap, find_overlaps
from inpaint_zoo.data.photos import SAMPLE, PhotoDataset, PhotoFile, Problem, create_dataset, list_files
from inpaint_zoo.data.samples import EvalSamples, InputMode, Replaced, Sample, TrainSamples, collate
from inpaint_zoo.data.sampling import EvalSampler, ResumableLoader, StreamSampler, quiet_worker
from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.io.listing import refuse_own_masks
from inpaint_zoo.masks import MaskGenerator, MaskWarning, create_generator
from inpaint_zoo.ops.mosaic import mosaic

__all__ = ["InpaintingDataModule"]

Spec = Mapping[str, Any]
SplitName = Literal["train", "val", "test"]
IN_WORDS: dict[SplitName, str] = {"train": "training", "val": "validation", "test": "test"}
TRAIN_CROPS = {"random": "random_crop", "center": "center_crop", "resize": "squash"}
LOOKED_AT = 200  # mask files of a folder that are checked before training
NAMED = 20  # bad photographs that are told one by one


class InpaintingDataModule(LightningDataModule):
    """Photographs with holes, for training, validation, testing and prediction.

    Batches are dicts: image (B, 3, H, W) float in [0, 1], mask (B, 1, H, W) float with 1 = hole, index (B,) (-1 marks
    an item that only evens out the ranks of an evaluation), name (list of B). Every sample is a pure function of (seed,
    its position in the training stream); evaluation masks of (seed, item). Neither workers nor ranks, batch size or a
    resume change them.

    A photograph that cannot be read is replaced by the next one in training and left out of evaluation; each is told
    once, and `replaced` counts them.

    When a training begins, images that two of the three sets share are a warning that names the first ones.

    With ``input_mode`` "mosaic" or "hole_ns" batches have ``input`` too (B, 3, H, W): the photograph with something in
    its hole, for networks trained so (`ops.mosaic`).

    Args:
        train: Dataset as `create_dataset` takes it; ``crop`` is random (default), center or resize, and no key of it
            where ``augment`` cuts.
        val: Dataset of the validation, in its own crop.
        test: Dataset of `test` and `predict`.
        root: The ``root`` of datasets that have none; where theirs, their ``shards`` or their ``labels`` are relative
            paths, they lie below this one. So a configuration names no folder of a machine.
        size: N or [H, W] of datasets that have none.
        eval_crop: ``crop`` of val and test where they have none. With "none" they keep their original size, which takes
            an ``eval_batch_size`` of 1.
        masks: Masks of the training: a name, a mapping as `create_generator` takes it, or a YAML file with one.
        eval_masks: Masks of validation, testing and prediction, given in the same ways. None means as ``masks``. A YAML
            file that has `eval_mask` beside `mask` gives evaluation that part.
        batch_size: Training samples of a batch, on one process.
        eval_batch_size: Samples of a batch in evaluation.
        workers: Processes that load, for each process that trains; 0 loads in it.
        augment: Steps of the training as `create_augmentation` takes them; by default a horizontal flip of half of all.
        input_mode: What stands in the hole of the networks' input: nothing; blocks that keep a blurred truth; OpenCV's
            Navier-Stokes filling.
        mosaic_unit: Side of a block in pixels.
        mosaic_interpolation: bilinear as the paper says, nearest as its code does.
        epoch_samples: Training samples of an epoch, over all processes; by default one pass over the data.
        drop_last: Leave out a last training batch that is not full.
        seed: Of order, augmentation and masks.

    Attributes:
        replaced: Photograph that could not be read -> how often another took its place, or it was left out.
        replaced_in_training: How often that was in the training that runs, in this process: ``data/replaced`` of the
            logs, where it is counted over all processes and resumes.
    """

    def __init__(
        self,
        train: dict[str, Any] | None = None,
        val: dict[str, Any] | None = None,
        test: dict[str, Any] | None = None,
        root: str | None = None,
        size: int | list[int] | None = None,
        eval_crop: str = "center",
        masks: str | dict[str, Any] = "center",
        eval_masks: str | dict[str, Any] | None = None,
        batch_size: int = 8,
        eval_batch_size: int = 8,
        workers: int = 2,
        augment: list[str | dict[str, Any]] | None = None,
        input_mode: InputMode = "hole",
        mosaic_unit: int = 12,
        mosaic_interpolation: Literal["bilinear", "nearest"] = "bilinear",
        epoch_samples: int | None = None,
        drop_last: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.specs = {
            split: None if spec is None else _with_defaults(spec, root, size, "" if split == "train" else eval_crop)
            for split, spec in (("train", train), ("val", val), ("test", test))
        }
        self.mask_spec = masks
        self.eval_mask_spec = masks if eval_masks is None else eval_masks
        self.batch_size, self.eval_batch_size, self.workers = batch_size, eval_batch_size, workers
        self.augment: Any = ["hflip"] if augment is None else augment
        self.input_mode, self.mosaic_unit, self.mosaic_interpolation = input_mode, mosaic_unit, mosaic_interpolation
        self.epoch_samples, self.drop_last, self.seed = epoch_samples, drop_last, seed
        self.replaced: dict[str, int] = {}
        self.replaced_in_training = 0
        self._photos: dict[str, PhotoDataset] = {}
        self._listed: dict[str, Mapping[str, PhotoFile]] = {}  # until the dataset is made
        for key, least in (
            *(("batch_size", 1), ("eval_batch_size", 1), ("mosaic_unit", 1), ("workers", 0)),
            *(("epoch_samples", 1), ("seed", 0)),
        ):
            value = getattr(self, key)
            if value is not None and value < least:
                raise ZooError(f"`{key}` must be {least} or more, got {value}.")
        if input_mode not in get_args(InputMode):
            raise unknown_name("`input_mode`:", input_mode, get_args(InputMode))

    def photos(self, split: SplitName) -> PhotoDataset:
        """The photographs of a split; those of the training whole.

        Raises:
            ZooError: The configuration names none, or wrongly.
        """
        if split not in self._photos:
            spec = self._spec(split)
            if split == "train":
                self.augmentation()
                spec = {key: value for key, value in spec.items() if key not in ("size", "crop", "seed")}
            self._photos[split] = create_dataset(spec, self._listed.pop(split, None))
        return self._photos[split]

    def files(self, split: SplitName) -> Mapping[str, PhotoFile]:
        """The files of a split by stem; none of them is opened.

        Raises:
            ZooError: The configuration names none, or wrongly.
        """
        if split in self._photos:
            return self._photos[split].files
        if split not in self._listed:
            self._listed[split] = list_files(self._spec(split))
        return self._listed[split]

    def _spec(self, split: SplitName) -> Spec:
        spec = self.specs[split]
        if spec is None:
            raise ZooError(f"The data have no `{split}` set.")
        return spec

    def augmentation(self) -> Augmentation:
        """What is done to a training photograph, the crop first unless one of the steps makes it.

        Raises:
            ZooError: The configuration is wrong.
        """
        spec = self.specs["train"] or {}
        size = self._train_size(spec)
        steps = create_augmentation(self.augment, size)
        if steps.cuts:
            if "crop" in spec:
                raise ZooError(
                    f"the training set's `crop: {spec['crop']}` and a step of `augment` both cut; leave one out"
                )
            return steps
        crop = spec.get("crop", "random")
        if crop not in TRAIN_CROPS:
            raise unknown_name("crop of the training set:", crop, TRAIN_CROPS)
        return create_augmentation([TRAIN_CROPS[crop], *self.augment], size)

    def _train_size(self, spec: Spec) -> Size:
        size: Any = spec.get("size")
        sides = size if isinstance(size, list | tuple) else [size, size]
        if len(sides) != 2 or not all(isinstance(side, int) and side >= 1 for side in sides):
            raise ZooError(f"the training set needs a `size`: N or [H, W], got {size!r}")
        return int(sides[0]), int(sides[1])

    def _generator(self, spec: str | Mapping[str, Any], stream: str) -> MaskGenerator:
        return create_generator(spec, seed=self.seed, stream=stream, evaluation=stream != "train")

    def _masks(self, spec: str | Mapping[str, Any], stream: str, photos: PhotoDataset) -> MaskGenerator:
        """The masks of a stream; where they are files, checked before the first batch."""
        masks = self._generator(spec, stream)
        if photos.size is not None:
            masks.out_size(photos.size)  # refuses sizes that suit none of the masks
        refuse_own_masks((file for file in photos.files.values() if isinstance(file, Path)), masks.files())
        for line in masks.check_files(LOOKED_AT):
            if self.trainer is None or self.trainer.is_global_zero:
                warnings.warn(line, MaskWarning, stacklevel=2)
        return masks

    def train_samples(self) -> TrainSamples:
        """The samples of the training, by `Draw`."""
        photos = self.photos("train")
        masks = self._masks(self.mask_spec, "train", photos)
        return TrainSamples(photos, masks, self.augmentation(), self.seed, self.input_mode)

    def eval_samples(self, split: Literal["val", "test"]) -> EvalSamples:
        """The fixed samples of a split, by `Draw`."""
        photos = self.photos(split)
        if photos.size is None and self.eval_batch_size > 1:
            raise ZooError(f"the {split} set keeps every size, so `eval_batch_size` must be 1: set it, or a `size`")
        return EvalSamples(photos, self._masks(self.eval_mask_spec, split, photos), self.input_mode)

    def check(self) -> list[Problem]:
        """Photographs of all splits that cannot be read."""
        sets = [self.photos(split) for split in IN_WORDS if self.specs[split] is not None]
        return [problem for photos in sets for problem in photos.check(max(1, self.workers))]

    def overlaps(self) -> list[Overlap]:
        """Files that two of the sets training, validation and test share. A set that cannot be listed is left out."""
        sets: dict[str, Mapping[str, PhotoFile]] = {}
        for split, name in IN_WORDS.items():
            if self.specs[split] is not None:
                with suppress(ZooError):  # whoever reads the set reports what is wrong with it
                    sets[name] = self.files(split)
        return find_overlaps(sets)

    def setup(self, stage: str) -> None:
        """Before a training: restart the count of replaced images, and warn of images that two sets share.

        Without a validation set nothing is validated.
        """
        if stage == "fit":
            self.replaced_in_training = 0
            if self.specs["val"] is None and self.trainer is not None:
                self.trainer.limit_val_batches = 0
            if self.trainer is None or self.trainer.is_global_zero:
                self._warn_of_overlaps()

    def _warn_of_overlaps(self) -> None:
        for overlap in self.overlaps():
            names = {overlap.smaller, overlap.larger}
            if "validation" in names and self.trainer is not None and self.trainer.limit_val_batches == 0:
                continue  # this training does not validate
            if "training" in names:
                advice = "scores on images that were trained on do not tell how well a network generalizes"
            elif monitor := self._monitored():
                advice = (
                    f"`{monitor}` selects checkpoints on them, so every test score of this run is too good. Set "
                    "`checkpoints.monitor` to null, or take the validation images from the training images: "
                    "`select: {val: N, part: val}`"
                )
            elif self.trainer is not None and len(self.files("val")) == len(self.files("test")) == overlap.count:
                continue  # by intention: the curve is that of the test set, on which nothing is selected
            else:
                advice = "nothing may be selected on them"
            warnings.warn(f"{overlap}; {advice}", stacklevel=2)

    def _monitored(self) -> str | None:
        """The validation metric by which a callback of the trainer selects checkpoints or stops; None if none does."""
        callbacks = [] if self.trainer is None else self.trainer.callbacks  # type: ignore[attr-defined]
        monitors = [getattr(callback, "monitor", None) for callback in callbacks]
        return next((name for name in monitors if name and not name.startswith("train")), None)

    # Loaders

    def _loading(self) -> dict[str, Any]:
        pinned = self.trainer is not None and "cuda" in str(self.trainer.strategy.root_device)
        return {
            "num_workers": self.workers,
            "pin_memory": pinned,
            "persistent_workers": self.workers > 0,
            "collate_fn": collate,
        }

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
            blocks=samples.photos.blocks,
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
        return DataLoader(
            samples, batch_size=self.eval_batch_size, sampler=sampler, worker_init_fn=quiet_worker, **self._loading()
        )

    def val_dataloader(self) -> DataLoader[Sample] | list[DataLoader[Sample]]:
        """The validation set in order; without one, nothing for a training to validate on.

        Raises:
            ZooError: There is none, and `Trainer.validate` asks for it.
        """
        asked = self.trainer is not None and self.trainer.state.fn == TrainerFn.VALIDATING
        return [] if self.specs["val"] is None and not asked else self._eval_loader("val")

    def test_dataloader(self) -> DataLoader[Sample]:
        """The test set in order."""
        return self._eval_loader("test")

    def predict_dataloader(self) -> DataLoader[Sample]:
        """The test set in order."""
        return self._eval_loader("test")

    def on_after_batch_transfer(self, batch: Sample, dataloader_idx: int) -> Sample:
        """Make floats of the bytes, on the device; tell what could not be read."""
        floats: Sample = {key: batch[key].float() / 255 for key in ("image", "input") if key in batch}
        floats["mask"] = batch["mask"].float()
        if self.input_mode == "mosaic":
            floats["input"] = mosaic(floats["image"], floats["mask"], self.mosaic_unit, self.mosaic_interpolation)
        for bad in batch.get("replaced", ()):
            self._count(bad)
            self.replaced_in_training += self.trainer is not None and self.trainer.training
        return {**{key: value for key, value in batch.items() if key != "replaced"}, **floats}

    def _count(self, bad: Replaced) -> None:
        if bad.key not in self.replaced and len(self.replaced) < NAMED:
            more = "; further ones are only counted" if len(self.replaced) == NAMED - 1 else ""
            # by each process: they see different photographs
            warnings.warn(
                f"{bad.reason} (another takes its place in training, metrics leave it out{more})", stacklevel=2
            )
        self.replaced[bad.key] = self.replaced.get(bad.key, 0) + 1

    def teardown(self, stage: str) -> None:
        """Say how many photographs could not be read."""
        if self.replaced:
            times = sum(self.replaced.values())
            warnings.warn(f"{len(self.replaced)} photograph(s) could not be read, {times} time(s) in all", stacklevel=2)


def _with_defaults(spec: Spec, root: str | None, size: int | list[int] | None, crop: str) -> dict[str, Any]:
    """``spec`` with what the datamodule says for all datasets; an empty ``crop`` says nothing."""
    full = dict(spec)
    if crop == "none" and "size" not in full:
        full.setdefault("crop", crop)
    if size is not None and full.get("crop") != "none":
        full.setdefault("size", size)
    if crop and "size" in full:
        full.setdefault("crop", crop)
    if root is not None and full.get("name") != SAMPLE:
        key = "shards" if "shards" in full else "root"
        below = full.get(key, "")
        if isinstance(below, str) and not is_remote(below):
            full[key] = str(Path(root) / below)
        if "labels" in full:
            labels = full["labels"]
            full["labels"] = [str(Path(root) / file) for file in (labels if isinstance(labels, list) else [labels])]
    return full
