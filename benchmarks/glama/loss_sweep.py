"""Measure at which loss weights GLaMa's two added losses have an effect: gradient shares and short trainings.

    python benchmarks/glama/loss_sweep.py [--train DIR --val DIR] [--warmup 800] [--steps 300] [--only GLOB] [--out DIR]

The paper gives both losses the weight 1 and does not state their reduction. This script answers two questions for a
small network with LaMa's architecture and the loss weights of LaMa's code, but without the perceptual loss, whose
ADE20K weights are not freely available to everyone:

1. Shares: the norm of the gradient with respect to the raw prediction, for each term and each reduction of the two
   losses, before and after a training without them ("warm-up"), on crops of `--size` and of 256 pixels. The share is
   that of the weighted term in the sum of all norms.
2. Trainings: each setting continues from the warm-up for `--steps` steps on the same batches. Then validation crops are
   filled with three of GLaMa's masks. The setting without both losses and the defaults of `GLaMa` are repeated with
   other batches: differences smaller than the spread of these rows are not meaningful.

Without `--train` and `--val` the images that ship with scikit-image are used. The run is deterministic for a seed and
uses one thread. `--network glama --width 64 --warmup 0 --steps 0` measures the shares of the full-size network.
"""

import argparse
import copy
import csv
import logging
import warnings
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F

from inpaint_zoo.data import InpaintingDataModule
from inpaint_zoo.losses import FocalFrequencyLoss, total_variation
from inpaint_zoo.metrics import create_metric
from inpaint_zoo.models.glama.module import GLaMa
from inpaint_zoo.models.glama.network import LaMaGenerator
from inpaint_zoo.ops import composite
from inpaint_zoo.registry import register_model

MASKS = {"grids": ["ntire_nearest_neighbor", "ntire_every_n_lines"], "strokes": ["ntire_medium_strokes"]}
VAL_SIZE, VAL_IMAGES = 128, 24

Form = Callable[[Tensor, Tensor], Tensor]
FORMS: dict[str, Form] = {
    "TV, mean": lambda pred, _: total_variation(pred, beta=2, joint=True),
    "TV, sum": lambda pred, _: total_variation(pred, beta=2, joint=True, reduction="sum"),
    "FFL, package": FocalFrequencyLoss(),
    "FFL, package, log_matrix": FocalFrequencyLoss(log_matrix=True),
    "FFL, package, patch_factor 4": FocalFrequencyLoss(patch_factor=4),
    "FFL, package, sum": FocalFrequencyLoss(reduction="sum"),
    "FFL, literal": FocalFrequencyLoss(normalize=False),
    "FFL, literal, sum": FocalFrequencyLoss(normalize=False, reduction="sum"),
}


def _setting(tv: float = 0.0, ffl: float = 0.0, tv_reduction: str = "mean", **focal: Any) -> dict[str, Any]:
    return {"total_variation": tv, "focal_frequency": ffl, "tv_reduction": tv_reduction, "focal_options": focal}


REPEATED = ("neither", "defaults")
SETTINGS: dict[str, dict[str, Any]] = {
    "neither": _setting(),
    "TV mean x 1, FFL package x 1": _setting(tv=1, ffl=1),
    "defaults": {},
    "TV mean x 10": _setting(tv=10),
    "TV mean x 100": _setting(tv=100),
    "TV mean x 1000": _setting(tv=1000),
    "TV sum x 1": _setting(tv=1, tv_reduction="sum"),
    "FFL package x 100": _setting(ffl=100),
    "FFL package x 1000": _setting(ffl=1000),
    "FFL literal x 1": _setting(ffl=1, normalize=False),
    "FFL literal x 10": _setting(ffl=10, normalize=False),
    "FFL literal x 100": _setting(ffl=100, normalize=False),
}


@register_model(source="benchmarks/glama/loss_sweep.py")
def lama_small() -> LaMaGenerator:
    """LaMa with three blocks and a quarter of the channels."""
    return LaMaGenerator(blocks=3, width=16)


def make_module(options: argparse.Namespace, setting: dict[str, Any]) -> GLaMa:
    """Return a module with its losses; its weights are initialized with the seed."""
    seed_everything(options.seed, verbose=False)
    module = GLaMa(options.network, discriminator_width=options.width, perceptual=0.0, metrics=[], **setting)
    module.build_losses()
    return module


def make_masks(preset: str) -> dict[str, Any]:
    """Return a preset whose strokes scale with the crop size; strokes for 256 pixels would cover small crops."""
    return {"preset": preset, "scale_with_size": True}


def make_data(options: argparse.Namespace, size: int, seed: int) -> InpaintingDataModule:
    """Return random crops of the training images with GLaMa's seven mask types."""
    spec = {"name": "train", "root": options.train} if options.train else {"name": "sample", "split": "train"}
    return InpaintingDataModule(
        train=spec,
        size=size,
        augment=["random_crop", "hflip"],
        masks=make_masks("general_mask"),
        batch_size=options.batch,
        epoch_samples=options.batch * max(options.warmup, options.steps, 1),
        workers=0,
        seed=seed,
    )


def train(module: GLaMa, options: argparse.Namespace, steps: int, seed: int) -> None:
    """Continue the training for some steps with the module's recipe."""
    trainer = Trainer(
        accelerator="cpu",
        max_steps=steps,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, make_data(options, options.size, seed))


def first_batch(options: argparse.Namespace, size: int) -> dict[str, Tensor]:
    """Return a training batch that no training has used, as the module gets it."""
    data = make_data(options, size, options.seed + 1000)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    return data.on_after_batch_transfer(batch, 0)


