"""The dry run: check data, weights, losses and disk before training, and estimate the memory."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.optim import SGD, Adadelta, Adam, AdamW, Optimizer, RMSprop

from inpaint_zoo.errors import ZooError
from inpaint_zoo.training.checkpoints import Checkpoints
from inpaint_zoo.training.ema import NetworkEMA
from inpaint_zoo.training.logs import total_steps
from inpaint_zoo.training.module import TrainingModule

__all__ = ["Disk", "DryRun", "GPUMemory", "dry_run"]

PROBE = 2  # samples whose activations are measured; BatchNorm on 1 x 1 feature maps needs more than one
STATES: dict[type[Optimizer], int] = {Adam: 2, AdamW: 2, Adadelta: 2, RMSprop: 1, SGD: 1}  # state tensors per parameter
GIB = 2**30


class Disk(NamedTuple):
    """Disk space for the checkpoints of a run.

    Attributes:
        folder: Folder of the checkpoints.
        files: Largest number of checkpoints at a time, including the one that is being written.
        file_gib: Estimated size of a checkpoint in GiB.
        free_gib: Free space of the folder's file system in GiB.
    """

    folder: Path
    files: int
    file_gib: float
    free_gib: float

    def check(self) -> None:
        """Refuse a file system without space for the checkpoints.

        Raises:
            ZooError: The free space is less than the checkpoints need.
        """
        if self.files * self.file_gib > self.free_gib:
            raise ZooError(
                f"The run keeps up to {self.files} checkpoints of about {self.file_gib:.3g} GiB, but the file system "
                f"of {self.folder} has {self.free_gib:.3g} GiB left. Choose another --out, or set checkpoints.keep."
            )


class GPUMemory(NamedTuple):
    """Memory of the GPU of one process.

    Attributes:
        name: Name of the device, such as "cuda:0".
        needed_gib: Memory in GiB that a training step needs at least, by the estimate.
        free_gib: Free memory in GiB.
        total_gib: Memory of the device in GiB.
    """

    name: str
    needed_gib: float
    free_gib: float
    total_gib: float

    def check(self) -> None:
        """Refuse a GPU that cannot hold a training step.

        Raises:
            ZooError: The free memory is less than the step needs.
        """
        if self.needed_gib > self.free_gib:
            raise ZooError(
                f"A training step needs about {self.needed_gib:.3g} GiB of memory, but {self.name} has "
                f"{self.free_gib:.3g} of {self.total_gib:.3g} GiB left. Use more processes or a smaller "
                "data.init_args.batch_size, data.init_args.size or network, or --trainer.precision bf16-mixed, and end "
                "other programs on the GPU."
            )


@dataclass(frozen=True)
class DryRun:
    """Result of a dry run.

    Attributes:
        parameters: Number of trainable parameters by trained module.
        steps: Total number of generator steps; None if neither ``max_steps`` nor ``max_epochs`` is set.
        steps_per_epoch: Number of generator steps in an epoch.
        batch_size: Number of samples in a batch, over all processes.
        losses: Value of each weighted loss on up to two training samples, with the initial weights.
        memory_gib: Estimated memory of one process in GiB, by purpose: weights, gradients, optimizer, ema, activations.
        disk: Disk space for the checkpoints.
        gpu: Memory of the GPU; None if the run uses none.
        dropped: Loss terms that are dropped because their pretrained weights are missing.
        checked: Whether every image was read.
    """

    parameters: dict[str, int]
    steps: int | None
    steps_per_epoch: float
    batch_size: int
    losses: dict[str, float]
    memory_gib: dict[str, float]
    disk: Disk
    gpu: GPUMemory | None
    dropped: tuple[str, ...]
    checked: bool


def dry_run(trainer: Trainer, module: TrainingModule, data: LightningDataModule) -> DryRun:
    """Build everything, read every file and compute every loss once, on the CPU. Nothing is trained or written.

    Raises:
        ZooError: An image cannot be read, pretrained weights of a loss or metric are missing, a loss is not finite, or
            the disk has no space for the checkpoints, or the GPU has less memory than a step needs.
    """
    trainer.strategy.connect(module)
    module.trainer = trainer
    data.trainer = trainer
    data.setup("fit")
    check = getattr(data, "check", None)  # LightningDataModules from outside this package may lack it
    problems = check() if check else []
    if problems:
        first = "; ".join(f"{problem.path}: {problem.reason}" for problem in problems[:5])
        raise ZooError(f"{len(problems)} image(s) cannot be read: {first}")
    module.setup("fit")
    trainer.strategy.setup_optimizers(trainer)  # before the data, which refuses schedules that follow test images
    loader: Any = data.train_dataloader()
    batch = data.on_after_batch_transfer(next(iter(loader)), 0)
    validation: Any = data.val_dataloader()
    if validation:
        next(iter(validation))
    samples = len(batch["image"])
    probe = {key: value[:PROBE] for key, value in batch.items()}
    saved = _SavedBytes()
    with saved_tensors_hooks(saved.add, lambda tensor: tensor):
        losses = {name: float(total.detach()) for name, total in module.loss_terms(probe).items()}
    counts = {
        name: sum(parameter.numel() for parameter in part.parameters() if parameter.requires_grad)
        for name, part in module.trained_modules.items()
    }
    weights = sum(_bytes(part.parameters()) for part in module.trained_modules.values())
    network = _bytes(module.network.parameters())
    averaged = any(isinstance(callback, NetworkEMA) for callback in trainer.callbacks)  # type: ignore[attr-defined]
    memory = {
        "weights": weights,
        "gradients": weights,
        "optimizer": sum(_state_bytes(optimizer) for optimizer in trainer.optimizers),
        "ema": network if averaged else 0,
        "activations": saved.total * samples / min(PROBE, samples),
    }
    # a checkpoint holds both the average and the current weights of the network
    disk = _disk(trainer, _bytes(module.state_dict().values()) + memory["optimizer"] + memory["ema"])
    disk.check()
    gpu = _gpu(trainer, sum(memory.values()) - (memory["activations"] / 2 if _is_mixed(trainer) else 0))
    if gpu is not None:
        gpu.check()
    per_epoch = _batches(len(loader), trainer.limit_train_batches) / module.batches_per_step
    return DryRun(
        parameters=counts,
        steps=total_steps(trainer, per_epoch),
        steps_per_epoch=per_epoch,
        batch_size=samples * trainer.world_size,
        losses=losses,
        memory_gib={name: value / GIB for name, value in memory.items()},
        disk=disk,
        gpu=gpu,
        dropped=tuple(sorted(module.dropped)),
        checked=check is not None,
    )


class _SavedBytes:
    """Sum of the sizes of the distinct storages that a forward pass saves for the backward pass, in bytes."""

    def __init__(self) -> None:
        self.total = 0
        self._seen: dict[int, Tensor] = {}  # kept alive, so that no address is reused

    def add(self, tensor: Tensor) -> Tensor:
        if not isinstance(tensor, torch.nn.Parameter) and tensor.data_ptr() not in self._seen:
            self._seen[tensor.data_ptr()] = tensor
            self.total += tensor.untyped_storage().nbytes()
        return tensor


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)


def _disk(trainer: Trainer, size: float) -> Disk:
    """Return the disk space for checkpoints of ``size`` bytes by the `Checkpoints` callback of the trainer."""
    callback = next((entry for entry in trainer.checkpoint_callbacks if isinstance(entry, Checkpoints)), None)
    folder = (callback and callback.folder) or Path(trainer.default_root_dir) / "checkpoints"
    files = 1 if callback is None else callback.keep + (callback.monitor is not None)
    existing = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.is_dir())
    return Disk(folder, files + 1, size / GIB, shutil.disk_usage(existing).free / GIB)


def _gpu(trainer: Trainer, needed: float) -> GPUMemory | None:
    """Return the memory of this process's GPU, where a step needs ``needed`` bytes; None if it uses no GPU."""
    device = trainer.strategy.root_device
    if device.type != "cuda":
        return None
    free, total = torch.cuda.mem_get_info(device)
    return GPUMemory(str(device), needed / GIB, free / GIB, total / GIB)


def _is_mixed(trainer: Trainer) -> bool:
    """Return whether the precision may halve the activations, which the dry run measures in float32."""
    return isinstance(trainer.precision_plugin, MixedPrecision)


def _state_bytes(optimizer: Optimizer) -> int:
    states = next((count for kind, count in STATES.items() if isinstance(optimizer, kind)), 2)
    if isinstance(optimizer, SGD) and not optimizer.defaults["momentum"]:
        states = 0
    return states * sum(_bytes(group["params"]) for group in optimizer.param_groups)


def _batches(available: int, limit: float) -> int:
    """Return the number of batches in an epoch under Lightning's limit: a number (int) or a share (float)."""
    return min(available, limit) if isinstance(limit, int) else int(available * limit)
