"""GRIG's losses on the composite of one step, in [-1, 1] for the discriminators (specs/grig.md, section 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn

from inpaint_zoo.layers import VGGFeatures
from inpaint_zoo.losses import AdversarialLoss, LPIPSLoss, MaskMode, SoftPatchLoss, mask_to_logits, masked_l1
from inpaint_zoo.models.grig.patch_discriminator import GRIGPatchDiscriminator
from inpaint_zoo.ops import AugmentStep, composite, diff_augment, to_range
from inpaint_zoo.training import Batch, Terms, completed

__all__ = ["GRIGLoss", "PatchLabels"]

PatchLabels = Literal["forged", "all", "nearest", "area", "coverage", "soft"]


class GRIGLoss(nn.Module):
    """The terms of all three players, unweighted. Only the composite is looked at: no term reaches a known pixel.

    Args:
        features: VGG-16 at LPIPS's taps; None leaves LPIPS out.
        lpips: Mean over the images, or their sum over the batch of all processes; see `LPIPSLoss`.
        labels: What the patch discriminator calls forged: units that see the hole (Eq. 4); every unit (PatchGAN); units
            whose nearest pixel is hole (HM-PatchGAN); the share of the hole in each unit's cell or in its receptive
            field (`mask_to_logits`, in no paper); the blurred mask, by least squares (SM-PatchGAN).
        augment: Steps of `diff_augment` before the discriminators: truth and composite in colours of their own, moved
            with the mask. Methods that need their random numbers take a ``generator``, by default torch's own.
    """

    def __init__(
        self,
        features: VGGFeatures | None,
        lpips: Literal["sum", "mean"] = "mean",
        labels: PatchLabels = "forged",
        augment: Sequence[AugmentStep] = (),
    ) -> None:
        super().__init__()
        self.features, self.labels, self.augment = features, labels, tuple(augment)
        self.lpips = None if features is None else LPIPSLoss(lpips)
        self.game = AdversarialLoss("hinge")
        self.soft = SoftPatchLoss()

    @torch.no_grad()
    def look(self, image: Tensor) -> Mapping[str, Tensor] | None:
        """The truth's features, which serve all steps of a batch; None without LPIPS."""
        return None if self.features is None else self.features(image)

    def reconstruction(self, pred: Tensor, batch: Batch) -> Terms:
        """Terms ``l1``, of the composite in [-1, 1] over all pixels, and ``lpips``.

        Args:
            pred: (B, 3, H, W) in [0, 1], raw.
            batch: With image, as it was augmented, mask and, where the image was looked at already, ``truth``.
        """
        image, mask = batch["image"], batch["mask"]
        terms = {"l1": 2 * masked_l1(pred, image, mask, known=0, hole=1)}
        if self.features is not None and self.lpips is not None:
            truth = batch["truth"] if "truth" in batch else self.features(image)
            terms["lpips"] = self.lpips(self.features(composite(pred, image, mask)), truth)
        return terms

    def projected(
        self, critic: nn.Module, pred: Tensor, batch: Batch, generator: torch.Generator | None = None
    ) -> Terms:
        """Terms ``real`` and ``fake`` of the discriminator of whole pictures; two passes, since it has batch norms."""
        real, fake, _ = self._seen(pred, batch, generator)
        return {"real": self.game.real(critic(real)), "fake": self.game.fake(critic(fake))}

    def patch(
        self, critic: GRIGPatchDiscriminator, pred: Tensor, batch: Batch, generator: torch.Generator | None = None
    ) -> Terms:
        """Terms ``real`` and ``fake`` of the discriminator of patches."""
        real, fake, mask = self._seen(pred, batch, generator)
        on_real, on_fake = critic(real), critic(fake)
        if self.labels == "soft":
            return {"real": self.soft.real(on_real, mask), "fake": self.soft.fake(on_fake, mask)}
        return {
            "real": self.game.real(on_real),
            "fake": self.game.fake(on_fake, self._label_map(critic, mask, on_fake)),
        }

    def generator(
        self,
        projected: nn.Module | None,
        patch: GRIGPatchDiscriminator | None,
        pred: Tensor,
        batch: Batch,
        generator: torch.Generator | None = None,
    ) -> Terms:
        """Terms ``adversarial`` and ``patch``, of those discriminators that there are, whose parameters are frozen."""
        terms: Terms = {}
        _, fake, mask = self._seen(pred, batch, generator)
        if projected is not None:
            terms["adversarial"] = self.game.generator(projected(fake))
        if patch is not None:
            logits = patch(fake)
            if self.labels == "soft":
                terms["patch"] = self.soft.generator(logits, mask)
            else:
                terms["patch"] = self.game.generator(logits, self._label_map(patch, mask, logits))
        return terms

    def _label_map(self, critic: GRIGPatchDiscriminator, mask: Tensor, logits: Tensor) -> Tensor | None:
        if self.labels == "all":
            return None
        if self.labels == "forged":
            return critic.label_map(mask)
        return mask_to_logits(mask, logits, cast(MaskMode, self.labels), critic)

    def _seen(self, pred: Tensor, batch: Batch, generator: torch.Generator | None) -> list[Tensor]:
        """Truth and composite in [-1, 1], and the mask, as the discriminators see them."""
        pictures = [to_range(batch["image"], -1, 1), completed(pred, batch)]
        return diff_augment(pictures, self.augment, moved=[batch["mask"]], generator=generator)
