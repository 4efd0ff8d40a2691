"""The data module of all training: images and masks by specification; each sample is a function of its position."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, get_args

from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch.utils.data import DataLoader

from inpaint_zoo.config import checked, whole
from inpaint_zoo.data.augment import Augmentation, create_augmentation
from inpaint_zoo.data.crops import Size
from inpaint_zoo.data.datasets import ImageDataset, ImageFile, Problem
from inpaint_zoo.data.entries import SAMPLE, create_dataset, list_files
from inpaint_zoo.data.fetching import is_remote
from inpaint_zoo.data.locate import folder_name
from inpaint_zoo.data.overlap import Overlap, find_overlaps
from inpaint_zoo.data.records import IN_WORDS, SplitName
from inpaint_zoo.data.samples import EvalSamples, InputMode, Replaced, Sample, TrainSamples, collate
from inpaint_zoo.data.sampling import EvalSampler, ResumableLoader, StreamSampler, divided, quiet_worker
from inpaint_zoo.errors import ZooError, unknown_name
from inpaint_zoo.io.listing import refuse_own_masks
from inpaint_zoo.masks import MaskGenerator, MaskWarning, create_generator
from inpaint_zoo.ops.mosaic import mosaic

__all__ = ["InpaintingDataModule"]

Spec = Mapping[str, Any]
TRAIN_CROPS = {"random": "random_crop", "center": "center_crop", "resize": "squash"}
LOOKED_AT = 200  # number of mask files of a folder that are checked before training
BATCH_SIZE = 8
NAMED = 20  # number of unreadable images that are reported individually


class InpaintingDataModule(LightningDataModule):
    """Images with holes for training, validation, testing and prediction.

    Batches are dicts: image (B, 3, H, W) float in [0, 1], mask (B, 1, H, W) float with 1 = hole, index (B,) (-1 marks
    an item that only pads the ranks of an evaluation to equal length), name (list of B). Every training sample is a
    pure function of (seed, its position in the training stream), every evaluation mask of (seed, item). Workers, ranks,
    batch size and resuming do not change them.

    In training, an unreadable image is replaced by the next one; in evaluation, it is left out. Each one is reported
    once, and `replaced` counts them.

    When training starts, a warning names images that two of the three datasets share.

    With `Trainer(overfit_batches=N)`, each epoch consists of the same N batches, with the same crops and masks, and the
    first N batches of the validation dataset are evaluated.

    With ``input_mode`` "mosaic" or "hole_ns", batches also contain ``hole_fill`` (B, 3, H, W): the image with a
    pre-filled hole, for networks trained this way (`ops.mosaic`).

    Args:
        train: Training dataset, as in `create_dataset`; its ``crop`` is random (default), center or resize, and must be
            omitted if ``augment`` contains a step that crops.
        val: Validation dataset, with its own crop.
        test: Dataset of `test` and `predict`.
        root: The ``root`` of datasets that have none. If their own ``root``, ``shards`` or ``labels`` are relative
            paths, they are relative to this folder. A configuration thus needs no path of a machine. By default,
            datasets are found by the rule of `create_dataset`, that is, by `INPAINT_ZOO_DATA`.
        size: N or [H, W] of datasets that have none.
        eval_crop: ``crop`` of val and test if they have none. With "none" they keep their original size, which requires
            an ``eval_batch_size`` of 1.
        masks: Masks of the training: a name, a mapping as in `create_generator`, or a YAML file with one.
        eval_masks: Masks of validation, testing and prediction, given in the same ways; None uses ``masks``. If a YAML
            file has `eval_mask` beside `mask`, evaluation uses `eval_mask`.
        batch_size: Training samples per batch over all processes, each of which gets an equal part.
        eval_batch_size: Samples per batch in evaluation, on each process.
        workers: Number of loading processes for each training process; 0 loads in the training process.
        augment: Training steps, as in `create_augmentation`; the default is a horizontal flip with probability 0.5.
        input_mode: Content of the hole in the networks' input: "hole" is empty, "mosaic" shows a mosaic of the ground
            truth, "hole_ns" is filled with OpenCV's Navier-Stokes method.
        mosaic_unit: Height and width of a mosaic block in pixels.
        mosaic_interpolation: "bilinear" as in the paper, "nearest" as in its code.
        epoch_samples: Training samples per epoch over all processes; the default is one pass over the data.
        drop_last: Drop the last training batch if it is not full.
        seed: Seed of order, augmentation and masks.

    Attributes:
        replaced: Unreadable image -> number of times that it was replaced or left out.
        replaced_in_training: Number of replacements in the current training, in this process: ``data/replaced`` in the
            logs, which count it over all processes and resumed runs.
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
        batch_size: int = BATCH_SIZE,
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
        self._overfits = False
        self._images: dict[str, ImageDataset] = {}
        self._listed: dict[str, Mapping[str, ImageFile]] = {}  # until the dataset is created
        for key, least in (
            *(("batch_size", 1), ("eval_batch_size", 1), ("mosaic_unit", 1), ("workers", 0)),
            *(("epoch_samples", 1), ("seed", 0)),
        ):
            if getattr(self, key) is not None:
                checked(f"`{key}`", getattr(self, key), whole(least))
        if input_mode not in get_args(InputMode):
            raise unknown_name("`input_mode`:", input_mode, get_args(InputMode))

    def images(self, split: SplitName) -> ImageDataset:
        """Return the dataset of a split; training images are whole, without crop.

        Raises:
            ZooError: If the configuration has none, or an invalid one.
        """
        if split not in self._images:
            spec = self._spec(split)
            if split == "train":
                self.augmentation()
                spec = {key: value for key, value in spec.items() if key not in ("size", "crop", "seed")}
            self._images[split] = create_dataset(spec, self._listed.pop(split, None))
        return self._images[split]

    def files(self, split: SplitName) -> Mapping[str, ImageFile]:
        """Return the files of a split by stem, without opening them.

        Raises:
            ZooError: If the configuration has none, or an invalid one.
        """
        if split in self._images:
            return self._images[split].files
        if split not in self._listed:
            self._listed[split] = list_files(self._spec(split))
        return self._listed[split]

    def _spec(self, split: SplitName) -> Spec:
        spec = self.specs[split]
        if spec is None:
            raise ZooError(f"The data have no `{split}` set.")
        return spec

    def augmentation(self) -> Augmentation:
        """Return the augmentation of training images; it starts with the crop unless one of the steps crops.

        Raises:
            ZooError: If the configuration is invalid.
        """
        spec = self.specs["train"] or {}
        size = self._train_size(spec)
        steps = create_augmentation(self.augment, size)
        if steps.cuts:
            if "crop" in spec:
                raise ZooError(
                    f"the training set's `crop: {spec['crop']}` and a step of `augment` both crop; remove one of them"
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

    def _masks(self, spec: str | Mapping[str, Any], stream: str, images: ImageDataset) -> MaskGenerator:
        """Return the mask generator of a stream; mask files are checked before the first batch."""
        masks = self._generator(spec, stream)
        if images.size is not None:
            masks.out_size(images.size)  # raises an error for a size that suits none of the masks
        refuse_own_masks((file for file in images.files.values() if isinstance(file, Path)), masks.files())
        for line in masks.check_files(LOOKED_AT):
            if self.trainer is None or self.trainer.is_global_zero:
                warnings.warn(line, MaskWarning, stacklevel=2)
        return masks

    def train_samples(self) -> TrainSamples:
        """Return the training samples, indexed by `Draw`."""
        images = self.images("train")
        masks = self._masks(self.mask_spec, "train", images)
        return TrainSamples(images, masks, self.augmentation(), self.seed, self.input_mode)

    def eval_samples(self, split: Literal["val", "test"]) -> EvalSamples:
        """Return the fixed samples of a split, indexed by `Draw`."""
        images = self.images(split)
        if images.size is None and self.eval_batch_size > 1:
            raise ZooError(f"the {split} set keeps every size, so `eval_batch_size` must be 1: set it, or a `size`")
        return EvalSamples(images, self._masks(self.eval_mask_spec, split, images), self.input_mode)

    def check(self) -> list[Problem]:
        """Return the unreadable images of all splits."""
        sets = [self.images(split) for split in IN_WORDS if self.specs[split] is not None]
        return [problem for images in sets for problem in images.check(max(1, self.workers))]

    def overlaps(self) -> list[Overlap]:
        """Return the overlaps between training, validation and test files; sets that cannot be listed are skipped."""
        sets: dict[str, Mapping[str, ImageFile]] = {}
        for split, name in IN_WORDS.items():
            if self.specs[split] is not None:
                with suppress(ZooError):  # the code that reads the dataset reports the error
                    sets[name] = self.files(split)
        return find_overlaps(sets)

    def setup(self, stage: str) -> None:
        """Before training, reset the count of replaced images, and warn about images that two datasets share.

        Without a validation dataset, validation is disabled.

        Raises:
            ZooError: See `check_trainer`; or a metric of test images selects checkpoints or stops the training.
        """
        if stage == "fit":
            if self.trainer is not None:
                self.check_trainer(self.trainer)
            self.replaced_in_training = 0
            if self.trainer is not None and self.trainer.overfit_batches:  # type: ignore[attr-defined]  # not declared
                # The Trainer has set its limits of batches. With 0 it leaves the samplers as they are.
                self._overfits, self.trainer.overfit_batches = True, 0.0  # type: ignore[attr-defined]
            if self.specs["val"] is None and self.trainer is not None:
                self.trainer.limit_val_batches = 0
            self._check_overlaps()

    def check_trainer(self, trainer: Trainer) -> None:
        """Refuse a number of processes that cannot divide ``batch_size``.

        The command line calls this before it starts other processes.

        Raises:
            ZooError: ``batch_size`` is not a multiple of the number of processes.
        """
        divided(self.batch_size, trainer.world_size)

    def _check_overlaps(self) -> None:
        found = self._overlaps_in_use()
        self._refuse_selection(found)
        for overlap in found:
            if "training" in {overlap.smaller, overlap.larger}:
                advice = "scores on images that were trained on do not tell how well a network generalizes"
            elif self.trainer is not None and len(self.files("val")) == len(self.files("test")) == overlap.count:
                continue  # intended: the validation curve is that of the test set, and nothing is selected on it
            else:
                advice = "nothing may be selected on them"
            if self.trainer is None or self.trainer.is_global_zero:
                warnings.warn(f"{overlap}; {advice}", stacklevel=3)

    def _overlaps_in_use(self) -> list[Overlap]:
        """Return the overlaps, without those of the validation images if this training does not validate."""
        found = self.overlaps()
        if self.trainer is not None and self.trainer.limit_val_batches == 0:
            return [overlap for overlap in found if "validation" not in {overlap.smaller, overlap.larger}]
        return found

    def _refuse_selection(self, overlaps: list[Overlap]) -> None:
        """Refuse to select by test images, unless all of them are training images and the scores are no test anyway."""
        monitor = self._monitored()
        trained_on = [each.count for each in overlaps if {each.smaller, each.larger} == {"training", "test"}]
        if trained_on and len(self.files("test")) in trained_on:
            return
        for overlap in overlaps:
            if monitor and "training" not in {overlap.smaller, overlap.larger}:
                raise ZooError(
                    f"{overlap}; `{monitor}` would select checkpoints, stop the training or set its learning rate by "
                    "them, and test scores would be too good. Set `checkpoints.monitor` to null and remove callbacks "
                    "and schedules that monitor it, or take the validation images from the training images: "
                    "`select: {val: N, part: val}`"
                )

    def _monitored(self) -> str | None:
        """Return the validation metric that a callback or a learning-rate schedule follows; None if there is none."""
        callbacks = [] if self.trainer is None else self.trainer.callbacks  # type: ignore[attr-defined]
        schedules = [] if self.trainer is None else self.trainer.lr_scheduler_configs
        monitors = [getattr(each, "monitor", None) for each in (*callbacks, *schedules)]
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
        """Return the loader of the training stream, starting at the trainer's current epoch.

        Raises:
            ZooError: If an epoch has no full batch, or a learning-rate schedule follows a metric of test images.
        """
        # again if a schedule follows a metric, because `setup` is called before the schedules are built
        if self.trainer is not None and any(config.monitor for config in self.trainer.lr_scheduler_configs):
            self._refuse_selection(self._overlaps_in_use())
        samples = self.train_samples()
        sampler = StreamSampler(
            len(samples.images),
            length=self.epoch_samples,
            batch_size=divided(self.batch_size, self._ranks().get("ranks", 1)),
            seed=self.seed,
            drop_last=self.drop_last,
            blocks=samples.images.blocks,
            repeat=self._overfits,
            **self._ranks(),
        )
        if not len(sampler):
            raise ZooError(
                f"An epoch of {sampler.length} samples has no full batch of {self.batch_size}: set epoch_samples, or a "
                "smaller batch_size."
            )
        if self.trainer is not None:
            progress: Any = self.trainer.fit_loop.epoch_progress.current
            sampler.set_epoch(progress.processed)
        return ResumableLoader(samples, sampler, **self._loading())

    def _eval_loader(self, split: Literal["val", "test"]) -> DataLoader[Sample]:
        samples = self.eval_samples(split)
        sampler = EvalSampler(len(samples.images), **self._ranks())
        return DataLoader(
            samples, batch_size=self.eval_batch_size, sampler=sampler, worker_init_fn=quiet_worker, **self._loading()
        )

    def val_dataloader(self) -> DataLoader[Sample] | list[DataLoader[Sample]]:
        """Return the loader of the validation dataset, in order; without one, return an empty list in training.

        Raises:
            ZooError: If there is none and `Trainer.validate` was called.
        """
        asked = self.trainer is not None and self.trainer.state.fn == TrainerFn.VALIDATING
        return [] if self.specs["val"] is None and not asked else self._eval_loader("val")

    def test_dataloader(self) -> DataLoader[Sample]:
        """Return the loader of the test dataset, in order."""
        return self._eval_loader("test")

    def predict_dataloader(self) -> DataLoader[Sample]:
        """Return the loader of the test dataset, in order."""
        return self._eval_loader("test")

    def on_after_batch_transfer(self, batch: Sample, dataloader_idx: int) -> Sample:
        """Convert uint8 to the Trainer's float type on the device, and report unreadable images."""
        floats: Sample = {key: batch[key].float() / 255 for key in ("image", "hole_fill") if key in batch}
        floats["mask"] = batch["mask"].float()
        if self.input_mode == "mosaic":
            floats["hole_fill"] = mosaic(floats["image"], floats["mask"], self.mosaic_unit, self.mosaic_interpolation)
        if self.trainer is not None:  # Lightning has converted the batch, but not images that were still uint8
            floats = self.trainer.precision_plugin.convert_input(floats)
        for bad in batch.get("replaced", ()):
            self._count(bad)
            self.replaced_in_training += self.trainer is not None and self.trainer.training
        return {**{key: value for key, value in batch.items() if key != "replaced"}, **floats}

    def _count(self, bad: Replaced) -> None:
        if bad.key not in self.replaced and len(self.replaced) < NAMED:
            more = "; further ones are only counted" if len(self.replaced) == NAMED - 1 else ""
            # every process warns, because each sees different images
            warnings.warn(
                f"{bad.reason} (another takes its place in training, metrics leave it out{more})", stacklevel=2
            )
        self.replaced[bad.key] = self.replaced.get(bad.key, 0) + 1

    def teardown(self, stage: str) -> None:
        """Report how many images could not be read."""
        if self.replaced:
            times = sum(self.replaced.values())
            warnings.warn(f"{len(self.replaced)} image(s) could not be read, {times} time(s) in total", stacklevel=2)


def _with_defaults(spec: Spec, root: str | None, size: int | list[int] | None, crop: str) -> dict[str, Any]:
    """Return ``spec`` with the data module's settings for all datasets; an empty ``crop`` sets none."""
    full = dict(spec)
    if crop == "none" and "size" not in full:
        full.setdefault("crop", crop)
    if size is not None and full.get("crop") != "none":
        full.setdefault("size", size)
    if crop and "size" in full:
        full.setdefault("crop", crop)
    # an absolute path, so that it is not looked for in `INPAINT_ZOO_DATA`
    return full if root is None else _below(str(Path(root).absolute()), full)


def _below(folder: str, spec: Spec, is_part: bool = False) -> dict[str, Any]:
    """Return ``spec`` with its relative paths, and those of its parts, below a folder.

    A part without a path is in the subfolder of its name.
    """
    full = dict(spec)
    if isinstance(full.get("parts"), list | tuple):
        full["parts"] = [_below(folder, part, True) if isinstance(part, Mapping) else part for part in full["parts"]]
    elif full.get("name") != SAMPLE:
        key = "shards" if "shards" in full else "root"
        below = full.get(key, folder_name(str(full.get("name"))) if is_part and "list" not in full else "")
        if isinstance(below, str) and not is_remote(below):
            full[key] = str(Path(folder) / below)
        if "labels" in full:
            labels = full["labels"]
            full["labels"] = [str(Path(folder) / file) for file in (labels if isinstance(labels, list) else [labels])]
    return full
