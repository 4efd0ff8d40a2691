"""Pictures of training: the same samples each time, as masked, every stage, result and truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from inpaint_zoo.io.pictures import write_picture
from inpaint_zoo.ops import composite, to_uint8
from inpaint_zoo.training.module import TrainingModule
from inpaint_zoo.training.phases import Batch

__all__ = ["ImageGrid", "PredictionWriter", "picture_row"]

GREY = 0.5


def picture_row(module: TrainingModule, batch: Batch) -> Tensor:
    """Input (hole grey, or what the data put there), every stage, the result, the truth: (B, 3, H, W * columns)."""
    image, mask = batch["image"], batch["mask"]
    stages = [stage.clamp(0, 1) for stage in module.predict_stages(batch).values()]
    masked = batch["input"] if "input" in batch else torch.where(mask > 0.5, GREY, image)
    return torch.cat([masked, *stages, composite(stages[-1], image, mask), image], dim=-1)


class ImageGrid(Callback):
    """At each validation, writes one picture of a few samples, the same each time and spread over the validation set.

    Rows: samples. Columns: masked input, every stage as predicted (not composited), result, truth. It goes to
    TensorBoard and W&B where they log, and to ``images/step_<n>.png`` in the run's folder.

    Args:
        count: Samples.
    """

    def __init__(self, count: int = 4) -> None:
        self.count = count
        self._rows: list[Tensor] = []
        self._wanted: set[int] = set()

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin a new picture, of samples that the first process sees."""
        self._rows = []
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
            chosen: Batch = {key: batch[key][wanted] for key in ("image", "mask", "input") if key in batch}
            self._rows += list(to_uint8(picture_row(cast(TrainingModule, pl_module), chosen)).cpu())

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the picture, but for the sanity check."""
        if trainer.sanity_checking or not self._rows:
            return
        widest = max(row.shape[-1] for row in self._rows)
        rows = [torch.nn.functional.pad(row, (0, widest - row.shape[-1])) for row in self._rows]
        grid = torch.cat(rows, dim=-2).permute(1, 2, 0).numpy()  # (H * count, W * columns, 3)
        step = trainer.global_step
        write_picture(Path(trainer.default_root_dir) / "images" / f"step_{step:08d}.png", grid)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("samples", grid, step, dataformats="HWC")
            elif isinstance(logger, WandbLogger):
                logger.log_image("samples", [grid], step=step)


class PredictionWriter(Callback):
    """Writes each finished picture of `predict` as ``predictions/<name>.png`` in the run's folder."""

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
        folder = Path(trainer.default_root_dir) / "predictions"
        for picture, name, index in zip(to_uint8(cast(Tensor, outputs)), batch["name"], batch["index"], strict=True):
            if int(index) >= 0:
                write_picture(folder / f"{name}.png", picture.permute(1, 2, 0).cpu().numpy())
