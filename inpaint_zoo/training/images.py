"""Callbacks that write images: a grid of validation samples during training, and the results of `predict`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from inpaint_zoo.config import checked, whole
from inpaint_zoo.inference.attention import attention_sheet
from inpaint_zoo.inference.batch import Bytes, to_bytes
from inpaint_zoo.inference.extras import HasAttention
from inpaint_zoo.io.images import write_image
from inpaint_zoo.io.names import concerns_one_name
from inpaint_zoo.ops import composite
from inpaint_zoo.training.module import TrainingModule
from inpaint_zoo.training.phases import Batch
from inpaint_zoo.training.scoring import hole_fill_of

__all__ = ["ImageGrid", "PredictionWriter", "image_row"]

GRAY = 0.5


def image_row(module: TrainingModule, batch: Batch) -> list[Tensor]:
    """Return the images of one row of `ImageGrid`, each (B, 3, H, W) in [0, 1].

    These are the masked input (the hole is gray, or ``hole_fill`` if the batch has it), the prediction of every stage
    (clamped, not composited), the result (composited) and the ground truth.
    """
    image, mask = batch["image"], batch["mask"]
    stages = [stage.clamp(0, 1) for stage in module.network.stages(image, mask, **hole_fill_of(batch)).values()]
    masked = batch["hole_fill"] if "hole_fill" in batch else torch.where(mask > 0.5, GRAY, image)
    return [masked, *stages, composite(stages[-1], image, mask), image]


def _attention(network: HasAttention, batch: Batch, result: Bytes, image: Bytes, step: int) -> list[Bytes]:
    """Return for each sample an attention image as `inpaint --attention` writes it.

    Args:
        network: The network, in evaluation.
        batch: B samples.
        result: (B, H, W, 3), composited.
        image: (B, H, W, 3), ground truth.
        step: Number of generator steps done, for the title.
    """
    offsets = network.attention_offsets(batch["image"], batch["mask"], **hole_fill_of(batch)).cpu().numpy()
    holes = (batch["mask"][:, 0] > 0.5).cpu().numpy()
    return [
        attention_sheet(*sample, f"step {step}: {name}", place=network.attention_place)
        for name, sample in zip(batch["name"], zip(offsets, image, holes, result, strict=True), strict=True)
    ]


def _stacked(images: list[Bytes], margin: int) -> Bytes:
    """Stack images (H, W, 3) vertically, and pad narrower ones on the right with the gray value ``margin``."""
    widest = max(image.shape[1] for image in images)
    sides = [((0, 0), (0, widest - image.shape[1]), (0, 0)) for image in images]
    rows = [np.pad(image, side, constant_values=margin) for image, side in zip(images, sides, strict=True)]
    return np.concatenate(rows)


class ImageGrid(Callback):
    """Callback that writes an image grid of a few validation samples at each validation during training.

    The samples are the same each time and spread evenly over the validation set. Each row is a sample. The columns are
    the masked input, the prediction of every stage (not composited), the result and the ground truth.

    The grid is written to ``images/step_<n>.png`` in the run's folder, and logged as ``samples`` to TensorBoard and W&B
    if they are used. For a network with attention, a second image shows from where each hole position copies:
    ``images/attention_<n>.png``, logged as ``attention``.

    Args:
        count: Number of samples; 0 writes no images.
    """

    def __init__(self, count: int = 4) -> None:
        checked("`count` of `images`", count, whole(0))
        self.count = count
        self._rows: list[Bytes] = []
        self._sheets: list[Bytes] = []
        self._wanted: set[int] = set()

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Select the samples, from those that the first process evaluates."""
        self._rows, self._sheets, self._wanted = [], [], set()
        if trainer.state.fn != TrainerFn.FITTING or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return  # outside training there is no step to name the image by
        loader: Any = trainer.val_dataloaders
        size, ranks = len(loader.dataset), trainer.world_size
        places = (number * size // self.count for number in range(self.count))
        self._wanted = {place - place % ranks for place in places}

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Compute the rows of selected samples, while the evaluated weights (such as the EMA) are in the network."""
        if not trainer.is_global_zero:
            return
        wanted = [place for place, index in enumerate(batch["index"].tolist()) if index in self._wanted]
        if wanted:
            chosen: Batch = {key: batch[key][wanted] for key in ("image", "mask", "hole_fill") if key in batch}
            chosen["name"] = [batch["name"][place] for place in wanted]
            module = cast(TrainingModule, pl_module)
            columns = [to_bytes(x) for x in image_row(module, chosen)]
            self._rows += list(np.concatenate(columns, axis=2))  # (H, W * columns, 3) each
            if isinstance(module.network, HasAttention):
                *_, result, image = columns
                self._sheets += _attention(module.network, chosen, result, image, trainer.global_step)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the images, except after the sanity check."""
        if trainer.sanity_checking or not self._rows:
            return
        _publish(trainer, "step", "samples", _stacked(self._rows, margin=0))
        if self._sheets:
            _publish(trainer, "attention", "attention", _stacked(self._sheets, margin=255))


def _publish(trainer: Trainer, file: str, name: str, image: Bytes) -> None:
    """Write an image to the run's folder, and log it to TensorBoard and W&B if they are used."""
    step = trainer.global_step
    write_image(Path(trainer.default_root_dir) / "images" / f"{file}_{step:08d}.png", image)
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(name, image, step, dataformats="HWC")
        elif isinstance(logger, WandbLogger):
            logger.log_image(name, [image], step=step)


class PredictionWriter(Callback):
    """Callback that writes each result of `predict` to ``predictions/<name>.png`` in the run's folder.

    If the file system does not accept a name, for example because it is too long, the image is skipped with a warning.
    """

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write the results of one batch; samples with index -1 (padding) are skipped."""
        if trainer.fast_dev_run:  # type: ignore[attr-defined]  # set by Lightning, but not declared
            return
        folder = Path(trainer.default_root_dir) / "predictions"
        for image, name, index in zip(to_bytes(cast(Tensor, outputs)), batch["name"], batch["index"], strict=True):
            if int(index) < 0:
                continue
            try:
                write_image(folder / f"{name}.png", image)
            except OSError as error:
                if not concerns_one_name(error):
                    raise
                warnings.warn(f"{name}: the result cannot be written: {error.strerror}", stacklevel=2)
