"""Lightning's option ``sync_batchnorm`` with the synchronized batch norms of this package."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.plugins.layer_sync import LayerSync, TorchSyncBatchNorm
from torch.nn import Module

from inpaint_zoo.layers.synced_norm import own_norms, sync_norms

__all__ = ["NormSync", "replace_norm_sync"]


class NormSync(LayerSync):
    """Plugin that synchronizes batch norms among the processes of a training, see `layers.synced_norm`."""

    def apply(self, model: Module) -> Module:
        """Synchronize the batch norms of the model, in place."""
        sync_norms(model)
        return model

    def revert(self, model: Module) -> Module:
        """Undo `apply`."""
        own_norms(model)
        return model


def replace_norm_sync(trainer: Trainer) -> None:
    """Let ``Trainer(sync_batchnorm=True)`` use `NormSync` instead of torch's `SyncBatchNorm`.

    Torch's layers work on GPUs only, have no second derivatives, and are not instances of `BatchNorm2d`, so that a
    module could not find the batch norms that it freezes.
    """
    strategy: Any = trainer.strategy  # Lightning has no public name for the plugin
    if isinstance(getattr(strategy, "_layer_sync", None), TorchSyncBatchNorm):
        strategy._layer_sync = NormSync()
