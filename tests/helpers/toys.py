"""Small parts for training tests: generated images, a network, a discriminator, and both kinds of training modules."""

import os
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningDataModule, Trainer, seed_everything
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from inpaint_zoo.data.sampling import Draw, EvalSampler, ResumableLoader, StreamSampler
from inpaint_zoo.interfaces import InpaintingNetwork
from inpaint_zoo.losses import wgan_gradient_penalty
from inpaint_zoo.ops import composite
from inpaint_zoo.training import (
    AdversarialModule,
    Batch,
    Checkpoints,
    CSVLog,
    InpaintingModule,
    MetricsLog,
    Phase,
    Recipe,
    Stages,
    Terms,
)
from tests.helpers.toy import registered

SIDE = 32
SENT = "sent"  # file in the folder of a run whose signal was sent


class Painter(InpaintingNetwork):
    """Three convolutions, one of them after dropout and BatchNorm, whose state must be correct after resuming."""

    def __init__(self, width: int = 8, plain: bool = False) -> None:
        super().__init__()
        mixing = [] if plain else [nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.1)]
        self.encode = nn.Sequential(nn.Conv2d(4, width, 3, 1, 1), *mixing)
        self.coarse = nn.Conv2d(width, 3, 3, 1, 1)
        self.fine = nn.Conv2d(6, 3, 3, 1, 1)

    def predict(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        coarse = self.coarse(self.encode(torch.cat([image, mask], 1)))
        return {"coarse": coarse, "fine": self.fine(torch.cat([coarse, image], 1))}


def painter(width: int = 8, plain: bool = False) -> Painter:
    """Build a `Painter`. A plain one treats each image independently of the batch."""
    return Painter(width, plain)


def painter_registered() -> AbstractContextManager[None]:
    return registered(painter)


class Images(Dataset[dict[str, Any]]):
    """Images of waves that depend on the item, with a square hole whose position depends on the position in the stream.

    With ``uneven``, the hole's size does as well.
    """

    def __init__(self, size: int, side: int = SIDE, uneven: bool = False) -> None:
        self.size, self.side, self.uneven = size, side, uneven

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, draw: Draw) -> dict[str, Any]:
        x = torch.linspace(0, 3, self.side)
        item = max(draw.item, 0)
        waves = [torch.sin((1 + item % 5) * x + c) * torch.cos((1 + item % 3) * x[:, None] + c) for c in range(3)]
        mask = torch.zeros(1, self.side, self.side)
        top, left = draw.position * 7 % (self.side // 2), draw.position * 5 % (self.side // 2)
        length = self.side // 3 - (draw.position * 3 % (self.side // 4) if self.uneven else 0)
        mask[:, top : top + length, left : left + length] = 1
        return {"image": torch.stack(waves) / 2 + 0.5, "mask": mask, "index": draw.item, "name": f"item{item}"}


class ImageData(LightningDataModule):
    """Data module with a number of training batches and five validation images."""

    def __init__(
        self,
        batches: int = 6,
        batch_size: int = 2,
        workers: int = 0,
        size: int = 7,
        uneven: bool = False,
        side: int = SIDE,
    ) -> None:
        super().__init__()
        self.batches, self.batch_size, self.workers, self.size = batches, batch_size, workers, size
        self.uneven, self.side = uneven, side

    def train_dataloader(self) -> ResumableLoader:
        trainer = self.trainer
        ranks, batch_size = trainer.world_size, self.batch_size // trainer.world_size
        sampler = StreamSampler(
            self.size,
            length=self.batches * self.batch_size,
            batch_size=batch_size,
            rank=trainer.global_rank,
            ranks=ranks,
        )
        sampler.set_epoch(trainer.fit_loop.epoch_progress.current.processed)
        return ResumableLoader(Images(self.size, self.side, self.uneven), sampler, num_workers=self.workers)

    def val_dataloader(self) -> DataLoader[dict[str, Any]]:
        trainer = self.trainer
        sampler = EvalSampler(5, rank=trainer.global_rank, ranks=trainer.world_size)
        return DataLoader(Images(5, self.side), batch_size=2, sampler=sampler)


class Reconstruction(InpaintingModule):
    """Module with one optimizer and an L1 loss on both stages."""

    def __init__(
        self,
        lr: float = 1e-2,
        scheduler: Any = None,
        interval: str = "step",
        network: str = "painter",
        **base: Any,
    ) -> None:
        super().__init__(
            network, lambda p: torch.optim.Adam(p, lr=lr), scheduler, interval, weights={"coarse": 0.5}, **base
        )

    def loss(self, batch: Batch, stages: Stages) -> Terms:
        return {name: (stage - batch["image"]).abs().mean() for name, stage in stages.items()}


class Critic(nn.Module):
    """Discriminator of two strided convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 4, 2, 1))

    def forward(self, image: Tensor) -> Tensor:
        return self.body(image)


class ToyGAN(AdversarialModule):
    """Adversarial training of a `Painter`. The recipe's options are arguments; ``log`` records the order of calls."""

    def __init__(
        self,
        lr: float = 1e-3,
        penalty: bool = False,
        critic_first: bool = True,
        scheduler: Any = None,
        interval: str = "step",
        clip: float | None = None,
        form: dict[str, Any] | None = None,
        sgd: bool = False,
        **base: Any,
    ) -> None:
        super().__init__("painter", **base)
        self.critic = Critic()
        self.lr, self.penalty, self.critic_first = lr, penalty, critic_first
        self.scheduler, self.interval, self.clip = scheduler, interval, clip
        self.form = form or {}
        self.sgd = sgd
        self.log_of_calls: list[str] = []
        self.forwards = 0

    def predict_stages(self, batch: Batch) -> Stages:
        self.forwards += 1
        return super().predict_stages(batch)

    def recipe(self) -> Recipe:
        def optimizer(parameters: Any) -> torch.optim.Optimizer:
            if self.sgd:
                return torch.optim.SGD(parameters, lr=self.lr)
            return torch.optim.Adam(parameters, lr=self.lr, betas=(0.5, 0.9))

        shared = {"optimizer": optimizer, "scheduler": self.scheduler, "interval": self.interval, "clip": self.clip}
        generator = Phase(
            "generator",
            ("network",),
            self.generator_loss,
            weights={"adversarial": 0.1},
            **shared,
        )
        critic = Phase(
            "critic",
            ("critic",),
            self.critic_loss,
            weights={"penalty": 10.0},
            penalty=self.critic_penalty if self.penalty else None,
            **shared,
        )
        return Recipe((critic, generator) if self.critic_first else (generator, critic), **self.form)

    def completed(self, batch: Batch, stages: Stages) -> Tensor:
        return composite(stages["fine"], batch["image"], batch["mask"])

    def generator_loss(self, batch: Batch, stages: Stages) -> Terms:
        self.log_of_calls.append("generator")
        return {
            "l1": (stages["fine"] - batch["image"]).abs().mean(),
            "adversarial": -self.critic(self.completed(batch, stages)).mean(),
        }

    def critic_loss(self, batch: Batch, stages: Stages) -> Terms:
        self.log_of_calls.append("critic")
        fake = self.completed(batch, stages)
        assert not fake.requires_grad
        return {"fake": F.relu(1 + self.critic(fake)).mean(), "real": F.relu(1 - self.critic(batch["image"])).mean()}

    def critic_penalty(self, batch: Batch, stages: Stages) -> Terms:
        return {"penalty": wgan_gradient_penalty(self.critic, batch["image"], self.completed(batch, stages))}

    def carry(self, batch: Batch, stages: Stages) -> Batch:
        return batch | {"image": batch["image"], "guess": stages["fine"]}


class Slowly(Callback):
    """Callback that slows training down, so that the test can interrupt it."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def on_train_batch_end(self, *args: object) -> None:
        time.sleep(self.seconds)


class SignalsItself(Callback):
    """Callback by which one process of a run sends itself a signal, once, even if the run is resumed.

    It does so after a step, or during the validation after that step.
    """

    def __init__(self, number: int, step: int, rank: int = 0, validation: bool = False) -> None:
        self.number, self.step, self.rank, self.validation = number, step, rank, validation

    def on_train_batch_end(self, trainer: Trainer, *args: object) -> None:
        if not self.validation:
            self._send(trainer)

    def on_validation_batch_end(self, trainer: Trainer, *args: object) -> None:
        if self.validation:
            self._send(trainer)

    def _send(self, trainer: Trainer) -> None:
        sent = Path(trainer.default_root_dir) / SENT
        if trainer.global_step == self.step and trainer.global_rank == self.rank and not sent.exists():
            sent.touch()
            os.kill(os.getpid(), self.number)


def make_trainer(folder: Any, callbacks: Any = (), every: int = 2, **options: Any) -> Trainer:
    """Return a Trainer as the command line creates it, with a checkpoint every few steps."""
    options = {"max_steps": 8, "log_every_n_steps": 1, "num_sanity_val_steps": 0, "accelerator": "cpu"} | options
    log = CSVLog(folder)
    checkpoints = Checkpoints(every=every, keep=100)
    return Trainer(
        default_root_dir=folder,
        logger=[log],
        callbacks=[*callbacks, MetricsLog(), checkpoints],
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


def fit(folder: Any, module: Any, data: Any = None, ckpt_path: Any = None, **options: Any) -> Trainer:
    """Train, from the start or from a checkpoint."""
    trainer = make_trainer(folder, **options)
    trainer.fit(module, datamodule=data or ImageData(), ckpt_path=ckpt_path, weights_only=True)
    return trainer


def build(kind: type, **options: Any) -> Any:
    """Build a module with weights from a fixed seed."""
    seed_everything(3, verbose=False)
    return kind(metrics=["psnr"], **options)
