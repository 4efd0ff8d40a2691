"""Short trainings of all families, for comparisons of one process with two."""

import os
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from inpaint_zoo.models.grig.blocks import Noise
from inpaint_zoo.training import InpaintingModule, NetworkEMA, TrainingModule
from tests.helpers.families import ALIKE, SIDE, SIDES, arguments, parts, small, training_modules
from tests.helpers.toys import ImageData

STEPS = 2
BATCH = 4  # samples, over all processes
OPTIONS: dict[str, dict[str, Any]] = {
    "ContextualAttention": {"num_critics": 2},
    "GRIG": {"network_options": {"steps": 2}},  # rounds, each of which is like the first
}
LEARNING_RATES = {"Autoencoder": 1.0, "ContextEncoder": 0.05}  # their gradients are small
KINDS = [kind for kind in training_modules() if kind.__name__ not in ALIKE]
OWN_NORMS = "Autoencoder, own norms"  # BatchNorm over the samples of each process


class Terms(Callback):
    """Callback that keeps the loss terms of every batch."""

    def __init__(self) -> None:
        self.batches: list[dict[str, Tensor]] = []

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *args: object) -> None:
        assert isinstance(module, TrainingModule)
        self.batches.append({name: value.clone() for name, value in module.values.items() if "/grad" not in name})


def _module(kind: type[TrainingModule]) -> TrainingModule:
    """Build a module with SGD: Adam would turn gradients of almost 0 into steps of full size."""
    named = [name for name in arguments(kind) if name.endswith("optimizer")] or ["optimizer"]
    sgd = partial(torch.optim.SGD, lr=LEARNING_RATES.get(kind.__name__, 0.01))
    absent = dict.fromkeys(arguments(kind) & {"vgg_weights", "perceptual_weights"})  # see tests/models/test_shards.py
    given = {**dict.fromkeys(named, sgd), **absent, **OPTIONS.get(kind.__name__, {})}
    module = small(kind, on_missing="drop", **given)
    parts(module)  # the recipe draws GRIG's random backbone: before Lightning seeds several processes anew
    for layer in module.modules():
        if isinstance(layer, Noise):  # networks draw their noise in each process
            layer.weight.requires_grad_(False)
    return module


def _train(kind: type[TrainingModule], count: int, folder: Path, sync_batchnorm: bool) -> dict[str, Any]:
    module = _module(kind)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    terms, ema = Terms(), NetworkEMA(decay=0.5)
    trainer = Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        devices=count,
        strategy="ddp_find_unused_parameters_true" if count > 1 else "auto",
        precision="64-true",  # rounding would grow in GRIG's rounds
        sync_batchnorm=sync_batchnorm,
        max_steps=STEPS,
        accumulate_grad_batches=2 if isinstance(module, InpaintingModule) else 1,
        val_check_interval=1.0,
        callbacks=[terms, ema],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    data = ImageData(STEPS * 2, BATCH, uneven=True, side=SIDES.get(kind.__name__, SIDE))
    trainer.fit(module, datamodule=data)
    after = {key: value for key, value in module.state_dict().items() if not key.startswith("network.")}
    average = {f"network.{key}": value for key, value in module.network.state_dict().items()}
    # at the end of the training, the network holds the average
    trained = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
    random = {"network": torch.get_rng_state(), "losses": module.loss_generator.get_state()}
    return {"before": before, "after": after | average, "trained": trained, "terms": terms.batches, "random": random}


def train_families(count: int, folder: str) -> None:
    """Train all families, in each of ``count`` processes, and write what was trained and the losses."""
    warnings.filterwarnings("ignore")
    os.environ["INPAINT_ZOO_WEIGHTS"] = os.environ["TORCH_HOME"] = str(Path(folder) / "nothing")
    rank = 0
    for kind in KINDS:
        found = _train(kind, count, Path(folder), sync_batchnorm=True)
        rank = torch.distributed.get_rank() if count > 1 else 0
        torch.save(found, Path(folder) / f"{kind.__name__}_{rank}_of_{count}.pt")
    kind = next(kind for kind in KINDS if kind.__name__ == OWN_NORMS.split(",")[0])
    torch.save(_train(kind, count, Path(folder), False), Path(folder) / f"{OWN_NORMS}_{rank}_of_{count}.pt")