def shares(module: GLaMa, options: argparse.Namespace, size: int) -> list[dict[str, Any]]:
    """Return the gradient norms of LaMa's weighted terms and of every form, with respect to the raw prediction."""
    module = copy.deepcopy(module).train()
    batch = first_batch(options, size)
    with torch.no_grad():
        *_, pred = module.predict_stages(batch).values()
    pred = pred.detach().requires_grad_()
    terms = module.generator_loss(batch, {"prediction": pred})

    def norm(value: Tensor) -> float:
        (gradient,) = torch.autograd.grad(value, pred, retain_graph=True)
        return gradient.norm().item()

    lama = {
        name: weight * norm(terms[name])
        for name, weight in module.weights.items()
        if weight and name in terms and name not in ("total_variation", "focal_frequency")
    }
    total = sum(lama.values())
    rows = [{"term": f"{name} x {module.weights[name]:g}", "norm": n, "share": n / total} for name, n in lama.items()]
    for name, form in FORMS.items():
        value = form(pred, batch["image"])
        n = norm(value)
        share = n / (n + total)
        rows.append({"term": name, "value": value.item(), "norm": n, "share": share, "tenth": total / 9 / n})
    return [{"size": size, **row} for row in rows]


def log_spectral_distance(output: Tensor, image: Tensor) -> Tensor:
    """Return the RMS difference of both log amplitude spectra in dB, averaged over images and channels."""
    amplitudes = [torch.fft.fft2(x, norm="ortho").abs().clamp(min=1e-3).log10() * 20 for x in (output, image)]
    return (amplitudes[0] - amplitudes[1]).square().mean((2, 3)).sqrt().mean()


@torch.no_grad()
def evaluate(module: GLaMa, options: argparse.Namespace) -> dict[str, float]:
    """Return the metrics of the filled validation crops, by group of masks."""
    module.eval()
    spec = {"name": "val", "root": options.val} if options.val else {"name": "sample", "split": "test"}
    crop = "center" if options.val else "grid"
    row: dict[str, float] = {}
    for group, names in MASKS.items():
        metrics = {name: create_metric(name) for name in options.metrics}
        variation, spectrum, count = torch.zeros(2), 0.0, 0
        for masks in names:
            data = InpaintingDataModule(
                val={**spec, "crop": crop}, size=VAL_SIZE, masks=make_masks(masks), workers=0, seed=options.seed
            )
            data.setup("validate")
            for number, raw in enumerate(data.val_dataloader()):
                if number * data.eval_batch_size >= VAL_IMAGES:
                    break
                batch = data.on_after_batch_transfer(raw, 0)
                image, mask = batch["image"], batch["mask"]
                *_, pred = module.network.stages(image, mask).values()
                output = composite(pred.clamp(0, 1), image, mask)
                for metric in metrics.values():
                    metric.update(output, image, mask)
                hole = F.max_pool2d(mask, 3, 1, 1)  # dilated, because grids have hardly any pixel pairs inside the hole
                variation += torch.stack([total_variation(x, beta=2, joint=True, region=hole) for x in (output, image)])
                spectrum += log_spectral_distance(output, image).item()
                count += 1
        row |= {f"{group}/{name}": metric.compute().item() for name, metric in metrics.items()}
        row |= {f"{group}/tv": (variation[0] / variation[1]).item(), f"{group}/spectrum": spectrum / count}
    return row


def show(title: str, rows: list[dict[str, Any]], out: Path | None) -> None:
    """Print a table and write it as CSV."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(*columns, title=title)
    for row in rows:
        cells = (row.get(column, "") for column in columns)
        table.add_row(*(f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in cells))
    Console(width=180).print(table)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        with (out / f"{title}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", help="folder of training images; default: the images of scikit-image")
    parser.add_argument("--val", help="folder of validation images")
    parser.add_argument("--network", default="lama_small", help="registry name")
    parser.add_argument("--width", type=int, default=8, help="channels of the discriminator's first feature map")
    parser.add_argument("--size", type=int, default=64, help="size of training crops in pixels")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--warmup", type=int, default=800, help="steps without both losses")
    parser.add_argument("--steps", type=int, default=300, help="steps of each setting; 0 measures only the shares")
    parser.add_argument("--repeats", type=int, default=3, help=f"runs of {' and '.join(REPEATED)}")
    parser.add_argument("--metrics", nargs="*", default=["psnr", "ssim"], help="names of `inpaint-zoo metrics`")
    parser.add_argument("--only", default="*", help="shell pattern for the names of the settings")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder of the CSV files")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning.*")
    sizes = sorted({options.size, 256})
    base = make_module(options, SETTINGS["neither"])
    table = [{"state": "start", **row} for size in sizes for row in shares(base, options, size)]
    if options.warmup:
        train(base, options, options.warmup, options.seed)
        table += [{"state": "trained", **row} for size in sizes for row in shares(base, options, size)]
    show("shares", table, options.out)
    if not options.steps:
        return
    chosen = [name for name in SETTINGS if fnmatchcase(name, options.only)]
    runs = [(name, options.seed) for name in chosen]
    runs += [(name, options.seed + n) for name in REPEATED if name in chosen for n in range(1, options.repeats)]
    rows: list[dict[str, Any]] = [{"setting": "warm-up", "seed": options.seed, **evaluate(base, options)}]
    for name, seed in runs:
        module = make_module(options, SETTINGS[name])
        module.network.load_state_dict(base.network.state_dict())
        module.discriminator.load_state_dict(base.discriminator.state_dict())
        # batches that the warm-up has not used, and the same ones for every setting
        train(module, options, options.steps, seed + 1)
        rows.append({"setting": name, "seed": seed, **evaluate(module, options)})
        show("trainings", rows, options.out)


if __name__ == "__main__":
    main()
