"""DeepFillv2's losses, in [-1, 1] (specs/glcic_ca.md, section 12)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inpaint_zoo.losses import AdversarialLoss
from inpaint_zoo.ops import to_range
from inpaint_zoo.training import Batch, Stages, Terms, completed

__all__ = ["GatedConvLoss"]


class GatedConvLoss:
    """L1 of both stages over the whole picture, raw and not discounted; hinge terms on composites with their masks."""

    def __init__(self) -> None:
        self.game = AdversarialLoss("hinge")

    def reconstruction(self, stages: Stages, batch: Batch) -> Terms:
        """Terms ``<stage>_l1``.

        Args:
            stages: Raw predictions in [0, 1].
            batch: With image in [0, 1].
        """
        truth = to_range(batch["image"], -1, 1)
        return {f"{name}_l1": (to_range(stage, -1, 1) - truth).abs().mean() for name, stage in stages.items()}

    def generator(self, discriminator: nn.Module, pred: Tensor, batch: Batch) -> Tensor:
        """The adversarial term: the composite of ``pred``, raw in [0, 1], should count as real."""
        return self.game.generator(discriminator(completed(pred, batch), batch["mask"]))

    def discriminator(self, discriminator: nn.Module, pred: Tensor, batch: Batch) -> Terms:
        """Terms ``real`` and ``fake``, each a mean over the logits; one pass sees both."""
        pictures = torch.cat([to_range(batch["image"], -1, 1), completed(pred, batch).detach()])
        real, fake = discriminator(pictures, batch["mask"].repeat(2, 1, 1, 1)).chunk(2)
        return {"real": self.game.real(real), "fake": self.game.fake(fake)}
