"""Pictures of training: the same samples each time, as masked, every stage, result and truth, and their attention."""

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
    """Input (hole grey, or what the data put there), every stage, the result, the truth: (B, 3, H, W) each."""
    image, mask = batch["image"], batch["mask"]
    stages = [stage.clamp(0, 1) for stage in module.predict_stages(batch).values()]
    masked = batch["hole_fill"] if "hole_fill" in batch else torch.where(mask > 0.5, GREY, image)
    return [masked, *stages, composite(stages[-1], image, mask), image]


def _attention(network: HasAttention, batch: Batch, result: Bytes, photo: Bytes, step: int) -> list[Bytes]:
    """Of each sample a sheet as `inpaint --attention` writes it; result and photograph (B, H, W, 3)."""
    offsets = network.attention_offsets(batch["image"], batch["mask"], **hole_fill_of(batch)).cpu().numpy()
    holes = (batch["mask"][:, 0] > 0.5).cpu().numpy()
    return [
        attention_sheet(*sample, f"step {step}: {name}", place=network.attention_place)
        for name, sample in zip(batch["name"], zip(offsets, photo, holes, result, strict=True), strict=True)
    ]


def _stacked(pictures: list[Bytes], margin: int) -> Bytes:
    """(H, W, 3) each, one below the other; beside narrower ones the grey of ``margin``."""
    widest = max(picture.shape[1] for picture in pictures)
    sides = [((0, 0), (0, widest - picture.shape[1]), (0, 0)) for picture in pictures]
    rows = [np.pad(picture, side, constant_values=margin) for picture, side in zip(pictures, sides, strict=True)]
    return np.concatenate(rows)


class ImageGrid(Callback):
    """At each validation of a training, writes one picture of a few samples.

    The samples are the same each time, and spread over the validation set.

    Rows: samples. Columns: masked input, every stage as predicted (not composited), result, truth. It goes to
    TensorBoard and W&B where they log, as ``samples``, and to ``images/step_<n>.png`` in the run's folder. A network
    with attention has a second one, ``attention`` and ``images/attention_<n>.png``: where each place of the same
    samples copies from.

    Args:
        count: Samples.
    """

    def __init__(self, count: int = 4) -> None:
        self.count = count
        self._rows: list[Bytes] = []
        self._sheets: list[Bytes] = []
        self._wanted: set[int] = set()

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin a new picture, of samples that the first process sees."""
        self._rows, self._sheets, self._wanted = [], [], set()
        if trainer.state.fn != TrainerFn.FITTING or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return  # outside a training no step gives the picture its name
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
        """Take the samples that are wanted, while the evaluated weights are in place."""
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
        """Write the pictures, but for the sanity check."""
        if trainer.sanity_checking or not self._rows:
            return
        _publish(trainer, "step", "samples", _stacked(self._rows, margin=0))
        if self._sheets:
            _publish(trainer, "attention", "attention", _stacked(self._sheets, margin=255))


def _publish(trainer: Trainer, file: str, name: str, picture: Bytes) -> None:
    """Write a picture into the run's folder, and hand it to the loggers that take pictures."""
    step = trainer.global_step
    write_picture(Path(trainer.default_root_dir) / "images" / f"{file}_{step:08d}.png", picture)
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(name, picture, step, dataformats="HWC")
        elif isinstance(logger, WandbLogger):
            logger.log_image(name, [picture], step=step)


class PredictionWriter(Callback):
    """Writes each finished picture of `predict` as ``predictions/<name>.png`` in the run's folder.

    A name that no file can have there, such as one that is too long, is warned of and left out.
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
        """Write the pictures of one batch."""
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
