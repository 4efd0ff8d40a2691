"""Train on an InpaintingDataModule without a model, and log every batch of each process to OUT.<rank>.

A process that hangs prints its stack and exits.
"""

import faulthandler
import hashlib
import json
import warnings
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer

from inpaint_zoo.data import InpaintingDataModule

BATCH = 6  # over all processes


class Recorder(LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = []

    def note(self, kind, batch):
        for k, name in enumerate(batch["name"]):
            digest = hashlib.sha256(batch["image"][k].numpy().tobytes() + batch["mask"][k].numpy().tobytes())
            self.seen.append([kind, name, int(batch["index"][k]), digest.hexdigest()])

    def training_step(self, batch):
        self.note("train", batch)
        return self.weight * batch["image"].mean()

    def validation_step(self, batch):
        self.note("val", batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def data_module(workers, batch_size, **more):
    return InpaintingDataModule(
        train={"name": "sample", "split": "train", "size": [32, 40]},
        val={"name": "sample", "size": [32, 40], "crop": "grid", "select": {"first": 1}},
        masks="cmod",
        augment=["hflip", {"op": "color_jitter", "brightness": 0.1, "hue": 0.1}],
        batch_size=batch_size,
        eval_batch_size=3,
        epoch_samples=13,
        workers=workers,
        seed=4,
        **more,
    )


def main(out, workers, ranks):
    faulthandler.dump_traceback_later(150, exit=True)
    warnings.simplefilter("ignore")
    trainer = Trainer(
        accelerator="cpu",
        devices=ranks,
        strategy="ddp" if ranks > 1 else "auto",
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    module = Recorder()
    trainer.fit(module, data_module(workers, BATCH))
    Path(f"{out}.{trainer.global_rank}").write_text(json.dumps(module.seen))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
