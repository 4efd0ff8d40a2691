"""ISNet's losses, on the raw prediction in [0, 1] (specs/isnet.md, section 6), and their published weights."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.losses import AdversarialLoss, FeatureMatching, GANName, MaskedL1, PerceptualLoss, StyleLoss
from inpaint_zoo.models.isnet.discriminator import ISNetDiscriminator
from inpaint_zoo.training import Batch, Terms

__all__ = ["PERCEPTUAL_TAPS", "PRESETS", "STYLE_TAPS", "GANType", "ISNetLoss", "LossWeights", "Preset"]

PERCEPTUAL_TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
STYLE_TAPS = ("relu2_2", "relu3_4", "relu4_4", "relu5_2")

GANType = Literal["hinge", "nsgan", "lsgan"]
Preset = Literal["eq5", "eq4", "journal_config"]
GAMES: dict[GANType, GANName] = {"hinge": "hinge", "nsgan": "non_saturating", "lsgan": "lsgan_sigmoid"}


class LossWeights(NamedTuple):
    """The factors of the generator's terms.

    Attributes:
        l1: Of L1 over the hole fraction of the batch of all processes.
        adversarial: Of the adversarial term.
        style: Of the Gram matrices.
        perceptual: Of VGG's features.
        feature_matching: Of the discriminator's features.
    """

    l1: float
    adversarial: float
    style: float
    perceptual: float
    feature_matching: float


PRESETS: dict[Preset, tuple[LossWeights, GANType]] = {
    "eq5": (LossWeights(1.0, 3.0, 3.0, 1.0, 0.0), "hinge"),
    "eq4": (LossWeights(1.0, 0.1, 250.0, 0.1, 10.0), "hinge"),
    "journal_config": (LossWeights(1.0, 1.0, 0.0, 0.0, 0.0), "nsgan"),
}


class ISNetLoss(nn.Module):
    """The terms of both players, unweighted, on the whole raw prediction: nothing is composited.

    The hinge term is the textbook's. The released code adds 1 to its side of real pictures: the gradient is the same,
    its logged loss of the discriminator 0.5 larger.

    Args:
        features: VGG-19 at all nine taps, fed [0, 1] without ImageNet's mean; None leaves both its terms out.
        gan_type: The game; all three on logits.
    """

    def __init__(self, features: VGGFeatures | None, gan_type: GANType = "hinge") -> None:
        super().__init__()
        self.features = features
        self.l1 = MaskedL1(divisor="hole_fraction")
        self.perceptual = PerceptualLoss(PERCEPTUAL_TAPS)
        self.style = StyleLoss(STYLE_TAPS)
        self.game = AdversarialLoss(GAMES[gan_type])
        self.matching = FeatureMatching("l1", "sum")

    def reconstruction(self, pred: Tensor, batch: Batch) -> Terms:
        """Terms ``l1`` and, with features, ``perceptual`` and ``style``.

        Args:
            pred: (B, 3, H, W) in [0, 1], raw.
            batch: With image in [0, 1] and mask.
        """
        terms = {"l1": self.l1(pred, batch["image"], batch["mask"])}
        if self.features is not None:
            with torch.no_grad():
                truth = self.features(batch["image"])
            seen = self.features(pred)
            terms |= {"perceptual": self.perceptual(seen, truth), "style": self.style(seen, truth)}
        return terms

    def discriminator(
        self, discriminator: ISNetDiscriminator, pred: Tensor, image: Tensor
    ) -> tuple[Terms, list[Tensor]]:
        """Terms ``real`` and ``fake``, each a mean over the logits, and the truth's maps for `generator`.

        Args:
            discriminator: The truth passes first: each pass in training turns the spectral norm's vectors.
            pred: (B, 3, H, W) in [0, 1], detached.
            image: (B, 3, H, W), the truth.
        """
        logits, maps = discriminator.look(image)
        fake = self.game.fake(discriminator(pred))
        return {"real": self.game.real(logits), "fake": fake}, [layer.detach() for layer in maps]

    def generator(self, discriminator: ISNetDiscriminator, pred: Tensor, real_maps: list[Tensor]) -> Terms:
        """Terms ``adversarial`` and ``feature_matching``, the latter over all five maps, the logits among them.

        Args:
            discriminator: Its parameters take no gradient here; the caller has frozen them.
            pred: (B, 3, H, W) in [0, 1], with its graph.
            real_maps: Of the truth.
        """
        logits, maps = discriminator.look(pred)
        return {"adversarial": self.game.generator(logits), "feature_matching": self.matching(maps, real_maps)}
