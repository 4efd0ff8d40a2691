"""Training of the autoencoder baseline (specs/glcic_ca.md, section 4): the mean squared error and nothing else."""

from __future__ import annotations

from typing import Any

from inpaint_zoo.training import Batch, InpaintingModule, Stages, Terms

__all__ = ["Autoencoder"]


class Autoencoder(InpaintingModule):
    """The baseline's training: MSE of the whole raw output against the whole picture, both in [-1, 1].

    Args:
        network: Registry name.
        base: Arguments of `InpaintingModule`.
    """

    def __init__(self, network: str = "autoencoder", **base: Any) -> None:
        super().__init__(network, **base)

    def loss(self, batch: Batch, stages: Stages) -> Terms:
        """One term, ``mse``; a difference in [-1, 1] is twice that in [0, 1]."""
        return {"mse": (2 * (stages["prediction"] - batch["image"])).square().mean()}
