"""Measure the speed of sample loading by stage: 256-pixel samples from 512-pixel JPEGs of scikit-image's images.

    python benchmarks/speed/data.py [--rounds 7] [--batches 8] [--only PATTERN] [--train] [--json FILE]

One thread makes each batch stage by stage, alternating between the settings. In addition, the whole data module runs
with 0, 1 and 2 workers. The target is that augmentation and masks together take less time than decoding, which cannot
be avoided. The crop is not included, because every image has to be resized. With `--train`, `autoencoder_tiny` is
trained on all cores instead, which shows whether the workers take the cores from the training. Run it on an idle
machine; the load is printed.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import PIL
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import LambdaCallback
from processor import processor
from rich.console import Console
from rich.table import Table

from inpaint_zoo.analysis.machine import cores
from inpaint_zoo.data import InpaintingDataModule, create_dataset
from inpaint_zoo.data.augment import create_augmentation
from inpaint_zoo.data.samples import collate, make_sample
from inpaint_zoo.io.images import write_image
from inpaint_zoo.models import Autoencoder

SIZE, BATCH, FILES = 256, 32, 64
TRAINED = 8  # images per batch of a training
WORKERS = (0, 1, 2)
STAGES = ("decode", "crop", "augment", "mask", "collate")
JITTER = {"op": "color_jitter", "brightness": 0.05, "contrast": 0.05, "saturation": 0.05, "hue": 0.05}
DISTORTIONS = ["clahe", "brightness_contrast", "hue_saturation_value"]
WARPS = ["perspective", "affine", "optical_distortion"]
# title -> (crop, other steps, masks, whether the target applies)
SETTINGS = {
    "crop, flip; lama_wide": (["random_crop"], ["hflip"], "lama_wide", True),
    "cover and crop, flip; cmod (GRIG)": ([{"op": "random_crop", "short_side": [256, 256]}], ["hflip"], "cmod", True),
    "squash, flip; lama_thick_256": (["squash"], ["hflip"], "lama_thick_256", True),
    "squash; ca_box (GLCIC)": (["squash"], [], "ca_box", True),
    "resized crop, flip, jitter; general_mask": (["random_resized_crop"], ["hflip", JITTER], "general_mask", True),
    "LaMa's distortions; lama_wide": (["random_crop"], [*WARPS, "hflip", *DISTORTIONS], "lama_wide", False),
}


def write_images(folder: Path) -> None:
    """Write center squares of the sample images, also rotated ones, as JPEG files of 512 pixels."""
    data = create_dataset({"name": "sample", "split": "all", "size": 512})
    for n in range(FILES):
        rgb = np.rot90(data.load(n % len(data)), n // len(data))
        write_image(folder / f"{n:02d}.jpg", np.ascontiguousarray(rgb), quality=90)


class Watch:
    """Stopwatch that sums seconds by stage."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the duration of the block to a stage."""
        start = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - start


def by_stage(folder: Path, setting: tuple, first: int, batches: int) -> dict[str, float]:
    """Return milliseconds per image for each stage; the work equals that of `TrainSamples`, in the same order."""
    cut, steps, masks, _ = setting
    data = module(folder, setting, 0)
    samples = data.train_samples()
    size = (SIZE, SIZE)
    crop, augment, generator = create_augmentation(cut, size), create_augmentation(steps, size), samples.masks
    watch = Watch()
    for batch in range(first, first + batches):
        positions = range(batch * BATCH, (batch + 1) * BATCH)
        with watch.stage("mask"):
            holes = generator.batch(positions, size)
        with watch.stage("decode"):
            images = [samples.images.load(position % FILES) for position in positions]
        with watch.stage("crop"):
            images = [crop(rgb, 0, position) for rgb, position in zip(images, positions, strict=True)]
        with watch.stage("augment"):
            images = [augment(rgb, 0, position) for rgb, position in zip(images, positions, strict=True)]
        with watch.stage("collate"):
            parts = zip(images, holes, positions, strict=True)
            collate([make_sample(rgb, hole, position, "name", "hole", []) for rgb, hole, position in parts])
    del masks
    return {name: 1000 * seconds / (batches * BATCH) for name, seconds in watch.seconds.items()}


def module(
    folder: Path, setting: tuple, workers: int, batches: int = 1, batch_size: int = BATCH
) -> InpaintingDataModule:
    """Return the data module of a setting."""
    cut, steps, masks, _ = setting
    return InpaintingDataModule(
        train={"name": "images", "root": str(folder), "size": SIZE},
        masks=masks,
        augment=[*cut, *steps],
        batch_size=batch_size,
        epoch_samples=batches * batch_size,
        workers=workers,
    )


