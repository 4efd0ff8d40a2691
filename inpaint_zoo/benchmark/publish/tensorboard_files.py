"""Publish a run to TensorBoard: `tensorboard/` in the run folder, with one subfolder for each method."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from inpaint_zoo.benchmark.publish.base import Publisher
from inpaint_zoo.benchmark.publish.content import IMAGES, Content, Curve, Record
from inpaint_zoo.benchmark.publish.names import legal_names
from inpaint_zoo.benchmark.report.notes import count
from inpaint_zoo.benchmark.report.run_folder import Run, flat
from inpaint_zoo.errors import ZooError
from inpaint_zoo.io.atomic import TEMPORARY_PREFIX, atomic_folder
from inpaint_zoo.io.locks import lock_folder

__all__ = ["FOLDER", "TensorBoardPublisher"]

FOLDER = "tensorboard"
PER_MILLE = 1000  # steps are whole numbers, so that a hole ratio of 0.25 is step 250


class TensorBoardPublisher(Publisher):
    """Publish to TensorBoard."""

    title = "TensorBoard"
    options = "--tensorboard"

    def check(self) -> None:
        """Check that TensorBoard is installed.

        Raises:
            ZooError: If it is not.
        """
        if find_spec("tensorboard") is None:
            raise ZooError("--tensorboard needs the package tensorboard: pip install 'inpaint-zoo[tensorboard]'.")

    def publish(self, run: Run, content: Content) -> list[str]:
        """Write the event files of all methods, and replace those of an earlier call."""
        place = run.folder / FOLDER
        staging = run.folder / f"{TEMPORARY_PREFIX}{FOLDER}"
        with lock_folder(run.folder, "publish"):
            if staging.exists():  # of a killed process
                shutil.rmtree(staging)
            with atomic_folder(staging) as folder:
                for record in content.records:
                    _write(record, content, folder / record.name)
            if place.exists():
                shutil.rmtree(place)
            staging.rename(place)
        return [f"TensorBoard: {count(len(content.records), 'method')}; show them with: tensorboard --logdir {place}"]


def _write(record: Record, content: Content, folder: Path) -> None:
    """Write the hyperparameters, numbers, curves and images of one method."""
    from torch.utils.tensorboard.writer import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        writer.add_text("notes", "  \n".join(record.notes), 0)
        settings = {**dict(flat(record.config)), "tags": ", ".join(record.tags)}
        writer.add_hparams(settings, record.numbers, run_name=".", global_step=0)
        for curve in record.curves:
            for x, y in curve.points:
                writer.add_scalar(curve.name, y, _step(curve, x))
        names = legal_names(dict.fromkeys(row.image for row in record.images))
        for row in record.images:
            panels = row.read()
            sheet = np.concatenate(panels[:-1], axis=1)  # (H, 4 * W, 3)

            writer.add_image(f"{IMAGES}/{row.dataset}/{row.mask}/{names[row.image]}", sheet, 0, dataformats="HWC")


def _step(curve: Curve, x: float) -> int:
    return round(PER_MILLE * x) if curve.x == "hole_ratio" else int(x)
