"""Training of the autoencoder baseline with the mean squared error only (docs/papers/glcic_ca.md)."""

from __future__ import annotations

from typing import Any

from inpaint_zoo.training import Batch, InpaintingModule, Stages, Terms

__all__ = ["Autoencoder"]


class Autoencoder(InpaintingModule):
    """Training module of the autoencoder baseline: MSE between raw prediction and ground truth, both in [-1, 1].

    Args:
        network: Registry name of the network.
        base: Arguments of `InpaintingModule`.
    """

    loss_range = (-1.0, 1.0)

    def __init__(self, network: str = "autoencoder", **base: Any) -> None:
        super().__init__(network, **base)

    def loss(self, batch: Batch, stages: Stages) -> Terms:
        """Return the term ``mse``."""
        return {"mse": (stages["prediction"] - batch["image"]).square().mean()}