def whole(folder: Path, setting: tuple, workers: int, batches: int) -> float:
    """Return the data module's images per second, from the first batch on, without the start of its processes."""
    data = module(folder, setting, workers, batches + 1)
    start = None
    for batch in data.train_dataloader():
        data.on_after_batch_transfer(batch, 0)
        start = start or time.perf_counter()
    return batches * BATCH / (time.perf_counter() - start)


def while_training(folder: Path, setting: tuple, workers: int, batches: int) -> float:
    """Return the images per second of a training, without its first batch and the start of its processes."""
    ends: list[float] = []
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[LambdaCallback(on_train_batch_end=lambda *_: ends.append(time.perf_counter()))],
    )
    trainer.fit(Autoencoder(network="autoencoder_tiny"), module(folder, setting, workers, batches + 1, TRAINED))
    return batches * TRAINED / (ends[-1] - ends[0])


def train(folder: Path, names: list[str], rounds: int, batches: int) -> list[dict[str, object]]:
    """Train on all settings, alternating between the numbers of workers."""
    rates = {name: {workers: [] for workers in WORKERS} for name in names}
    for _ in range(rounds):
        for name in names:
            for workers in WORKERS:
                rates[name][workers].append(while_training(folder, SETTINGS[name], workers, batches))
    return [
        {"title": name, "images_per_s": {str(workers): median(found) for workers, found in rates[name].items()}}
        for name in names
    ]


def training_table(rows: list[dict[str, object]]) -> Table:
    """Return the table of trainings."""
    out = Table(title="Training autoencoder_tiny: images per second by the number of workers")
    for title in ("setting", *map(str, WORKERS)):
        out.add_column(title, justify="left" if title == "setting" else "right")
    for row in rows:
        out.add_row(row["title"], *(f"{row['images_per_s'][str(workers)]:.1f}" for workers in WORKERS))
    return out


def measure(folder: Path, names: list[str], rounds: int, batches: int) -> list[dict[str, object]]:
    """Measure all settings, alternating between them."""
    for name in names:  # warm-up: caches, compiled tables
        by_stage(folder, SETTINGS[name], 0, 1)
    stages: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    rates: dict[str, dict[int, list[float]]] = {name: {workers: [] for workers in WORKERS} for name in names}
    for turn in range(rounds):
        for name in names:
            stages[name].append(by_stage(folder, SETTINGS[name], turn * batches, batches))
            for workers in WORKERS:
                rates[name][workers].append(whole(folder, SETTINGS[name], workers, 2 * batches))
    rows = []
    for name in names:
        shares = [(found["augment"] + found["mask"]) / found["decode"] for found in stages[name]]
        rows.append(
            {
                "title": name,
                "gated": SETTINGS[name][3],
                "ms": {stage: median(found[stage] for found in stages[name]) for stage in STAGES},
                "share_of_decoding": {"median": median(shares), "worst": max(shares)},
                "images_per_s": {str(workers): median(found) for workers, found in rates[name].items()},
            }
        )
    return rows


def table(rows: list[dict[str, object]]) -> Table:
    """Return the table to print."""
    out = Table(title=f"Samples of {SIZE} pixels from JPEG files of 512: milliseconds per image, images per second")
    out.add_column("setting")
    for stage in STAGES:
        out.add_column(f"{stage} ms", justify="right")
    out.add_column("(augment + mask) / decode", justify="right")
    for workers in WORKERS:
        out.add_column(f"img/s, {workers} workers", justify="right")
    for row in rows:
        share = row["share_of_decoding"]
        good = share["median"] < 1
        mark = "[green]" if good else "[red]" if row["gated"] else ""
        out.add_row(
            row["title"],
            *(f"{row['ms'][stage]:.2f}" for stage in STAGES),
            f"{mark}{share['median']:.2f} (worst {share['worst']:.2f})",
            *(f"{row['images_per_s'][str(workers)]:.0f}" for workers in WORKERS),
        )
    return out


def main() -> int:
    """Measure and print; return 1 if the target is missed, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, default=8, help="batches in each round")
    parser.add_argument("--only", default="*", help="shell pattern for the settings")
    parser.add_argument("--train", action="store_true", help="measure trainings on the samples")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    torch.set_num_threads(cores() if args.train else 1)
    cv2.setNumThreads(1)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder))
        names = [name for name in SETTINGS if fnmatchcase(name, args.only)]
        rows = (train if args.train else measure)(Path(folder), names, args.rounds, args.batches)
    machine = {
        "processor": processor(),
        "cores": cores(),
        "load_before": load,
        "pillow": PIL.__version__,
        "opencv": cv2.__version__,
        "torch": torch.__version__,
    }
    console = Console(width=140)
    console.print((training_table if args.train else table)(rows))
    console.print(", ".join(f"{key} {value}" for key, value in machine.items()))
    if args.json:
        args.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")
    return int(not args.train and any(row["gated"] and row["share_of_decoding"]["median"] >= 1 for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
