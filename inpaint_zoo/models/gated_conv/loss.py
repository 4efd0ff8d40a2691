"""DeepFillv2's losses, on images in [-1, 1] (docs/papers/glcic_ca.md, "DeepFillv2")."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inpaint_zoo.losses import AdversarialLoss
from inpaint_zoo.training import Batch, Stages, Terms, completed

__all__ = ["GatedConvLoss"]


class GatedConvLoss:
    """Unweighted loss terms: L1 on the raw predictions of both stages, and hinge GAN terms on composites.

    L1 covers all pixels with equal weight. The discriminator takes the composite of the last stage and the mask.
    """

    def __init__(self) -> None:
        self.gan_loss = AdversarialLoss("hinge")

    def reconstruction(self, stages: Stages, batch: Batch) -> Terms:
        """Return the terms ``<stage>_l1``, each a mean over all elements.

        Args:
            stages: Raw predictions.
            batch: Batch with the ground truth ``image``.
        """
        return {f"{name}_l1": (stage - batch["image"]).abs().mean() for name, stage in stages.items()}

    def generator(self, discriminator: nn.Module, pred: Tensor, batch: Batch) -> Tensor:
        """Return the generator's GAN loss on the composite of the raw prediction ``pred``."""
        return self.gan_loss.generator(discriminator(completed(pred, batch), batch["mask"]))

    def discriminator(self, discriminator: nn.Module, pred: Tensor, batch: Batch) -> Terms:
        """Return the terms ``real`` and ``fake``, each a mean over the logits; both pass in one batch."""
        images = torch.cat([batch["image"], completed(pred, batch).detach()])
        real, fake = discriminator(images, batch["mask"].repeat(2, 1, 1, 1)).chunk(2)
        return {"real": self.gan_loss.real(real), "fake": self.gan_loss.fake(fake)}
