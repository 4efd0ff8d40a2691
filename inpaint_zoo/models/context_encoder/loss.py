"""The Context Encoder's losses, on the predicted region in [-1, 1] (docs/papers/glcic_ca.md)."""

from __future__ import annotations

from torch import Tensor, nn

from inpaint_zoo.losses import AdversarialLoss
from inpaint_zoo.training import Terms

__all__ = ["ContextEncoderLoss"]


class ContextEncoderLoss:
    """Unweighted loss terms: a squared error with a weight for known pixels, and a GAN loss on logits.

    All terms use the raw prediction, never the composite. For the central region, the known pixels are the border of
    the region that overlaps the context.

    Args:
        overlap_weight: Weight of known pixels in the squared error; hole pixels have weight 1.
    """

    def __init__(self, overlap_weight: float) -> None:
        self.overlap_weight = overlap_weight
        self.gan_loss = AdversarialLoss("non_saturating")

    def generator(self, discriminator: nn.Module, pred: Tensor, target: Tensor, mask: Tensor) -> Terms:
        """Return the terms ``l2``, a mean over all elements, and ``adversarial``.

        Args:
            discriminator: Discriminator of the region.
            pred: Raw prediction of the region, (B, 3, h, w) in [-1, 1].
            target: Ground truth of the region, (B, 3, h, w) in [-1, 1].
            mask: Mask of the region, (B, 1, h, w), 1 = hole.
        """
        weight = mask + self.overlap_weight * (1 - mask)
        l2 = (weight * (pred - target).square()).mean()
        return {"l2": l2, "adversarial": self.gan_loss.generator(discriminator(pred))}

    def discriminator(self, discriminator: nn.Module, pred: Tensor, target: Tensor) -> Terms:
        """Return the terms ``real`` and ``fake``, each a mean over the logits.

        Real and fake regions pass through the discriminator separately, because it contains batch norms.

        Args:
            discriminator: Discriminator of the region.
            pred: Raw prediction of the region, detached.
            target: Ground truth of the region.
        """
        return {"real": self.gan_loss.real(discriminator(target)), "fake": self.gan_loss.fake(discriminator(pred))}
