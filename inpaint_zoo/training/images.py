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
from numpy.typing import NDArray
from torch import Tensor

from inpaint_zoo.inference.attention import attention_sheet
from inpaint_zoo.inference.extras import HasAttention
from inpaint_zoo.io.names import concerns_one_name
from inpaint_zoo.io.pictures import write_picture
from inpaint_zoo.ops import composite, to_uint8
from inpaint_zoo.training.module import TrainingModule, hole_fill_of
from inpaint_zoo.training.phases import Batch

__all__ = ["ImageGrid", "PredictionWriter", "picture_row"]

GREY = 0.5
Bytes = NDArray[np.uint8]


def picture_row(module: TrainingModule, batch: Batch) -> list[Tensor]:
    """Return the images of one row of `ImageGrid`, each (B, 3, H, W) in [0, 1].

    These are the masked input (the hole is grey, or ``hole_fill`` if the batch has it), the prediction of every stage
    (clamped, not composited), the result (composited) and the ground truth.
    """
    image, mask = batch["image"], batch["mask"]
    stages = [stage.clamp(0, 1) for stage in module.network.stages(image, mask, **hole_fill_of(batch)).values()]
    masked = batch["hole_fill"] if "hole_fill" in batch else torch.where(mask > 0.5, GREY, image)
    return [masked, *stages, composite(stages[-1], image, mask), image]


def _attention(network: HasAttention, batch: Batch, result: Bytes, photo: Bytes, step: int) -> list[Bytes]:
    """Return for each sample an attention image as `inpaint --attention` writes it.

    Args:
        network: The network, in evaluation.
        batch: B samples.
        result: (B, H, W, 3), composited.
        photo: (B, H, W, 3), ground truth.
        step: Number of generator steps done, for the title.
    """
    offsets = network.attention_offsets(batch["image"], batch["mask"], **hole_fill_of(batch)).cpu().numpy()
    holes = (batch["mask"][:, 0] > 0.5).cpu().numpy()
    return [
        attention_sheet(*sample, f"step {step}: {name}", place=network.attention_place)
        for name, sample in zip(batch["name"], zip(offsets, photo, holes, result, strict=True), strict=True)
    ]


def _stacked(pictures: list[Bytes], margin: int) -> Bytes:
    """Stack images (H, W, 3) vertically, and pad narrower ones on the right with the grey value ``margin``."""
    widest = max(picture.shape[1] for picture in pictures)
    sides = [((0, 0), (0, widest - picture.shape[1]), (0, 0)) for picture in pictures]
    rows = [np.pad(picture, side, constant_values=margin) for picture, side in zip(pictures, sides, strict=True)]
    return np.concatenate(rows)


class ImageGrid(Callback):
    """Callback that writes an image grid of a few validation samples at each validation during training.

    The samples are the same each time and spread evenly over the validation set. Each row is a sample. The columns are
    the masked input, the prediction of every stage (not composited), the result and the ground truth.

    The grid is written to ``images/step_<n>.png`` in the run's folder, and logged as ``samples`` to TensorBoard and W&B
    if they are used. For a network with attention, a second image shows from where each hole position copies:
    ``images/attention_<n>.png``, logged as ``attention``.

    Args:
        count: Number of samples.
    """

    def __init__(self, count: int = 4) -> None:
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
            columns = [to_uint8(x).permute(0, 2, 3, 1).cpu().numpy() for x in picture_row(module, chosen)]
            self._rows += list(np.concatenate(columns, axis=2))  # (H, W * columns, 3) each
            if isinstance(module.network, HasAttention):
                *_, result, photo = columns
                self._sheets += _attention(module.network, chosen, result, photo, trainer.global_step)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the images, except after the sanity check."""
        if trainer.sanity_checking or not self._rows:
            return
        _publish(trainer, "step", "samples", _stacked(self._rows, margin=0))
        if self._sheets:
            _publish(trainer, "attention", "attention", _stacked(self._sheets, margin=255))


def _publish(trainer: Trainer, file: str, name: str, picture: Bytes) -> None:
    """Write an image to the run's folder, and log it to TensorBoard and W&B if they are used."""
    step = trainer.global_step
    write_picture(Path(trainer.default_root_dir) / "images" / f"{file}_{step:08d}.png", picture)
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(name, picture, step, dataformats="HWC")
        elif isinstance(logger, WandbLogger):
            logger.log_image(name, [picture], step=step)


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
        for picture, name, index in zip(to_uint8(cast(Tensor, outputs)), batch["name"], batch["index"], strict=True):
            if int(index) < 0:
                continue
            try:
                write_picture(folder / f"{name}.png", picture.permute(1, 2, 0).cpu().numpy())
            except OSError as error:
                if not concerns_one_name(error):
                    raise
                warnings.warn(f"{name}: the result cannot be written: {error.strerror}", stacklevel=2)
