"""The Context Encoder's losses, in [-1, 1], on what it predicts (specs/glcic_ca.md, section 11)."""

from __future__ import annotations

from torch import Tensor, nn

from inpaint_zoo.losses import AdversarialLoss
from inpaint_zoo.training import Terms

__all__ = ["ContextEncoderLoss"]


class ContextEncoderLoss:
    """Squared error, its known pixels weighted, and a game with labels 1 and 0. Nothing is composited.

    For the central region the known pixels are the band of context that its border overlaps.

    Args:
        overlap_weight: Of known pixels.
    """

    def __init__(self, overlap_weight: float) -> None:
        self.overlap_weight = overlap_weight
        self.game = AdversarialLoss("non_saturating")

    def generator(self, discriminator: nn.Module, pred: Tensor, truth: Tensor, mask: Tensor) -> Terms:
        """Terms ``l2``, a mean over all elements, and ``adversarial``.

        Args:
            discriminator: Takes the region.
            pred: (B, 3, h, w) in [-1, 1], the region, raw.
            truth: As ``pred``.
            mask: (B, 1, h, w), 1 = hole.
        """
        weight = mask + self.overlap_weight * (1 - mask)
        l2 = (weight * (pred - truth).square()).mean()
        return {"l2": l2, "adversarial": self.game.generator(discriminator(pred))}

    def discriminator(self, discriminator: nn.Module, pred: Tensor, truth: Tensor) -> Terms:
        """Terms ``real`` and ``fake``, each a mean; they pass by themselves, as batch norms see them.

        Args:
            discriminator: Takes the region.
            pred: Detached.
            truth: As ``pred``.
        """
        return {"real": self.game.real(discriminator(truth)), "fake": self.game.fake(discriminator(pred))}
